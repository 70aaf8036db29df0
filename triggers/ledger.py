"""The ledger of a schedule: what became of each slot, and what people decide about those that did not run.

Whoever asks for slots to be run puts them in line as `due`; `runs.firing` runs them in their order and never
past the schedule's overlap policy.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from jobs.numbers import any_of
from triggers import schedules
from triggers.models import Kind, Occurrence, Overlap, Trigger

log = structlog.get_logger(__name__)

# So many slots can be looked at, run or dismissed at a time.
MOST = 1000
# Where the cron engine has slots.
FIRST_YEAR, LAST_YEAR = 1970, 2499
ACTOR_LENGTH = 200
Outcome = Occurrence.Outcome
# What can be run after all: it led to no run, and nobody has it in line.
RUNNABLE = (Outcome.MISSED, Outcome.SKIPPED, Outcome.DISMISSED, Outcome.WAITING)
COMING, UNRECORDED = "coming", "unrecorded"
# What has still to be decided.
OPEN = (Outcome.DUE, Outcome.WAITING)
REASON_LENGTH = 300
# Who asked for a slot stays, whoever fires it.
_ENTER = """
    INSERT INTO triggers_occurrence AS o (trigger_id, slot, outcome, reason, run_id, by, fired_at, until)
    SELECT x.* FROM jsonb_to_recordset(%s::jsonb) AS x(trigger_id bigint, slot timestamptz, outcome text, reason text,
        run_id bigint, by text, fired_at timestamptz, until timestamptz)
    ON CONFLICT (trigger_id, slot) DO UPDATE SET outcome = excluded.outcome, reason = excluded.reason,
        run_id = excluded.run_id, fired_at = excluded.fired_at, until = excluded.until
    WHERE o.outcome = ANY(%s)"""


class AlreadyDecided(Exception):
    """What became of a slot stands in the ledger already."""


class LedgerRefused(Exception):
    """What can't be done with these slots; the message is a sentence for whoever asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One slot and what became of it: an outcome of the ledger, `coming`, or `unrecorded`.

    Unrecorded is a past slot that today's rule names and the ledger does not know: the schedule was made,
    enabled or changed after it.
    """

    at: datetime
    outcome: str
    reason: str = ""
    run_id: int | None = None
    by: str = ""
    fired_at: datetime | None = None

    @property
    def is_runnable(self) -> bool:
        """Whether it can still be run."""
        return self.outcome in RUNNABLE or self.outcome == UNRECORDED

    @property
    def lateness(self) -> timedelta | None:
        """How long after the slot its run was launched."""
        return self.fired_at - self.at if self.fired_at else None


@dataclass(slots=True, kw_only=True)
class Entry:
    """A slot on its way into the ledger, and what became of it so far.

    `by` is who asked for it, if anybody did; `after` says which runs that it needed it comes after, or that it is
    run anyway.
    """

    trigger: Trigger
    slot: datetime
    outcome: str = Outcome.FIRED
    reason: str = ""
    run_id: int | None = None
    by: str = ""
    fired_at: datetime | None = None
    until: datetime | None = None
    after: str = ""

    def skip(self, reason: str) -> None:
        """No run for it, for this reason."""
        self.outcome, self.reason, self.run_id, self.fired_at = Outcome.SKIPPED, reason, None, None


def undecided(entries: Sequence[Entry]) -> list[Entry]:
    """Those of `entries` of whose slots the ledger does not know yet what became: another beat may have been first."""
    if not entries:
        return []
    begin, end = min(entry.slot for entry in entries), max(entry.slot for entry in entries)
    there = Occurrence.objects.filter(
        trigger__in=any_of({entry.trigger.pk for entry in entries}), slot__range=(begin, end)
    ).exclude(outcome__in=OPEN)
    known = set(there.values_list("trigger", "slot"))
    return [entry for entry in entries if (entry.trigger.pk, entry.slot) not in known]


def enter(entries: Iterable[Entry]) -> None:
    """Stores `entries` in one statement; raises AlreadyDecided, and stores none, if one was settled by another."""
    rows = [
        {
            "trigger_id": entry.trigger.pk,
            "slot": entry.slot,
            "outcome": entry.outcome,
            "reason": entry.reason[:REASON_LENGTH],
            "run_id": entry.run_id,
            "by": entry.by,
            "fired_at": entry.fired_at,
            "until": entry.until,
        }
        for entry in entries
    ]
    if not rows:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ENTER, [json.dumps(rows, default=datetime.isoformat), list(OPEN)])
        if cursor.rowcount != len(rows):
            raise AlreadyDecided(
                f"{len(rows) - cursor.rowcount} of {len(rows)} slots are in the ledger already."
            )


def between(trigger: Trigger, *, begin: datetime, end: datetime, now: datetime) -> list[Slot]:
    """The slots from `begin` up to but without `end`, the oldest first: those of today's rule and of the ledger.

    Raises LedgerRefused for a trigger that is no schedule, and for more than `MOST` slots.
    """
    _check_kind(trigger)
    entries = Occurrence.objects.filter(trigger=trigger, slot__gte=begin, slot__lt=end)
    known = {entry.slot.astimezone(UTC): _known(entry) for entry in entries[: MOST + 1]}
    ruled = schedules.between(trigger, begin=begin, end=end, limit=MOST + 1)
    slots = {at: _ruled(trigger, at, now) for at in ruled} | known
    if len(slots) > MOST:
        raise LedgerRefused(f"There are more than {MOST:,} slots in that time: choose a shorter one.")
    return [slots[at] for at in sorted(slots)]


def _ruled(trigger: Trigger, at: datetime, now: datetime) -> Slot:
    """A slot that the ledger does not know."""
    if at > now:
        return Slot(at=at, outcome=COMING)
    if trigger.enabled and trigger.next_slot is not None and at >= trigger.next_slot:
        waits = " It waits for the run before it to end." if trigger.overlap == Overlap.QUEUE else ""
        return Slot(at=at, outcome=Outcome.DUE, reason=f"It has come and was not fired yet.{waits}")
    return Slot(at=at, outcome=UNRECORDED)


def newest(trigger: Trigger, *, count: int) -> list[Slot]:
    """The newest entries of the ledger, the newest first."""
    return [_known(entry) for entry in Occurrence.objects.filter(trigger=trigger).order_by("-slot")[:count]]


def missed(trigger: Trigger) -> QuerySet[Occurrence]:
    """The slots that were missed and that nobody has decided about, the oldest first."""
    return Occurrence.objects.filter(trigger=trigger, outcome=Outcome.MISSED).order_by("slot")


def ask(trigger: Trigger, *, slots: Collection[datetime], by: str, now: datetime) -> int:
    """Puts `slots` in line to be run after all, in the name of `by`; returns how many of them were not there yet.

    Raises LedgerRefused if one is no slot of the schedule, lies in the future or had its run, for more than
    `MOST`, and if the schedule is disabled.
    """
    wanted = sorted({slot.astimezone(UTC) for slot in slots})
    if not trigger.enabled:
        raise LedgerRefused(f"The schedule {trigger.label!r} is disabled: enable it first.")
    if not wanted:
        raise LedgerRefused("No slot was chosen.")
    for at in wanted:
        if not FIRST_YEAR < at.year < LAST_YEAR:
            raise LedgerRefused(f"{at.isoformat()} is no slot of this schedule.")
    if settings.LEDGER_DAYS and wanted[0] < now - timedelta(days=settings.LEDGER_DAYS):
        raise LedgerRefused(
            f"{wanted[0]:%Y-%m-%d %H:%M} UTC is more than {settings.LEDGER_DAYS} days ago: whether it ran is no "
            "longer known."
        )
    known = {slot.at: slot for slot in between(trigger, begin=wanted[0], end=_after(wanted[-1]), now=now)}
    for at in wanted:
        _check_runnable(known.get(at), at)
    with transaction.atomic():
        made = Occurrence.objects.bulk_create(
            [
                Occurrence(trigger=trigger, slot=at, outcome=Outcome.DUE, by=by[:ACTOR_LENGTH])
                for at in wanted
                if known[at].outcome == UNRECORDED
            ],
            ignore_conflicts=True,
        )
        there = Occurrence.objects.filter(trigger=trigger, slot__in=wanted, outcome__in=RUNNABLE)
        moved = there.update(outcome=Outcome.DUE, by=by[:ACTOR_LENGTH], reason="")
    log.info("slots_asked_for", trigger_id=trigger.pk, count=moved + len(made), by=by)
    return moved + len(made)


def ask_missed(trigger: Trigger, *, by: str, now: datetime) -> int:
    """Puts every missed slot of the schedule in line, at most `MOST`; returns how many. Raises LedgerRefused."""
    slots = list(missed(trigger).values_list("slot", flat=True)[:MOST])
    return ask(trigger, slots=slots, by=by, now=now)


def dismiss(trigger: Trigger, *, slots: Iterable[datetime] | None, by: str) -> int:
    """Notes that missed slots (None: all of them) are not to be run; returns how many. Raises LedgerRefused."""
    _check_kind(trigger)
    found = missed(trigger)
    if slots is not None:
        found = found.filter(slot__in=list(slots))
    changed = found.order_by().update(outcome=Outcome.DISMISSED, by=by[:ACTOR_LENGTH])
    log.info("slots_dismissed", trigger_id=trigger.pk, count=changed, by=by)
    return changed


def _check_kind(trigger: Trigger) -> None:
    if trigger.kind != Kind.SCHEDULE:
        raise LedgerRefused(f"A trigger of kind {trigger.kind} has no slots.")


def _check_runnable(slot: Slot | None, at: datetime) -> None:
    told = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    if slot is None:
        raise LedgerRefused(f"{told} is no slot of this schedule.")
    if slot.outcome == COMING:
        raise LedgerRefused(f"{told} lies in the future: it runs by itself.")
    if slot.outcome == Outcome.FIRED:
        raise LedgerRefused(f"The slot {told} led to run #{slot.run_id}: retry that run instead.")


def _after(at: datetime) -> datetime:
    return at + timedelta(microseconds=1)


def _known(entry: Occurrence) -> Slot:
    return Slot(
        at=entry.slot.astimezone(UTC),
        outcome=entry.outcome,
        reason=entry.reason,
        run_id=entry.run_id,
        by=entry.by,
        fired_at=entry.fired_at,
    )
