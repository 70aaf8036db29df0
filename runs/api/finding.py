"""Who calls, and what they named: a job, a scheduled job or a run, if they may see it at all."""

from dataclasses import replace
from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from jobs.expectations import shown
from jobs.models import Job
from runs import causes, deleted
from runs.launch import Cause, LaunchRefused
from runs.models import RecipientList, Run
from triggers.models import ApiKey, Kind
from triggers.visibility import visible, visible_jobs


def caller(request: Request) -> dict[str, Any]:
    """Who acts, as causes take it: the key, or without one the person."""
    if isinstance(request.auth, ApiKey):
        return {"api_key": request.auth}
    return {"user": request.user}


def find_job(request: Request, slug: str) -> Job:
    """The job of that slug; raises NotFound, as well if the key may not see it."""
    job = visible_jobs(request.auth).filter(slug=slug).first()
    if job is None:
        raise NotFound(f"There is no job {shown(slug)}.")
    return job


def find_scheduled_job(request: Request, slug: str) -> Job:
    """The job of that slug if it has a schedule; raises NotFound."""
    job = find_job(request, slug)
    if not job.triggers.filter(kind=Kind.SCHEDULE).exists():
        raise NotFound(f"The job {shown(slug)} has no schedule.")
    return job


def find_run(request: Request, text: str, *, missing: str = "") -> Run:
    """The run of that id or name; raises NotFound, as well if the key may not see its job, and RunDeleted."""
    runs = visible(Run.objects.named(text), auth=request.auth, lookup="job")
    run = runs.select_related("job", "api_key", "created_by").first()
    if run is None:
        if not (isinstance(request.auth, ApiKey) and request.auth.allowed_jobs() is not None):
            deleted.check(text)
        raise NotFound(missing or f"There is no run {shown(text)}.")
    return run


def in_chain(request: Request, cause: Cause) -> Cause:
    """`cause` with the run that makes this call as its parent, if the header `Headway-Run` names one.

    So a chain that goes through the API is known as one, and a loop in it is stopped (`runs.launch`). Raises
    NotFound for a run that is none, and LaunchRefused for one that is not running.
    """
    text = request.headers.get("Headway-Run")
    if text is None:
        return cause
    run = find_run(request, text)
    if run.status != Run.Status.RUNNING:
        raise LaunchRefused(
            f"Run #{run.pk}, which Headway-Run names, is {run.status}: it can't make this call."
        )
    return replace(cause, parent=run, sentence=f"{cause.sentence}, from within {run.job.slug} #{run.pk}")


def actor(request: Request) -> str:
    """How a sentence names who acts."""
    who = caller(request)
    return causes.actor(user=who.get("user"), api_key=who.get("api_key"))


def visible_lists(request: Request) -> QuerySet[RecipientList]:
    """The saved lists that the caller may see; a key that is bound to some jobs knows only those it saved."""
    auth = request.auth
    is_bound = isinstance(auth, ApiKey) and auth.allowed_jobs() is not None
    known = RecipientList.objects.all()
    return known.filter(saved_by=actor(request)) if is_bound else known
