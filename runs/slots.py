"""Launches the runs of slots that have come, many at once, by the schedule's policies; or says why one gets none."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from jobs.numbers import any_of
from notifications import outbox
from notifications.models import Occasion
from runs import awaiting, lifecycle
from runs import launch as launching
from runs.durations import duration_words
from runs.models import Run, TriggerKind
from triggers import schedules
from triggers.ledger import Entry
from triggers.models import Occurrence, Overlap, Trigger

Outcome = Occurrence.Outcome


def entries(trigger: Trigger, due: schedules.Due) -> Iterator[Entry]:
    """What the ledger is told of the slots that came: those to be launched, that were missed, and held back."""
    for slot in due.run:
        yield Entry(trigger=trigger, slot=slot)
    missed = (
        "A later slot came due while the run before it was still open."
        if trigger.overlap == Overlap.QUEUE
        else f"Not run for the misfire policy {trigger.misfire!r}: nothing fired it in time."
    )
    for slot in due.missed:
        yield Entry(trigger=trigger, slot=slot, outcome=Outcome.MISSED, reason=missed)
    for slot, reason in due.held.items():
        yield Entry(trigger=trigger, slot=slot, outcome=Outcome.SKIPPED, reason=reason)


def missed(entries: Iterable[Entry]) -> Iterator[outbox.Note]:
    """What there is to tell of slots that were missed: those of one schedule that are entered together, at once."""
    found: dict[int, list[Entry]] = {}
    for entry in entries:
        if entry.outcome == Outcome.MISSED:
            found.setdefault(entry.trigger.pk, []).append(entry)
    for number, mine in found.items():
        first, last = min(entry.slot for entry in mine), max(entry.slot for entry in mine)
        yield outbox.Note(
            occasion=Occasion.MISSED,
            once=f"{number}:{last.timestamp():.0f}",
            job=mine[0].trigger.job,
            trigger=mine[0].trigger,
            detail={
                "slots": len(mine),
                "first": first.isoformat(sep=" ", timespec="minutes"),
                "last": last.isoformat(sep=" ", timespec="minutes"),
            },
        )


def launch(slots: Sequence[Entry], now: datetime) -> None:
    """Launches the runs of `slots`, the oldest first, and notes in each what came of it; stores none of them.

    A slot that must wait for the run before it is left `due`, one that waits for runs that it needs `waiting`. What
    somebody asked for needs none.
    """
    for together in _rounds(slots):
        ready = _without_overlap(awaiting.satisfied(together, now))
        answers = launching.launch_many([(slot.trigger.job, cause(slot, now)) for slot in ready])
        for slot, answer in zip(ready, answers, strict=True):
            if isinstance(answer, int):
                slot.run_id, slot.fired_at, slot.reason = answer, now, _told(slot, now)
            else:
                slot.skip(str(answer))


def _rounds(slots: Iterable[Entry]) -> list[list[Entry]]:
    """Slots that may be launched together: what each may do depends on the schedule's slot before it, if there is
    one, unless its runs may overlap."""
    found: list[list[Entry]] = []
    had: dict[int, int] = {}
    for slot in slots:
        number = 0
        if slot.trigger.overlap != Overlap.ALLOW:
            number = had.get(slot.trigger.pk, 0)
            had[slot.trigger.pk] = number + 1
        if number == len(found):
            found.append([])
        found[number].append(slot)
    return found


def _without_overlap(slots: Iterable[Entry]) -> list[Entry]:
    """Those that may start now; the others are told why not, and what they cancel is cancelled."""
    slots = list(slots)
    before = _open_runs(slot.trigger for slot in slots if slot.trigger.overlap != Overlap.ALLOW)
    ready = []
    for slot in slots:
        trigger, run = slot.trigger, before.get(slot.trigger.pk)
        if run is not None and trigger.overlap == Overlap.SKIP:
            slot.skip(f"The run before it, {run.pk}, was still {run.status}.")
            continue
        if run is not None and trigger.overlap == Overlap.QUEUE:
            slot.outcome = Outcome.DUE
            continue
        if run is not None and trigger.overlap == Overlap.CANCEL_PREVIOUS:
            lifecycle.cancel(
                Run.objects.open().filter(trigger=trigger),
                by=f"schedule {trigger.label}, whose next slot came",
            )
        ready.append(slot)
    return ready


def _open_runs(triggers: Iterable[Trigger]) -> dict[int, Run]:
    """The newest open run of each, of those that have one."""
    runs = Run.objects.open().filter(trigger__in=any_of(trigger.pk for trigger in triggers))
    return {run.trigger_id or 0: run for run in runs.only("pk", "status", "trigger_id").order_by("pk")}


def cause(slot: Entry, now: datetime) -> launching.Cause:
    """Why there is a run of the slot."""
    trigger = slot.trigger
    local = slot.slot.astimezone(trigger.timezone)
    asked = f", asked for by {slot.by}" if slot.by else f", {slot.after}" if slot.after else ""
    return launching.Cause(
        kind=TriggerKind.SCHEDULE,
        trigger=trigger,
        slot=slot.slot,
        sentence=f"Started by schedule {trigger.label} ({trigger.cron!r} {trigger.timezone}), "
        f"slot {local:%Y-%m-%d %H:%M %Z}{asked}",
        context={"lateness_seconds": round((now - slot.slot).total_seconds(), 3)},
    )


def _told(slot: Entry, now: datetime) -> str:
    """What is worth saying of a slot that was launched: how late it was, and what it needed."""
    late = now - slot.slot - schedules.jitter(slot.trigger)
    is_late = late > schedules.MISFIRE_AFTER and not slot.by
    lateness = f"late by {duration_words(late)}" if is_late else ""
    return "; ".join(filter(None, (lateness, slot.after)))
