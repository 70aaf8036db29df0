"""Fires due schedules: plans what has no next slot yet, and turns slots that have come into runs.

All of it happens in the database, guarded by row locks and by one ledger row for each slot, so that none, one
or three beats, killed at any line, give one run a slot. One schedule that cannot be fired never holds up
another: each has a savepoint of its own, and what went wrong stands in its ledger.
"""

from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Exists, Min, OuterRef, Q, QuerySet

from jobs.models import Job
from jobs.parameters import InvalidParameters
from runs import launch, lifecycle
from runs.durations import duration_words
from runs.models import Run, TriggerKind
from triggers import schedules
from triggers.models import Occurrence, Overlap, Trigger

log = structlog.get_logger(__name__)

BATCH = 100
Outcome = Occurrence.Outcome
_HAS_OPEN_RUN = Exists(Run.objects.open().filter(trigger=OuterRef("pk")))


def fire_due(now: datetime) -> int:
    """Plans and fires up to a batch of schedules that need it at `now`; returns how many were touched.

    Those whose slots wait for the run before (overlap `queue`) are left alone until it has ended.
    """
    with transaction.atomic():
        changed = _mine(Trigger.objects.unplanned().order_by("id"))
        for trigger in changed:
            _plan(trigger, after=trigger.replan_from or trigger.created_at)
    with transaction.atomic():
        ready = _mine(Trigger.objects.due(now).exclude(Q(overlap=Overlap.QUEUE) & _HAS_OPEN_RUN))
        for trigger in ready:
            _fire(trigger, now)
    return len(changed) + len(ready) + fire_asked(now)


def fire_asked(now: datetime) -> int:
    """Launches slots that somebody asked to be run after all (`triggers.ledger`); returns of how many schedules.

    The oldest first; but for the overlap policy `allow`, one at a time and none while a run of the schedule
    is open. A paused job's wait.
    """
    asked = Occurrence.objects.filter(outcome=Outcome.DUE).values("trigger").distinct()
    with transaction.atomic():
        triggers = Trigger.objects.filter(pk__in=asked, job__in=Job.objects.runnable())
        ready = _mine(triggers.filter(Q(overlap=Overlap.ALLOW) | ~_HAS_OPEN_RUN).order_by("id"))
        for trigger in ready:
            entries = Occurrence.objects.filter(trigger=trigger, outcome=Outcome.DUE).order_by("slot")
            for entry in entries[: BATCH if trigger.overlap == Overlap.ALLOW else 1]:
                _fire_entry(entry, trigger, now)
    return len(ready)


def plan(trigger: Trigger) -> None:
    """Computes the next slot of a schedule that is due to be planned, now instead of at the next tick."""
    with transaction.atomic():
        for changed in _mine(Trigger.objects.unplanned().filter(pk=trigger.pk)):
            _plan(changed, after=changed.replan_from or changed.created_at)


def next_due(now: datetime, *, within: timedelta) -> datetime:
    """When the next schedule comes due, at most `within` from now: how long beat may sleep."""
    # What has come and was not fired waits for a run to end, and no hurry of ours ends it.
    later = Trigger.objects.schedules().enabled().filter(next_run_at__gt=now)
    earliest = later.aggregate(at=Min("next_run_at"))["at"]
    return min(earliest, now + within) if earliest else now + within


def _mine(triggers: QuerySet[Trigger]) -> list[Trigger]:
    mine = triggers.select_for_update(of=("self",), skip_locked=True)
    return list(mine.select_related("job").prefetch_related("calendars")[:BATCH])


def _plan(trigger: Trigger, *, after: datetime) -> None:
    slot = schedules.next_slot(trigger, after=after)
    trigger.next_slot = slot
    trigger.next_run_at = slot + schedules.jitter(trigger) if slot else None
    trigger.exhausted = slot is None
    trigger.save(update_fields=["next_slot", "next_run_at", "exhausted", "last_run_at"])


def _fire(trigger: Trigger, now: datetime) -> None:
    due = schedules.due(trigger, now=now)
    if not due:
        _plan(trigger, after=now)  # its end has come
        return
    _enter(trigger, due)
    for slot in due.run:
        _fire_slot(trigger, slot, now)
    _plan(trigger, after=due.last)


def _enter(trigger: Trigger, due: schedules.Due) -> None:
    """Enters the slots that are not run: those that were missed, and those that were held back."""
    missed = (
        "A later slot came due while the run before it was still open."
        if trigger.overlap == Overlap.QUEUE
        else f"Not run for the misfire policy {trigger.misfire!r}: nothing fired it in time."
    )
    entries = [
        Occurrence(trigger=trigger, slot=slot, outcome=Outcome.MISSED, reason=missed) for slot in due.missed
    ] + [
        Occurrence(trigger=trigger, slot=slot, outcome=Outcome.SKIPPED, reason=reason[:300])
        for slot, reason in due.held.items()
    ]
    Occurrence.objects.bulk_create(entries, ignore_conflicts=True)


def _fire_slot(trigger: Trigger, slot: datetime, now: datetime) -> None:
    """Enters the slot in the ledger with the run it led to, or with the reason why none."""
    entry, is_new = Occurrence.objects.get_or_create(
        trigger=trigger, slot=slot, defaults={"outcome": Outcome.FIRED}
    )
    if is_new:  # else another beat was first
        _fire_entry(entry, trigger, now)


def _fire_entry(entry: Occurrence, trigger: Trigger, now: datetime) -> None:
    """Launches the run of a slot that stands in the ledger, or says there why not."""
    entry.outcome, entry.fired_at = Outcome.FIRED, now
    try:
        with transaction.atomic():
            entry.run_id, entry.reason = _launch(trigger, entry, now)
    except (launch.LaunchRefused, InvalidParameters) as error:
        entry.reason = str(error)[:300]
    except Exception as error:  # a schedule that cannot be fired must not hold up the others
        log.exception("schedule_not_fired", trigger_id=trigger.pk, slot=entry.slot.isoformat())
        entry.reason = f"{type(error).__name__}: {error}"[:300]
    if entry.run_id is None:
        entry.outcome, entry.fired_at = Outcome.SKIPPED, None
    else:
        trigger.last_run_at = now
    entry.save(update_fields=["run_id", "reason", "outcome", "fired_at"])


def _launch(trigger: Trigger, entry: Occurrence, now: datetime) -> tuple[int | None, str]:
    """Launches the slot's run; returns its id and how late it is, or None and the reason."""
    if trigger.overlap in (Overlap.SKIP, Overlap.CANCEL_PREVIOUS):
        before = _open_runs(trigger)
        if trigger.overlap == Overlap.CANCEL_PREVIOUS:
            lifecycle.cancel(before, by=f"schedule {trigger.label}, whose next slot came")
        elif (open_run := before.order_by("-id").first()) is not None:
            return None, f"The run before it, {open_run.pk}, was still {open_run.status}."
    run = launch.launch(trigger.job, cause=_cause(trigger, entry, now)).run
    late = now - entry.slot - schedules.jitter(trigger)
    told = late > schedules.MISFIRE_AFTER and not entry.by
    return run.pk, f"late by {duration_words(late)}" if told else ""


def _cause(trigger: Trigger, entry: Occurrence, now: datetime) -> launch.Cause:
    local = entry.slot.astimezone(trigger.timezone)
    asked = f", asked for by {entry.by}" if entry.by else ""
    return launch.Cause(
        kind=TriggerKind.SCHEDULE,
        trigger=trigger,
        slot=entry.slot,
        sentence=f"Started by schedule {trigger.label} ({trigger.cron!r} {trigger.timezone}), "
        f"slot {local:%Y-%m-%d %H:%M %Z}{asked}",
        context={"lateness_seconds": round((now - entry.slot).total_seconds(), 3)},
    )


def _open_runs(trigger: Trigger) -> QuerySet[Run]:
    return Run.objects.open().filter(trigger=trigger)
