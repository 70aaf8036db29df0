// The theme (auto, light, dark), the same for pages and admin. Loaded before the first paint, so nothing flashes.
"use strict";
{
  const modes = ["auto", "light", "dark"];
  const root = document.documentElement;
  root.dataset.script = "";

  function stored() {
    try {
      const mode = localStorage.getItem("theme");
      return modes.includes(mode) ? mode : "auto";
    } catch {
      return "auto";
    }
  }

  function show(mode) {
    root.dataset.theme = mode;
    for (const button of document.querySelectorAll("[data-theme-switch]")) {
      button.querySelector("span").textContent = `Theme: ${mode}`;
      button.title = `Theme: ${mode}`;
      const use = button.querySelector("use");
      use.setAttribute("href", use.getAttribute("href").replace(/#.*/, `#theme-${mode}`));
    }
  }

  show(stored());
  document.addEventListener("DOMContentLoaded", () => show(stored()));
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-switch]")) return;
    const mode = modes[(modes.indexOf(stored()) + 1) % modes.length];
    try {
      localStorage.setItem("theme", mode);
    } catch {
      // A browser that keeps nothing shows the choice until the next page.
    }
    show(mode);
  });
}
