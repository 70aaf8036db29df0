"""What people do to several jobs at once on the page /jobs/: run, pause, resume, switch on and off, tag."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST

from jobs import pausing, switching
from jobs.models import Job
from jobs.parameters import InvalidParameters
from jobs.pausing import PauseRefused
from jobs.switching import SwitchRefused
from runs import causes, launch
from runs.launch import LaunchRefused
from runs.views.access import (
    CHANGE_JOB,
    PAUSE_JOB,
    RUN_JOB,
    VIEW_RUNS,
    back,
    demand,
    permitted,
    person,
    until_of,
)

MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that can be done to a job: the permission it needs, and what does it and says so."""

    permission: str
    do: Callable[[HttpRequest, Job], str]


@permitted(VIEW_RUNS)
@require_POST
def act(request: HttpRequest) -> HttpResponse:
    """Does `act` to the jobs that were ticked (`job`); running them asks first, and says how many."""
    word, slugs = request.POST.get("act", ""), request.POST.getlist("job")
    if word not in KNOWN:
        messages.error(request, f"{word!r} is no act on jobs: expected one of {', '.join(KNOWN)}.")
        return back(request, otherwise=reverse("pages:jobs"))
    demand(person(request), KNOWN[word].permission)
    jobs = list(Job.objects.filter(slug__in=slugs[:MOST]).order_by("name", "pk"))
    if not jobs or len(slugs) > MOST:
        told = "No job was selected" if not jobs else f"At most {MOST} jobs can be selected"
        messages.error(request, f"{told}: nothing was done.")
        return back(request, otherwise=reverse("pages:jobs"))
    if word == "run" and "confirmed" not in request.POST:
        return render(request, "jobs/run_selected.html", {"jobs": jobs, "next": request.POST.get("next", "")})
    _each(request, jobs, KNOWN[word].do)
    return back(request, otherwise=reverse("pages:jobs"))


def _each(request: HttpRequest, jobs: Sequence[Job], do: Callable[[HttpRequest, Job], str]) -> None:
    """A refusal doesn't keep the others from being done."""
    done = []
    for job in jobs:
        try:
            done.append(do(request, job))
        except (LaunchRefused, PauseRefused, SwitchRefused) as refusal:
            messages.error(request, str(refusal))
        except InvalidParameters as refusal:
            messages.error(request, f"{job.name} needs parameters: {refusal}")
    if done:
        messages.success(request, " ".join(done))


def _run(request: HttpRequest, job: Job) -> str:
    run = launch.launch(job, cause=causes.manual(user=person(request))).run
    return f"Started run #{run.pk} of {job.name}."


def _pause(request: HttpRequest, job: Job) -> str:
    reason = request.POST.get("reason", "").strip()
    pausing.pause(job, by=person(request).get_username(), reason=reason, until=until_of(request))
    return f"Paused {job.name}."


def _resume(request: HttpRequest, job: Job) -> str:
    pausing.resume(job, by=person(request).get_username())
    return f"Resumed {job.name}."


def _enable(request: HttpRequest, job: Job) -> str:
    switching.switch(job, is_on=True, by=person(request).get_username())
    return f"{job.name} is active."


def _disable(request: HttpRequest, job: Job) -> str:
    switching.switch(job, is_on=False, by=person(request).get_username())
    return f"{job.name} is inactive; what it had queued will be skipped."


def _tag(request: HttpRequest, job: Job) -> str:
    tag = switching.add_tag(job, request.POST.get("tag", ""), by=person(request).get_username())
    return f"{job.name} has the tag {tag}."


KNOWN: Final = {
    "run": Act(RUN_JOB, _run),
    "pause": Act(PAUSE_JOB, _pause),
    "resume": Act(PAUSE_JOB, _resume),
    "enable": Act(CHANGE_JOB, _enable),
    "disable": Act(CHANGE_JOB, _disable),
    "tag": Act(CHANGE_JOB, _tag),
}
