"""What the scheduler knows of a schedule: its plan, and whether a beat lives that will carry it out."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from runs import sending
from runs.models import Heartbeat
from triggers import cron
from triggers.models import Trigger

BEAT = "beat:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What is known at one moment.

    `synced`: the schedule is enabled and its next slot is computed. `beats` are those that ticked lately, as
    `pid@host`; `sender` is the one that sends the ordinary entries of beat; `lag` is how long the schedule is overdue.
    """

    synced: bool
    sentence: str
    next_slot: datetime | None
    next_run_at: datetime | None
    last_tick: datetime | None
    beats: tuple[str, ...]
    sender: str | None
    lag: timedelta

    @property
    def lag_seconds(self) -> float:
        """The lag as the API writes it."""
        return self.lag.total_seconds()


# A beat that did not tick for so long is taken for gone.
SILENT_AFTER = timedelta(seconds=15)


def knowledge(trigger: Trigger, *, now: datetime) -> Knowledge:
    """What the scheduler knows of `trigger` at `now`, in two queries."""
    rows = list(Heartbeat.objects.filter(name__startswith=BEAT).order_by("-at")[:20])
    beats = tuple(
        f"{row.detail['pid']}@{row.detail['hostname']}" for row in rows if row.at > now - SILENT_AFTER
    )
    sender = sending.sender()
    overdue = trigger.next_run_at if trigger.enabled else None
    return Knowledge(
        synced=trigger.enabled and (trigger.next_run_at is not None or trigger.exhausted),
        sentence=_sentence(trigger, beats),
        next_slot=trigger.next_slot,
        next_run_at=trigger.next_run_at,
        last_tick=rows[0].at if rows else None,
        beats=beats,
        sender=sender.name if sender and sender.name in beats else None,
        lag=max(now - overdue, timedelta()) if overdue else timedelta(),
    )


def _sentence(trigger: Trigger, beats: tuple[str, ...]) -> str:
    if not trigger.enabled:
        return "It is taken out of the scheduler: nothing fires it."
    try:
        cron.parse(trigger.cron)
    except cron.InvalidCron as error:
        return f"It can't be planned: {error}"
    if trigger.exhausted:
        return "It never fires again: its rule names no slot any more before its end."
    if trigger.next_run_at is None:
        return "It was changed just now: its next slot is computed at the next tick."
    if not beats:
        return "No beat ticks: nothing fires it until one is started."
    return "It is planned, and a beat ticks."
