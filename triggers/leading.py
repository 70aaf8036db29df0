"""Which of a job's schedules speaks for it: the one whose slot comes next (product.md, Scheduled job)."""

from collections.abc import Iterable
from datetime import datetime

from jobs.models import Job
from triggers import schedules
from triggers.models import Trigger


def next_run_at(schedule: Trigger, *, now: datetime) -> datetime | None:
    """When the schedule fires next; worked out where beat has not yet planned it after a change."""
    if not schedule.enabled or schedule.exhausted:
        return None
    if schedule.next_run_at is not None:
        return schedule.next_run_at
    slot = schedules.next_slot(schedule, after=now)
    return slot + schedules.jitter(schedule) if slot else None


def leading(jobs: Iterable[Job], *, now: datetime) -> dict[int, Trigger]:
    """The leading schedule of each of `jobs` that has one; where none fires any more, the newest."""
    found: dict[int, Trigger] = {}
    for schedule in sorted(
        Trigger.objects.schedules().filter(job__in=jobs), key=lambda schedule: _turn(schedule, now)
    ):
        found.setdefault(schedule.job_id, schedule)
    return found


def _turn(schedule: Trigger, now: datetime) -> tuple[bool, float]:
    at = next_run_at(schedule, now=now)
    return (at is None, at.timestamp() if at else -schedule.pk)
