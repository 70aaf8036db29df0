"""Which jobs a caller may see: a key with a list of jobs knows no others, neither by name nor in lists."""

from typing import Any, TypeVar

from django.db.models import QuerySet
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from jobs.models import Job, JobQuerySet
from triggers.models import ApiKey

Rows = TypeVar("Rows", bound="QuerySet[Any]")


class VisibleJobs(BaseFilterBackend):
    """Narrows every list and lookup to the jobs the caller may see.

    A view names in `job_lookup` how its objects lead to their job ("pk" for jobs themselves); one that
    forgets it fails at once instead of showing too much.
    """

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        """The rows of `queryset` whose job the caller may see."""
        lookup: str = view.job_lookup
        return visible(queryset, auth=request.auth, lookup=lookup)


def visible(rows: Rows, *, auth: object, lookup: str) -> Rows:
    """The rows whose job (`lookup`) the credential may see; a person, and a key without a list, see all."""
    if not isinstance(auth, ApiKey):
        return rows
    allowed = auth.allowed_jobs()
    return rows if allowed is None else rows.filter(**{f"{lookup}__in": allowed})


def visible_jobs(auth: object) -> JobQuerySet:
    """The jobs that the credential may see."""
    return visible(Job.objects.all(), auth=auth, lookup="pk")
