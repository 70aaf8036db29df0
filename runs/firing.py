"""Fires due schedules: plans what has no next slot yet, and turns slots that have come into runs.

All of it happens in the database, guarded by row locks and by one ledger row for each slot, so that none, one
or three beats, killed at any line, give one run a slot. Schedules go through it by the portion, in a few statements
each: ten thousand that come due together are fired within a second or so. A portion that meets an error is halved
until the schedule is found that can't be fired; that one holds up no other, and what went wrong stands in its ledger.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, Min, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from jobs.models import Job
from jobs.numbers import any_of
from notifications import outbox
from runs import slots
from runs.models import Run
from triggers import ledger, schedules
from triggers.ledger import Entry
from triggers.models import Calendar, Kind, Occurrence, Overlap, Trigger, Upstream

log = structlog.get_logger(__name__)

PORTION = 500
# So many slots of one schedule are put in line again at a time.
ASKED_AT_ONCE = 100
Outcome = Occurrence.Outcome
_HAS_OPEN_RUN = Exists(Run.objects.open().filter(trigger=OuterRef("pk")))
# What firing looks at; a schedule has as much again that only people look at.
_READ = (
    *("public_id", "job_id", "kind", "name", "enabled", "priority", "parameters", "cron", "timezone"),
    *(
        "misfire",
        "misfire_limit",
        "misfire_deadline_seconds",
        "overlap",
        "jitter_seconds",
        "start_within_seconds",
        "finish_within_seconds",
    ),
    *("starts_at", "ends_at", "paused_at", "paused_by", "paused_reason", "paused_until"),
    *("condition", "needs", "since", "window_minutes", "wait_until", "wait_minutes", "otherwise"),
    *("next_slot", "next_run_at", "version"),
)
_BEGIN = Coalesce("replan_from", "created_at")
_PLAN = """
    UPDATE triggers_trigger t SET next_slot = x.next_slot, next_run_at = x.next_run_at, exhausted = x.exhausted,
        last_run_at = coalesce(x.last_run_at, t.last_run_at)
    FROM jsonb_to_recordset(%s::jsonb) AS x(id bigint, next_slot timestamptz, next_run_at timestamptz,
        exhausted boolean, last_run_at timestamptz)
    WHERE t.id = x.id"""


def fire_due(now: datetime) -> int:
    """Plans and fires up to a portion of the schedules that need it at `now`; returns how many were touched.

    Those whose slots wait for the run before (overlap `queue`) are left alone until it has ended.
    """
    changed = _portion(Trigger.objects.unplanned().order_by("id"), _replan, _give_up)
    ready = Trigger.objects.due(now).exclude(Q(overlap=Overlap.QUEUE) & _HAS_OPEN_RUN)
    fired = _portion(ready, lambda found: _fire(found, now), lambda pk, error: _pass_over(pk, error, now))
    return changed + fired + fire_asked(now)


def fire_asked(now: datetime) -> int:
    """Launches slots that are in line: somebody asked for them (`triggers.ledger`), or they wait for the run before.

    Returns of how many schedules. The oldest first; but for the overlap policy `allow`, one at a time and none while
    a run of the schedule is open. A paused job's wait.
    """
    asked = Occurrence.objects.filter(outcome=Outcome.DUE).values("trigger").distinct()
    triggers = Trigger.objects.filter(pk__in=asked, job__in=Job.objects.runnable())
    ready = triggers.filter(Q(overlap=Overlap.ALLOW) | ~_HAS_OPEN_RUN).order_by("id")
    return _portion(ready, lambda found: _fire_asked(found, now), _refuse_asked)


def release_after(job: Job) -> list[Entry]:
    """Launches the slots that waited for a run of `job` which has just ended, in the transaction of the caller.

    Returns what came of each slot that waited, also of those that still do. The locks make either us see a slot that
    another is about to let wait, or him the end of the run. Whatever can't be launched now is looked at again when
    its time is over.
    """
    locked = Trigger.objects.select_for_update(no_key=True).filter(
        pk__in=Upstream.objects.filter(job=job).values("trigger"), kind=Kind.SCHEDULE
    )
    held = list(locked.order_by("pk").values_list("pk", flat=True))
    ids = _waiting(Q(trigger__in=held)) if held else []
    looked_at: list[Entry] = []
    if ids:
        now = timezone.now()
        _halving(ids, lambda found: looked_at.extend(_release(found, now)), lambda pk, error: None)
    return looked_at


def release_overdue(now: datetime | None = None) -> int:
    """Decides about slots that waited long enough, or whose schedule needs nothing any more; returns of how many
    schedules."""
    now = now or timezone.now()
    over = Q(until__lte=now) | Q(trigger__enabled=False) | Q(trigger__condition="")
    triggers = Trigger.objects.filter(pk__in=_waiting(over)).order_by("id")
    return _portion(triggers, lambda found: _release(found, now), _refuse_waiting)


def plan(trigger: Trigger) -> None:
    """Computes the next slot of a schedule that is due to be planned, now instead of at the next tick."""
    _portion(Trigger.objects.unplanned().filter(pk=trigger.pk), _replan, _give_up)


def next_due(now: datetime, *, within: timedelta) -> datetime:
    """When the next schedule comes due, at most `within` from now: how long beat may sleep."""
    # What has come and was not fired waits for a run to end, and no hurry of ours ends it.
    later = Trigger.objects.schedules().enabled().filter(next_run_at__gt=now)
    earliest = later.aggregate(at=Min("next_run_at"))["at"]
    return min(earliest, now + within) if earliest else now + within


# --- Portions -----------------------------------------------------------------------------------------


def _portion(
    triggers: QuerySet[Trigger],
    act: Callable[[list[Trigger]], object],
    give_up: Callable[[int, Exception], None],
) -> int:
    """Has `act` done to a portion of `triggers`, in one transaction that no other beat is in; returns how many.

    `give_up` is called for each that `act` can't be done to.
    """
    with transaction.atomic():
        mine = triggers.select_for_update(of=("self",), skip_locked=True)
        found = list(mine.values_list("pk", flat=True)[:PORTION])
        if found:
            _halving(found, act, give_up)
    return len(found)


def _halving(
    ids: list[int], act: Callable[[list[Trigger]], object], give_up: Callable[[int, Exception], None]
) -> None:
    try:
        with transaction.atomic():
            act(loaded(ids))
    except (OperationalError, InterfaceError):
        raise  # the database, not a schedule: all of it is done again
    except Exception as error:  # a schedule that cannot be fired must not hold up the others
        if len(ids) > 1:
            middle = len(ids) // 2
            _halving(ids[:middle], act, give_up)
            _halving(ids[middle:], act, give_up)
            return
        log.exception("schedule_not_fired", trigger_id=ids[0])
        give_up(ids[0], error)


def loaded(ids: Sequence[int]) -> list[Trigger]:
    """The schedules in their order, each with its job; schedules of one job share it."""
    found = {trigger.pk: trigger for trigger in Trigger.objects.only(*_READ).filter(pk__in=any_of(ids))}
    jobs = Job.objects.in_bulk({trigger.job_id for trigger in found.values()})
    for trigger in found.values():
        trigger.job = jobs[trigger.job_id]
    return [found[pk] for pk in ids]


# --- What is done to them -----------------------------------------------------------------------------


def _replan(triggers: Sequence[Trigger]) -> None:
    begins = dict(
        Trigger.objects.filter(pk__in=any_of(trigger.pk for trigger in triggers)).values_list("pk", _BEGIN)
    )
    _plan([planned(trigger, after=begins[trigger.pk]) for trigger in triggers])


def _fire(triggers: Sequence[Trigger], now: datetime) -> None:
    """Enters each slot that has come with the run it led to or why none, and plans the next."""
    calendars = _calendars(triggers)
    entries: list[Entry] = []
    behind: dict[int, datetime] = {}
    for trigger in triggers:
        due = schedules.due(trigger, now=now, calendars=calendars.get(trigger.pk, ()))
        entries += slots.entries(trigger, due)
        behind[trigger.pk] = due.last if due else now  # without any slot its end has come
    fresh = ledger.undecided(entries)
    slots.launch([entry for entry in fresh if entry.outcome == Outcome.FIRED], now)
    ledger.enter(fresh)
    outbox.note(*slots.missed(fresh))
    fired = {entry.trigger.pk for entry in fresh if entry.run_id is not None}
    _plan(
        [
            planned(trigger, after=behind[trigger.pk]) | {"last_run_at": now if trigger.pk in fired else None}
            for trigger in triggers
        ]
    )


def _fire_asked(triggers: Sequence[Trigger], now: datetime) -> None:
    entries: list[Entry] = []
    for trigger in triggers:
        most = ASKED_AT_ONCE if trigger.overlap == Overlap.ALLOW else 1
        asked = Occurrence.objects.filter(trigger=trigger, outcome=Outcome.DUE).order_by("slot")
        entries += [Entry(trigger=trigger, slot=each.slot, by=each.by) for each in asked[:most]]
    slots.launch(entries, now)
    ledger.enter(entries)
    fired = {entry.trigger.pk for entry in entries if entry.run_id is not None}
    Trigger.objects.filter(pk__in=fired).update(last_run_at=now)


def _waiting(which: Q) -> list[int]:
    waiting = Occurrence.objects.filter(which, outcome=Outcome.WAITING)
    return list(waiting.order_by("trigger").values_list("trigger", flat=True).distinct()[:PORTION])


def _release(triggers: Sequence[Trigger], now: datetime) -> list[Entry]:
    """Launches or skips the slots of these that wait, as far as that is decided now; returns all of them."""
    known = {trigger.pk: trigger for trigger in triggers}
    waiting = Occurrence.objects.filter(trigger__in=any_of(known), outcome=Outcome.WAITING).order_by("slot")
    entries = [Entry(trigger=known[each.trigger_id], slot=each.slot) for each in waiting]
    for entry in entries:
        if not entry.trigger.enabled:
            entry.skip("The schedule was disabled while the slot waited.")
        elif entry.trigger.is_paused(now):
            entry.skip(f"The schedule was {schedules.holding(entry.trigger, now, ())} while the slot waited.")
    slots.launch([entry for entry in entries if entry.outcome == Outcome.FIRED], now)
    ledger.enter([entry for entry in entries if entry.outcome != Outcome.WAITING])
    fired = {entry.trigger.pk for entry in entries if entry.run_id is not None}
    Trigger.objects.filter(pk__in=fired).update(last_run_at=now)
    return entries


def _calendars(triggers: Sequence[Trigger]) -> dict[int, list[Calendar]]:
    """The calendars that each keeps; most keep none."""
    kept = Trigger.calendars.through.objects.filter(trigger__in=any_of(trigger.pk for trigger in triggers))
    found: dict[int, list[Calendar]] = {}
    for each in kept.select_related("calendar").order_by("calendar__name"):
        found.setdefault(each.trigger_id, []).append(each.calendar)
    return found


# --- Plans --------------------------------------------------------------------------------------------


def planned(trigger: Trigger, *, after: datetime) -> dict[str, Any]:
    """When the schedule fires next, as `_PLAN` stores it."""
    slot = schedules.next_slot(trigger, after=after)
    return {
        "id": trigger.pk,
        "next_slot": slot,
        "next_run_at": slot + schedules.jitter(trigger) if slot else None,
        "exhausted": slot is None,
    }


def _plan(planned: Sequence[dict[str, Any]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_PLAN, [json.dumps(planned, default=datetime.isoformat)])


# --- What can't be fired ------------------------------------------------------------------------------


def _pass_over(pk: int, error: Exception, now: datetime) -> None:
    """Enters the slot with what went wrong, and goes on with the next."""
    try:
        with transaction.atomic():
            (trigger,) = loaded([pk])
            due = trigger.next_slot or now
            entry = Entry(trigger=trigger, slot=due, outcome=Outcome.SKIPPED, reason=_told(error))
            ledger.enter(ledger.undecided([entry]))
            _plan([planned(trigger, after=max(due, now))])
    except (OperationalError, InterfaceError):
        raise
    except Exception as again:
        _give_up(pk, again)


def _refuse_asked(pk: int, error: Exception) -> None:
    asked = Occurrence.objects.filter(trigger=pk, outcome=Outcome.DUE)
    asked.update(outcome=Outcome.SKIPPED, reason=_told(error))


def _refuse_waiting(pk: int, error: Exception) -> None:
    waiting = Occurrence.objects.filter(trigger=pk, outcome=Outcome.WAITING)
    waiting.update(outcome=Outcome.SKIPPED, reason=_told(error))


def _give_up(pk: int, error: Exception) -> None:
    """Plans no slot of a schedule whose rule can't be read, until it is changed."""
    log.error("schedule_not_planned", trigger_id=pk, error=_told(error))
    Trigger.objects.filter(pk=pk).update(exhausted=True, next_run_at=None, next_slot=None)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[: ledger.REASON_LENGTH]
