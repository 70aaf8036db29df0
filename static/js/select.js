// Rows with a checkbox: one box for all that are shown, how many are selected, and a tick that outlives a refresh.
"use strict";
{
  const all = document.querySelector("[data-select-all]");
  const told = document.querySelector("[data-selected]");
  const bar = told?.closest(".selected");
  const boxes = () => [...document.querySelectorAll("td.select input")];

  function tell() {
    const chosen = boxes().filter((box) => box.checked).length;
    told.textContent = `${chosen} selected`;
    bar.hidden = chosen === 0;
    all.checked = chosen > 0 && chosen === boxes().length;
    all.indeterminate = chosen > 0 && !all.checked;
  }

  if (all && told) {
    all.hidden = false;
    bar.classList.add("following");
    all.addEventListener("change", () => {
      for (const box of boxes()) box.checked = all.checked;
      tell();
    });
    document.addEventListener("change", (event) => event.target.closest?.("td.select") && tell());
    document.addEventListener("htmx:oobBeforeSwap", (event) => {
      const box = event.detail.target.querySelector?.("td.select input");
      const next = event.detail.fragment.querySelector?.("td.select input");
      if (box && next) next.checked = box.checked;
    });
    tell();
  }
}
