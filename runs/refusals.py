"""Decides what may not be launched, and says why in a sentence for whoever asked."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from jobs.models import Job
from runs.models import Run
from triggers.models import Trigger


class LaunchRefused(Exception):
    """A launch that may not be; the message is a sentence for whoever asked, `code` one word for programs."""

    code = "refused"

    def __init__(self, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.extra = extra


class JobPaused(LaunchRefused):
    """The job is paused; `extra` has `paused_until`, `paused_by` and `paused_reason`."""

    code = "job_paused"


class JobInactive(LaunchRefused):
    """The job was taken out of use."""

    code = "job_inactive"


class JobBroken(LaunchRefused):
    """The job's function or program is gone."""

    code = "job_broken"


class TriggerDisabled(LaunchRefused):
    """The trigger that was to start the job is disabled."""

    code = "trigger_disabled"


class LoopStopped(LaunchRefused):
    """A chain of runs is too long or grows too fast: it feeds itself, through webhooks or the API."""

    code = "loop_stopped"


def check(job: Job, *, trigger: Trigger | None = None) -> None:
    """Raises the LaunchRefused that a launch of `job` by `trigger` would meet right now."""
    now = timezone.now()
    if job.status == Job.Status.INACTIVE:
        raise JobInactive(f"The job {job.slug!r} is inactive: nothing can start it.")
    if job.is_paused(now):
        until = f" until {job.paused_until:%Y-%m-%d %H:%M} UTC" if job.paused_until else ""
        by = f" by {job.paused_by}" if job.paused_by else ""
        why = f": {job.paused_reason}" if job.paused_reason else ""
        raise JobPaused(
            f"The job {job.slug!r} was paused{by}{until}{why}.",
            paused_until=job.paused_until,
            paused_by=job.paused_by,
            paused_reason=job.paused_reason,
        )
    if job.broken_reason:
        raise JobBroken(f"The job {job.slug!r} is broken: {job.broken_reason}")
    if trigger is not None and not trigger.enabled:
        raise TriggerDisabled(f"The trigger {trigger.label!r} of the job {job.slug!r} is disabled.")


def check_chain(parent: Run | None) -> None:
    """Raises LoopStopped if a run that `parent` caused would be one too many hops from the first, or too soon."""
    if parent is None:
        return
    if parent.hops >= settings.HOP_LIMIT:
        raise LoopStopped(
            f"Run {parent.pk} is {parent.hops} hops from the run that began it all, expected fewer than "
            f"{settings.HOP_LIMIT}: this looks like a loop."
        )
    root_id, limit = parent.root_id or parent.pk, settings.ROOT_RATE_LIMIT
    newest = Run.objects.filter(root_id=root_id).order_by("-id").values_list("created_at", flat=True)
    for created_at in newest[limit - 1 : limit]:
        if created_at > timezone.now() - timedelta(minutes=1):
            raise LoopStopped(f"Run {root_id} caused {limit} runs within a minute: this looks like a loop.")
