"""Duplicates a job: the same work under another slug, for somebody to change before it is used."""

from itertools import count

from django.contrib.auth.models import User

from jobs.models import Job
from jobs.registry import SLUG_LENGTH

_OWN = {"id", "slug", "name", "owner", "status", "declared", "version", "created_at", "updated_at"}
_OWN |= {"paused_at", "paused_by", "paused_reason", "paused_until", "circuit_target"}


def duplicate(job: Job, *, owner: User) -> Job:
    """A new, inactive job that does what `job` does, with its policies, and without triggers or history."""
    fields = [field for field in Job._meta.concrete_fields if field.name not in _OWN]
    values = {field.name: getattr(job, field.name) for field in fields}
    if job.executor == "python":
        # The copy has another slug, by which no function is declared.
        values["configuration"] = {"function": job.slug} | job.configuration
    return Job.objects.create(
        **values,
        slug=_free_slug(job.slug),
        name=f"Copy of {job.name}"[:200],
        owner=owner,
        status=Job.Status.INACTIVE,
    )


def _free_slug(slug: str) -> str:
    """The first of slug-copy, slug-copy-2, slug-copy-3 … that no job has."""
    for number in count(1):
        ending = "-copy" if number == 1 else f"-copy-{number}"
        candidate = slug[: SLUG_LENGTH - len(ending)].rstrip("-") + ending
        if not Job.objects.filter(slug=candidate).exists():
            return candidate
    raise AssertionError("count() ended")
