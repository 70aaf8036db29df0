// Turns absolute times into relative ones, and lets running clocks run. Without it the absolute times stand there.
"use strict";
{
  const units = [
    ["d", 86400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ];
  const here = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

  function span(seconds) {
    const found = units.findIndex(([, size]) => seconds >= size);
    if (found < 0) return "0 s";
    const [unit, size] = units[found];
    const whole = `${Math.floor(seconds / size)} ${unit}`;
    if (found === 3 || seconds >= 10 * size) return whole;
    const rest = Math.floor((seconds % size) / units[found + 1][1]);
    return rest ? `${whole} ${rest} ${units[found + 1][0]}` : whole;
  }

  function relative(seconds) {
    if (Math.abs(seconds) < 2) return "now";
    const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? units[3];
    const amount = `${Math.floor(Math.abs(seconds) / size)} ${unit}`;
    return seconds < 0 ? `in ${amount}` : `${amount} ago`;
  }

  function show() {
    const now = Date.now();
    for (const time of document.querySelectorAll("time[datetime]:not([data-absolute])")) {
      const at = Date.parse(time.dateTime);
      const seconds = (now - at) / 1000;
      const text = "elapsed" in time.dataset ? span(Math.max(seconds, 0)) : relative(seconds);
      if (time.textContent !== text) time.textContent = text;
      if (!time.dataset.here) {
        time.dataset.here = "1";
        time.title = `${time.title} · here ${here.format(at)}`;
      }
    }
  }

  show();
  setInterval(show, 1000);
  document.addEventListener("htmx:afterSettle", show);
}
