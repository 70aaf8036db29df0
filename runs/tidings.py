"""Tidings: what a notice says, to people in sentences and to programs as JSON (docs/notifications.md).

Nothing of a run's parameters or result is in it: they may be secret, and a message goes where nobody is asked who
reads it. The error's type and message are, as they were stored: masked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.urls import reverse

from jobs import wire
from notifications.models import Notice, Occasion
from runs.durations import duration_words
from runs.models import Campaign, Run

NAMED: Final = 10  # jobs that one message for many names
LONGEST: Final = 1_000  # characters of an error's message
_TYPES: Final = {
    Occasion.FAILED: "run.failed",
    Occasion.RECOVERED: "job.recovered",
    Occasion.MISSED: "schedule.missed",
    Occasion.DEADLINE: "run.deadline_breached",
    Occasion.CIRCUIT_OPENED: "circuit.opened",
    Occasion.CAMPAIGN_STOPPED: "campaign.stopped",
    Occasion.CAMPAIGN_DONE: "campaign.done",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiding:
    """What is sent: a line, some more of them, and the payload of a webhook."""

    subject: str
    text: str
    payload: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class _Said:
    """What one occasion says: its line, more lines, and facts for programs."""

    subject: str
    lines: list[str]
    facts: dict[str, Any]
    path: str


def tiding(notice: Notice, *, others: int = 0) -> Tiding:
    """What to say of `notice`, which stands for `others` more of the same job and occasion."""
    said = _said(notice)
    if others:
        more = "one more" if others == 1 else f"{others} more"
        said.lines.append(f"It stands for {more} of the same kind, of which nothing was sent.")
    return _composed(notice, said, others=others)


def of_many(notices: Sequence[Notice]) -> Tiding:
    """One message for many notices of one occasion that came together: what happened how often, and to whom."""
    last = notices[-1]
    slugs = list(dict.fromkeys(notice.job.slug for notice in notices))
    named = ", ".join(slugs[:NAMED]) + (f" and {len(slugs) - NAMED} more" if len(slugs) > NAMED else "")
    jobs = "1 job" if len(slugs) == 1 else f"{len(slugs)} jobs"
    said = _Said(
        subject=f"{Occasion(last.occasion).label}: {len(notices)} times, {jobs}",
        lines=[f"Jobs: {named}.", "So much at once is told together."],
        facts={"jobs": slugs},
        path=reverse("pages:runs"),
    )
    return _composed(last, said, others=len(notices) - 1)


def site_address(path: str) -> str:
    """`path` on this site, as far as its address is known."""
    return f"{str(settings.PUBLIC_URL).rstrip('/')}{path}"


def _composed(notice: Notice, said: _Said, *, others: int) -> Tiding:
    url = site_address(said.path)
    subject = " ".join(said.subject.split())[:200]
    data = {
        "sentence": subject,
        "job": notice.job.slug,
        "job_name": notice.job.name,
        "run": notice.run_id,
        "others": others,
        "url": url,
        **said.facts,
    }
    return Tiding(
        subject=subject,
        text="\n".join([*said.lines, url]),
        payload={
            "type": _TYPES[Occasion(notice.occasion)],
            "timestamp": wire.instant_text(notice.at),
            "data": data,
        },
    )


def _said(notice: Notice) -> _Said:
    match notice.occasion:
        case Occasion.FAILED:
            return _failed(notice)
        case Occasion.RECOVERED:
            return _recovered(notice)
        case Occasion.MISSED:
            return _missed(notice)
        case Occasion.DEADLINE:
            return _late(notice)
        case Occasion.CIRCUIT_OPENED:
            return _opened(notice)
    return _campaign(notice)


def _run(notice: Notice) -> Run | None:
    """The run, unless it was deleted by hand meanwhile."""
    return Run.objects.select_related("job").filter(pk=notice.run_id or 0).first()


def _path(notice: Notice) -> str:
    return reverse("pages:run", args=[notice.run_id])


def _failed(notice: Notice) -> _Said:
    run, facts, lines = _run(notice), {}, []
    if run is not None:
        error = run.error or {}
        kind, message = str(error.get("type", "")), str(error.get("message", ""))[:LONGEST]
        lines = [f"{kind}: {message}" if kind else message or f"It failed: {run.failure_reason}."]
        lines += [f"{run.cause}.", f"It took {duration_words(run.duration)}, in attempt {run.attempt}."]
        facts = {
            "name": run.name,
            "status": run.status,
            "failure_reason": run.failure_reason,
            "error": {"type": kind, "message": message},
            "cause": run.cause,
            "attempt": run.attempt,
            "finished_at": wire.instant_text(run.finished_at) if run.finished_at else None,
        }
    return _Said(
        subject=f"{notice.job.name} failed: run #{notice.run_id}",
        lines=lines,
        facts=facts,
        path=_path(notice),
    )


def _recovered(notice: Notice) -> _Said:
    failures, since = int(notice.detail["failures"]), notice.detail["since"]
    times = "once" if failures == 1 else f"{failures} times"
    return _Said(
        subject=f"{notice.job.name} succeeds again: run #{notice.run_id}",
        lines=[f"It had failed {times} since {since}, first in run #{notice.detail['run']}."],
        facts={"failures": failures, "failing_since": since, "first_failed_run": notice.detail["run"]},
        path=_path(notice),
    )


def _missed(notice: Notice) -> _Said:
    count, trigger = int(notice.detail["slots"]), notice.trigger
    label = trigger.label if trigger is not None else "a schedule"
    first, last = notice.detail["first"], notice.detail["last"]
    lines = [f"Slot {first}." if count == 1 else f"Slots from {first} to {last}."]
    return _Said(
        subject=f"{notice.job.name}: {label} missed {'a slot' if count == 1 else f'{count} slots'}",
        lines=[*lines, "They can be run or dismissed on the page of the schedule."],
        facts={"trigger": notice.trigger_id, "slots": count, "first_slot": first, "last_slot": last},
        path=reverse("pages:schedule", args=[notice.trigger_id]),
    )


def _late(notice: Notice) -> _Said:
    kind, due_at = notice.detail["kind"], notice.detail["due_at"]
    verb = "did not start" if kind == "start" else "did not finish"
    run = _run(notice)
    return _Said(
        subject=f"{notice.job.name}: run #{notice.run_id} {verb} in time",
        lines=[f"It was to {kind} by {due_at}.", f"It is {run.status} now." if run else "It is gone."],
        facts={"deadline": kind, "due_at": due_at, "status": run.status if run else None},
        path=_path(notice),
    )


def _opened(notice: Notice) -> _Said:
    target, detail = notice.detail["target"], notice.detail["detail"]
    return _Said(
        subject=f"{notice.job.name}: the circuit breaker {target} opened",
        lines=[
            detail,
            "Nothing more of it starts for a while; then one run is let through to see how it goes.",
        ],
        facts={"circuit": target, "detail": detail},
        path=reverse("pages:job", args=[notice.job.slug]),
    )


def _campaign(notice: Notice) -> _Said:
    number, detail = int(notice.detail["campaign"]), str(notice.detail.get("detail", ""))
    campaign = Campaign.objects.filter(pk=number).first()
    name = campaign.name if campaign is not None and campaign.name else f"of {notice.job.name}"
    verb = "is done" if notice.occasion == Occasion.CAMPAIGN_DONE else "stopped by itself"
    return _Said(
        subject=f"Campaign #{number} {name} {verb}",
        lines=[detail] if detail else [],
        facts={"campaign": number, "detail": detail},
        path=reverse("pages:campaign", args=[number]),
    )
