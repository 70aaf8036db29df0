// Asks the server for what changed, through the one element #poller of a page (docs/pages.md, "What is live").
// The server says how many seconds to wait; this adds jitter, backs off on errors, and rests while nobody looks.
"use strict";
{
  const idleAfter = 5 * 60 * 1000;
  const button = document.querySelector("[data-live]");
  let timer = 0;
  let failures = 0;
  let touched = Date.now();
  let follows = true;

  const poller = () => document.getElementById("poller");
  const log = () => document.getElementById("log");

  function isOn() {
    try {
      return localStorage.getItem("live") !== "off";
    } catch {
      return true;
    }
  }

  function isResting() {
    return !isOn() || document.hidden || Date.now() - touched > idleAfter;
  }

  function tell() {
    if (!button) return;
    const ended = !poller()?.dataset.poll;
    const word = ended ? "Final" : !isOn() ? "Live off" : failures ? "Connection lost – retrying" : isResting() ? "Resting" : "Live";
    button.lastElementChild.textContent = word;
    button.setAttribute("aria-pressed", String(isOn()));
    button.classList.toggle("is-on", word === "Live");
    button.hidden = ended;
  }

  function plan() {
    clearTimeout(timer);
    tell();
    const seconds = poller()?.dataset.poll;
    if (seconds === undefined) return;
    const wait = Math.min(Number(seconds) * 2 ** failures, 60) * (0.8 + 0.4 * Math.random());
    timer = setTimeout(ask, wait * 1000);
  }

  function ask() {
    if (isResting()) return plan();
    htmx.trigger(poller(), "poll");
  }

  function wake() {
    const rested = Date.now() - touched > idleAfter;
    touched = Date.now();
    if (rested) plan();
  }

  // The head of a run or a campaign says what the tab is called, and may say which sign it carries.
  function retitle() {
    const head = document.querySelector("[data-title]");
    if (!head || document.title === head.dataset.title) return;
    document.title = head.dataset.title;
    if (head.dataset.favicon) document.querySelector("link[rel=icon]").href = head.dataset.favicon;
    document.getElementById("announce").textContent = head.dataset.announce;
  }

  function toBottom() {
    if (log() && follows) log().scrollTop = log().scrollHeight;
  }

  document.addEventListener("htmx:beforeSwap", () => {
    const box = log();
    follows = Boolean(box) && box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  });
  document.addEventListener("htmx:afterSettle", () => {
    retitle();
    toBottom();
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    failures = event.detail.successful ? 0 : Math.min(failures + 1, 6);
    const seconds = event.detail.xhr?.getResponseHeader("X-Poll");
    if (seconds && poller()?.dataset.poll) poller().dataset.poll = seconds;
    setTimeout(plan, 50);
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) ask();
  });
  for (const act of ["pointermove", "keydown", "scroll"]) document.addEventListener(act, wake, { passive: true });
  button?.addEventListener("click", () => {
    try {
      localStorage.setItem("live", isOn() ? "off" : "on");
    } catch {
      return;
    }
    plan();
  });

  if (!location.hash) toBottom();
  plan();
}
