"""Fires due schedules: plans what has no next slot yet, and turns slots that have come into runs.

All of it happens in the database, guarded by row locks and by one ledger row for each slot, so that none, one
or three beats, killed at any line, give one run a slot. One schedule that cannot be fired never holds up
another: each has a savepoint of its own, and what went wrong stands in its ledger.
"""

from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Min, QuerySet

from jobs.parameters import InvalidParameters
from runs import launch, lifecycle
from runs.models import Run, TriggerKind
from triggers import schedules
from triggers.models import Occurrence, Overlap, Trigger

log = structlog.get_logger(__name__)

BATCH = 100


def fire_due(now: datetime) -> int:
    """Plans and fires up to a batch of schedules that need it at `now`; returns how many were touched."""
    with transaction.atomic():
        changed = _mine(Trigger.objects.unplanned().order_by("id"))
        for trigger in changed:
            _plan(trigger, after=trigger.replan_from or trigger.created_at)
    with transaction.atomic():
        ready = _mine(Trigger.objects.due(now))
        for trigger in ready:
            _fire(trigger, now)
    return len(changed) + len(ready)


def next_due(now: datetime, *, within: timedelta) -> datetime:
    """When the next schedule comes due, at most `within` from now: how long beat may sleep."""
    earliest = Trigger.objects.schedules().enabled().aggregate(at=Min("next_run_at"))["at"]
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
    if trigger.overlap == Overlap.QUEUE and _open_runs(trigger).exists():
        return  # stays due, and fires as soon as the run before has ended
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
        Occurrence(trigger=trigger, slot=slot, outcome=Occurrence.Outcome.MISSED, reason=missed)
        for slot in due.missed
    ] + [
        Occurrence(trigger=trigger, slot=slot, outcome=Occurrence.Outcome.SKIPPED, reason=reason[:300])
        for slot, reason in due.held.items()
    ]
    Occurrence.objects.bulk_create(entries, ignore_conflicts=True)


def _fire_slot(trigger: Trigger, slot: datetime, now: datetime) -> None:
    """Enters the slot in the ledger with the run it led to, or with the reason why none."""
    entry, is_new = Occurrence.objects.get_or_create(
        trigger=trigger, slot=slot, defaults={"outcome": Occurrence.Outcome.FIRED}
    )
    if not is_new:
        return  # another beat was first
    try:
        with transaction.atomic():
            entry.run_id, entry.reason = _launch(trigger, slot, now)
    except (launch.LaunchRefused, InvalidParameters) as error:
        entry.reason = str(error)[:300]
    except Exception as error:  # a schedule that cannot be fired must not hold up the others
        log.exception("schedule_not_fired", trigger_id=trigger.pk, slot=slot.isoformat())
        entry.reason = f"{type(error).__name__}: {error}"[:300]
    if entry.run_id is None:
        entry.outcome = Occurrence.Outcome.SKIPPED
    else:
        trigger.last_run_at = now
    entry.save(update_fields=["run_id", "reason", "outcome"])


def _launch(trigger: Trigger, slot: datetime, now: datetime) -> tuple[int | None, str]:
    """Launches the slot's run; returns its id and no reason, or None and the reason."""
    if trigger.overlap in (Overlap.SKIP, Overlap.CANCEL_PREVIOUS):
        before = _open_runs(trigger)
        if trigger.overlap == Overlap.CANCEL_PREVIOUS:
            lifecycle.cancel(before, by=f"schedule {trigger.label}, whose next slot came")
        elif (open_run := before.order_by("-id").first()) is not None:
            return None, f"The run before it, {open_run.pk}, was still {open_run.status}."
    local = slot.astimezone(trigger.timezone)
    cause = launch.Cause(
        kind=TriggerKind.SCHEDULE,
        trigger=trigger,
        slot=slot,
        sentence=f"Started by schedule {trigger.label} ({trigger.cron!r} {trigger.timezone}), "
        f"slot {local:%Y-%m-%d %H:%M %Z}",
        context={"lateness_seconds": round((now - slot).total_seconds(), 3)},
    )
    return launch.launch(trigger.job, cause=cause).run.pk, ""


def _open_runs(trigger: Trigger) -> QuerySet[Run]:
    return Run.objects.open().filter(trigger=trigger)
