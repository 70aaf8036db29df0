"""The missed slots of all schedules: in which stretches nothing was fired, and decisions about them all at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import QuerySet

from triggers.ledger import ACTOR_LENGTH, MOST
from triggers.models import Kind, Occurrence

log = structlog.get_logger(__name__)

Outcome = Occurrence.Outcome
# Slots that were entered within this time of each other were found by the same beat when it came back.
TOGETHER = timedelta(minutes=2)
SEEN = 5000
# How the ledger begins to say that nothing fired a slot in time (`runs.firing`), and not, say, that it was overtaken.
UNFIRED = "Not run for the misfire policy"
Row = tuple[int, int, datetime, datetime, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A stretch in which slots were missed: from the first of them until beat entered them.

    `is_silence`: for no other reason than that nothing fired them in time.
    """

    begin: datetime
    end: datetime
    slots: int
    schedules: int
    is_silence: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What was missed and is not decided about, the newest stretch first.

    `newest` is the last entry that was seen, so that nobody decides about what came afterwards; `more` says
    that there are more than were looked at.
    """

    silences: Sequence[Silence] = ()
    slots: int = 0
    newest: int = 0
    more: bool = False

    def __bool__(self) -> bool:
        return self.slots > 0


def seen() -> Backlog:
    """The missed slots, at most `SEEN` of them, in one query."""
    # In the order of the index of missed slots: by number, the planner might walk through the whole ledger.
    missed = Occurrence.objects.filter(outcome=Outcome.MISSED).order_by("trigger_id", "slot")
    rows = list(missed.values_list("pk", "trigger_id", "slot", "created_at", "reason")[: SEEN + 1])
    shown = rows[:SEEN]
    if not shown:
        return Backlog()
    stretches: list[list[Row]] = []
    for row in sorted(shown, key=lambda row: row[3], reverse=True):
        if stretches and stretches[-1][-1][3] - row[3] <= TOGETHER:
            stretches[-1].append(row)
        else:
            stretches.append([row])
    return Backlog(
        silences=[_silence(rows) for rows in stretches],
        slots=len(shown),
        newest=max(pk for pk, *_ in shown),
        more=len(rows) > SEEN,
    )


def ask_all(*, newest: int, by: str) -> int:
    """Puts the missed slots up to the entry `newest` in line, at most `MOST`; returns how many.

    Those of disabled schedules stay missed.
    """
    with transaction.atomic():
        count = _decide(_runnable(newest).order_by("slot", "pk")[:MOST], outcome=Outcome.DUE, by=by)
    log.info("all_slots_asked_for", count=count, by=by)
    return count


def ask_latest(*, newest: int, by: str) -> tuple[int, int]:
    """Puts the latest missed slot of each schedule in line and dismisses those before it, for `MOST` schedules
    at most; returns how many were put in line, and how many dismissed."""
    with transaction.atomic():
        latest = _runnable(newest).order_by("trigger_id", "-slot").distinct("trigger_id")
        chosen = list(latest.values_list("pk", "trigger_id")[:MOST])
        asked = _decide(
            Occurrence.objects.filter(pk__in=[pk for pk, _ in chosen]), outcome=Outcome.DUE, by=by
        )
        earlier = _runnable(newest).filter(trigger__in=[trigger for _, trigger in chosen])
        dismissed = _decide(earlier, outcome=Outcome.DISMISSED, by=by)
    log.info("latest_slots_asked_for", asked=asked, dismissed=dismissed, by=by)
    return asked, dismissed


def dismiss_all(*, newest: int, by: str) -> int:
    """Notes that the missed slots up to the entry `newest` are not to be run; returns how many."""
    missed = Occurrence.objects.filter(outcome=Outcome.MISSED, pk__lte=newest)
    count = _decide(missed, outcome=Outcome.DISMISSED, by=by)
    log.info("all_slots_dismissed", count=count, by=by)
    return count


def _runnable(newest: int) -> QuerySet[Occurrence]:
    return Occurrence.objects.filter(
        outcome=Outcome.MISSED, pk__lte=newest, trigger__enabled=True, trigger__kind=Kind.SCHEDULE
    )


def _decide(found: QuerySet[Occurrence], *, outcome: Outcome, by: str) -> int:
    # Looked at again in the UPDATE: what somebody else decided meanwhile stays decided.
    chosen = Occurrence.objects.filter(pk__in=found.values("pk"), outcome=Outcome.MISSED)
    given = {"outcome": outcome, "by": by[:ACTOR_LENGTH]}
    return chosen.update(**given, **({"reason": ""} if outcome == Outcome.DUE else {}))


def _silence(rows: Sequence[Row]) -> Silence:
    return Silence(
        begin=min(slot for _, _, slot, _, _ in rows),
        end=max(entered for _, _, _, entered, _ in rows),
        slots=len(rows),
        is_silence=all(reason.startswith(UNFIRED) for *_, reason in rows),
        schedules=len({trigger for _, trigger, _, _, _ in rows}),
    )
