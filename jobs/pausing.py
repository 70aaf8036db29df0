"""Pauses and resumes a job: who stopped it, why, until when.

What a pause means for launches, slots and queued runs is decided where each of them is made (product.md,
Paused job). An end in time needs nobody to resume the job.
"""

from datetime import datetime

import structlog
from django.utils import timezone

from jobs.models import Job

log = structlog.get_logger(__name__)

REASON_LENGTH = 500
ACTOR_LENGTH = 200


class PauseRefused(Exception):
    """A pause or its end that can't be; the message is a sentence for whoever asked."""


def pause(job: Job, *, by: str, reason: str = "", until: datetime | None = None) -> None:
    """Pauses `job` until `until` (None: until somebody resumes it); a pause it has is replaced.

    Raises PauseRefused for an inactive job, an `until` that is over, and too long a reason.
    """
    now = timezone.now()
    check(reason=reason, until=until, now=now)
    changed = (
        Job.objects.filter(pk=job.pk)
        .exclude(status=Job.Status.INACTIVE)
        .update(
            status=Job.Status.PAUSED,
            paused_at=now,
            paused_by=by[:ACTOR_LENGTH],
            paused_reason=reason,
            paused_until=until,
            updated_at=now,
        )
    )
    job.refresh_from_db()
    if not changed:
        raise PauseRefused(f"The job {job.slug!r} is inactive: nothing can start it, so it can't be paused.")
    log.info("job_paused", job=job.slug, by=by, reason=reason, until=until and until.isoformat())


def check(*, reason: str, until: datetime | None, now: datetime) -> None:
    """Raises PauseRefused for an `until` that is over at `now`, and too long a reason."""
    if until is not None and until <= now:
        raise PauseRefused(
            f"The pause would end at {until.isoformat()}, which is over: "
            f"expected a time after {now.isoformat()}."
        )
    if len(reason) > REASON_LENGTH:
        raise PauseRefused(
            f"The reason has {len(reason)} characters: expected at most {REASON_LENGTH}, but it starts with "
            f"{reason[:60]!r}."
        )


def resume(job: Job, *, by: str) -> None:
    """Ends the pause of `job` at once; a job that is active stays as it is.

    Raises PauseRefused for an inactive job. What was queued meanwhile starts with the next sweep.
    """
    changed = Job.objects.filter(pk=job.pk, status=Job.Status.PAUSED).update(
        status=Job.Status.ACTIVE,
        paused_at=None,
        paused_by="",
        paused_reason="",
        paused_until=None,
        updated_at=timezone.now(),
    )
    job.refresh_from_db()
    if job.status == Job.Status.INACTIVE:
        raise PauseRefused(f"The job {job.slug!r} is inactive: make it active instead of resuming it.")
    if changed:
        log.info("job_resumed", job=job.slug, by=by)
