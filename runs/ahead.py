"""Prepares the slots that come soon, so that at their time only one statement for some hundreds of them is left.

Beat has nothing to do between two due times, and what a slot's run will be is known before: ten thousand schedules
that come due together would take it seconds otherwise. What was prepared is a guess that nobody relies on: it is kept
in memory, and the statement (`portions.FIRE`) takes only what is still as it was. All else, and whatever is not plain
enough to be known before, is fired by `runs.firing` right after.
"""

import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.db import InterfaceError, OperationalError, connection

from runs import dispatch, firing, launch, slots
from triggers import schedules
from triggers.ledger import Entry
from triggers.models import Trigger

log = structlog.get_logger(__name__)

LOOK_AHEAD: Final = timedelta(seconds=20)
# So many are kept in memory, a kilobyte each.
MOST: Final = 50_000
# A portion is one transaction: its runs are all made when its last is.
PORTION: Final = 500
# After so many the workers are woken, whatever else is due.
AT_ONCE: Final = 20
# So few are not worth another thread.
ALONE: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """Slots that are due at one moment, as `launch.launch_prepared` takes them."""

    due_at: datetime
    jobs: str
    slots: str


class Ahead:
    """What one beat has prepared."""

    def __init__(self) -> None:
        self._portions: list[Portion] = []
        self._coming: deque[tuple[int, datetime]] = deque()
        # The schedules that were due soon when it looked last, and when.
        self._known: set[tuple[int, datetime]] = set()

    def fire(self, now: datetime) -> int:
        """Fires what was prepared and is due at `now`, each portion in a transaction; returns how many runs it made."""
        came = [portion for portion in self._portions if portion.due_at <= now]
        if came:
            self._portions = [portion for portion in self._portions if portion.due_at > now]
        # Of what is later the misfire policy decides, and another slot may have come.
        due = [portion for portion in came if now - portion.due_at < schedules.MISFIRE_AFTER]
        return sum(_fire(due[begin : begin + AT_ONCE], now) for begin in range(0, len(due), AT_ONCE))

    def prepare(self, now: datetime) -> bool:
        """Prepares one portion of what comes due soon; False if there is nothing left to be prepared."""
        if not self._coming:
            self._look(now)
        due_at = self._coming[0][1] if self._coming else now
        ids: list[int] = []
        while self._coming and self._coming[0][1] == due_at and len(ids) < PORTION:
            ids.append(self._coming.popleft()[0])
        try:
            self._portions += _prepared(ids, due_at) if ids else ()
        except (OperationalError, InterfaceError):
            raise
        except (
            Exception
        ) as error:  # a schedule that can't be read: the ordinary way finds out which one it is
            log.warning("slots_not_prepared", error=str(error).strip())
        return bool(self._coming)

    def _look(self, now: datetime) -> None:
        soon = (
            Trigger.objects.schedules()
            .enabled()
            .filter(next_run_at__gt=now, next_run_at__lte=now + LOOK_AHEAD)
        )
        rows = soon.order_by("next_run_at", "id").values_list("id", "next_run_at")[:MOST]
        found = [(number, due_at) for number, due_at in rows if due_at]
        self._coming += [each for each in found if each not in self._known]
        self._known = set(found)


def _fire(portions: Iterable[Portion], now: datetime) -> int:
    """Makes the runs of all these, and wakes the workers then: they would take the processors from it."""
    left = deque(portions)
    with ThreadPoolExecutor(1) as other:
        helped = other.submit(_help, left, now) if len(left) > ALONE else None
        lanes = _work(left, now)
        lanes += helped.result() if helped else Counter()
    for lane, count in lanes.items():
        dispatch.hint(lane, count)
    return lanes.total()


def _help(left: deque[Portion], now: datetime) -> Counter[str]:
    """The work of another thread, on a connection of its own: half the time, because all of it is PostgreSQL's."""
    try:
        return _work(left, now)
    finally:
        connection.close()


def _work(left: deque[Portion], now: datetime) -> Counter[str]:
    lanes: Counter[str] = Counter()
    while True:
        try:
            portion = left.popleft()
        except IndexError:  # the other may have taken the last
            return lanes
        lanes += _launched(portion, now)


def _launched(portion: Portion, now: datetime) -> Counter[str]:
    try:
        return launch.launch_prepared(jobs=portion.jobs, slots=portion.slots, now=now)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # all of them are fired the ordinary way, which finds out which one it is
        log.warning("prepared_slots_not_fired", error=str(error).strip())
        return Counter()


def _prepared(ids: Sequence[int], due_at: datetime) -> Iterator[Portion]:
    plain = [trigger for trigger in firing.loaded(ids) if _is_plain(trigger, due_at)]
    entries = [Entry(trigger=trigger, slot=trigger.next_slot) for trigger in plain if trigger.next_slot]
    rows = launch.prepare([(entry.trigger.job, slots.cause(entry, due_at)) for entry in entries])
    ready = [(entry, row) for entry, row in zip(entries, rows, strict=True) if row is not None]
    if ready:
        yield Portion(
            due_at=due_at,
            jobs=_written({row["job_id"]: _job(row) for _, row in ready}.values()),
            slots=_written(_slot(entry, row) for entry, row in ready),
        )


def _is_plain(trigger: Trigger, due_at: datetime) -> bool:
    """Whether the slot that is due then will be fired unless something is changed, by all that can be known before."""
    return (
        trigger.next_slot is not None
        and trigger.next_run_at == trigger.next_slot + schedules.jitter(trigger) == due_at
        and trigger.paused_at is None
        and not trigger.condition
    )


def _job(row: dict[str, Any]) -> dict[str, Any]:
    """What the runs of one job have in common."""
    names = {"id": "job_id", "version": "job_version"}
    return {
        name: row[names.get(name, name)] for name in ("id", "version", "group_id", "tags", "max_attempts")
    }


def _slot(entry: Entry, row: dict[str, Any]) -> dict[str, Any]:
    """A slot as `portions.FIRE` reads it: what its run will be, and what comes after it."""
    names = ("trigger_id", "slot", "job_id", "priority", "trigger_name", "cause", "parameters")
    rare = ("concurrency_key", "labels", "deadlines")
    following = firing.planned(entry.trigger, after=entry.slot)
    return {
        "version": entry.trigger.version,
        "next_slot": following["next_slot"],
        "next_run_at": following["next_run_at"],
        **{name: row[name] for name in names},
        **{name: row[name] for name in rare if row[name]},
    }


def _written(rows: Iterable[dict[str, Any]]) -> str:
    return json.dumps(list(rows), default=datetime.isoformat)
