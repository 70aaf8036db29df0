"""Says what would follow if a run of a job ended now: which triggers would start what and when, or why they would not.

Nothing is launched. A schedule that needs the job has its part in it: its next slot, or the one that waits.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Prefetch

from jobs.models import Job
from runs import launch
from triggers import cron, dependencies, requirements, schedules
from triggers.models import Kind, Needs, Occurrence, Trigger

# Which endings of a run can be asked about.
ENDINGS = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What a trigger would do: start its job (`at`; None: at once), or not, for `reason`; `note` says on what terms."""

    trigger: Trigger
    at: datetime | None = None
    reason: str = ""
    note: str = ""


def of(job: Job, *, status: str, now: datetime) -> list[Prospect]:
    """What would become of each trigger that watches `job` if a run of it ended as `status` at `now`."""
    watching = Trigger.objects.filter(upstreams=job, kind__in=(Kind.DEPENDENCY, Kind.SCHEDULE))
    waiting = Occurrence.objects.filter(outcome=Occurrence.Outcome.WAITING, until__gte=now).order_by("slot")
    found = (
        watching.select_related("job")
        .order_by("id")
        .prefetch_related("upstreams", Prefetch("occurrences", waiting, to_attr="waiting"))
    )
    return [_prospect(trigger, job, status, now) for trigger in found]


def _prospect(trigger: Trigger, job: Job, status: str, now: datetime) -> Prospect:
    reason = dependencies.objection(trigger, status=status)
    if reason is None:
        try:
            launch.check(trigger.job, trigger=trigger)
        except launch.LaunchRefused as refused:
            reason = f"It would be skipped: {refused}"
    if reason is not None:
        return Prospect(trigger=trigger, reason=reason)
    if trigger.kind == Kind.SCHEDULE:
        return _timed(trigger, job, now)
    delay = timedelta(minutes=trigger.delay_minutes)
    return Prospect(trigger=trigger, at=now + delay if delay else None, note=_others(trigger, job))


def _timed(trigger: Trigger, job: Job, now: datetime) -> Prospect:
    """What a schedule that has what it needs from `job` would do."""
    waiting: list[Occurrence] = vars(trigger)["waiting"]
    if waiting:
        note = f"for its slot of {_clock(trigger, waiting[0].slot)} waits"
        return Prospect(trigger=trigger, note=_joined(note, _others(trigger, job)))
    try:
        slot = schedules.next_slot(trigger, after=now)
    except cron.InvalidCron as error:
        return Prospect(trigger=trigger, reason=str(error))
    if slot is None:
        return Prospect(trigger=trigger, reason="It has no slots any more.")
    if held := schedules.holding(trigger, slot):
        return Prospect(
            trigger=trigger, reason=f"Its next slot, {_clock(trigger, slot)}, is skipped: {held}."
        )
    begin = requirements.span(trigger, slot).begin
    if begin > now:
        return Prospect(
            trigger=trigger,
            reason=f"For its next slot, {_clock(trigger, slot)}, ends count from {_clock(trigger, begin)} on.",
        )
    note = f"at its slot of {_clock(trigger, slot)}"
    return Prospect(
        trigger=trigger, at=slot + schedules.jitter(trigger), note=_joined(note, _others(trigger, job))
    )


def _others(trigger: Trigger, job: Job) -> str:
    """Which jobs must have ended so as well; "" if this end is enough."""
    others = [each.slug for each in trigger.upstreams.all() if each.pk != job.pk]
    if not others or trigger.needs == Needs.ANY:
        return ""
    condition = str(trigger.get_condition_display()).lower()
    return f"if {' and '.join(others)} ended so too ({condition})"


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def _clock(trigger: Trigger, at: datetime) -> str:
    return f"{at.astimezone(trigger.timezone):%a %Y-%m-%d %H:%M %Z}"
