"""Switches a job on and off, and gives it a tag: what is done to many jobs at once without opening the form of any."""

from typing import Final

import structlog
from django.db import transaction
from django.utils import timezone

from jobs.models import Job

log = structlog.get_logger(__name__)

TAG_LENGTH: Final = 60
MOST_TAGS: Final = 50


class SwitchRefused(Exception):
    """What can't be done to the job; the message is a sentence for whoever asked."""


def switch(job: Job, *, is_on: bool, by: str) -> None:
    """Makes the job active, which ends a pause, too, or inactive: then what it has queued will be skipped."""
    status = Job.Status.ACTIVE if is_on else Job.Status.INACTIVE
    changed = (
        Job.objects.filter(pk=job.pk)
        .exclude(status=status)
        .update(
            status=status,
            paused_at=None,
            paused_by="",
            paused_reason="",
            paused_until=None,
            updated_at=timezone.now(),
        )
    )
    job.refresh_from_db()
    if changed:
        log.info("job_switched", job=job.slug, status=status.value, by=by)


def add_tag(job: Job, tag: str, *, by: str) -> str:
    """Gives the job the tag, unless it has it; returns it as it is kept. Raises SwitchRefused."""
    tag = tag.strip()
    if not tag or len(tag) > TAG_LENGTH or "\0" in tag:
        raise SwitchRefused(f"{tag[:60]!r} is no tag: expected 1 to {TAG_LENGTH} characters.")
    with transaction.atomic():
        # Two who give the job a tag at once would each write the list that they had read: one tag would be gone.
        tags = Job.objects.select_for_update().values_list("tags", flat=True).get(pk=job.pk)
        if tag in tags:
            return tag
        if len(tags) >= MOST_TAGS:
            raise SwitchRefused(f"{job.name} has {MOST_TAGS} tags already, the most that a job can have.")
        Job.objects.filter(pk=job.pk).update(tags=[*tags, tag], updated_at=timezone.now())
    job.refresh_from_db()
    log.info("job_tagged", job=job.slug, tag=tag, by=by)
    return tag
