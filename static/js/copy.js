// Copies the text that a button names by `data-copy`, and says so on the button.
"use strict";
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const word = button.lastChild;
  try {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    word.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
    word.textContent = "Selected";
  }
  setTimeout(() => (word.textContent = "Copy"), 2000);
});
