// Shows what a schedule will do while it is typed. Without this the Preview button and the presets do the same.
"use strict";

{
  const DELAY_MS = 300;
  const SHOWN = /^(cron|timezone|starts_at|ends_at|calendars|upstream|condition|needs|since|window_|wait_|otherwise)/;
  const preview = document.getElementById("schedule-preview");
  const form = preview?.closest("form");
  const cron = form?.elements.namedItem("cron");
  let timer = 0;
  let asked = 0;

  const show = async () => {
    const number = ++asked;
    const body = new FormData(form);
    body.append("_viewer", Intl.DateTimeFormat().resolvedOptions().timeZone);
    const answer = await fetch(preview.dataset.previewUrl, { method: "POST", body });
    // A slower answer to an older question must not replace a newer one.
    if (answer.ok && number === asked) {
      preview.innerHTML = await answer.text();
    }
  };

  if (cron && preview.dataset.previewUrl) {
    form.addEventListener("input", (event) => {
      if (SHOWN.test(event.target.name)) {
        clearTimeout(timer);
        timer = setTimeout(show, DELAY_MS);
      }
    });
    for (const preset of form.querySelectorAll("[name=_preset]")) {
      preset.addEventListener("click", (event) => {
        event.preventDefault();
        cron.value = preset.value;
        show();
      });
    }
    form.querySelector("[name=_preview]").addEventListener("click", (event) => {
      event.preventDefault();
      show();
    });
  }
}
