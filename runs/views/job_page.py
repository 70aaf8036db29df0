"""The page of one job: start it, what starts it, how it went, how to start it from outside."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.db.models import (
    BooleanField,
    ExpressionWrapper,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    prefetch_related_objects,
)
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from jobs import form, priority, retry
from jobs.changes import Change
from jobs.models import DedupMode, Job
from jobs.parameters import InvalidParameters
from runs import analytics, causes, circuits, launch, retention, strips, tallies
from runs.durations import duration_words
from runs.models import Deadline, Run
from runs.views import job_charts
from runs.views.access import PAUSE_JOB, RUN_JOB, VIEW_CHANGES, VIEW_RUNS, back, permitted, person
from runs.views.audit_page import may_revert
from runs.views.job_call import call_url, curl, python
from runs.views.job_list import status_of
from runs.views.launch_form import PREFIX, LaunchForm
from runs.views.run_list import listed, rights
from runs.views.schedule_list import entries, loaded
from runs.views.schedule_words import coming
from triggers import dependencies
from triggers.models import Kind, Reaction, Trigger

HISTORY = 10
CALENDAR_DAYS = 90
CALLS = 5
CHANGES = 5
BREACHES = 5
SLOTS = 3
TRIGGERS = 50
DAYS = 30


@permitted(VIEW_RUNS)
@require_GET
def job_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The page."""
    job = _find(slug)
    return _show(request, job, LaunchForm(job=job, values=job.defaults))


@permitted(RUN_JOB)
@require_POST
def run_job(request: HttpRequest, slug: str) -> HttpResponse:
    """Starts the job by hand, and shows the run; with parameters that do not fit, the form again."""
    job = _find(slug)
    shown = LaunchForm(job=job, values=job.defaults, typed=request.POST)
    try:
        asked = launch.Request(
            parameters=form.from_form(job.schema, request.POST, prefix=PREFIX, defaults=job.defaults),
            priority=priority.parse(shown.priority) if shown.priority else None,
        )
        launched = launch.launch(job, cause=causes.manual(user=person(request)), request=asked)
    except InvalidParameters as error:
        shown.refuse(error)
        return _show(request, job, shown)
    except (launch.LaunchRefused, priority.InvalidPriority) as error:
        shown.refusal = str(error)
        return _show(request, job, shown)
    if launched.created:
        messages.success(request, f"Started run #{launched.run.pk} of {job.name}.")
    else:
        messages.info(
            request, f"Run #{launched.run.pk} with the same dedup key is still open; nothing was started."
        )
    return HttpResponseRedirect(reverse("pages:run", args=[launched.run.pk]))


@permitted(PAUSE_JOB)
@require_POST
def reset_circuit(request: HttpRequest, slug: str) -> HttpResponse:
    """Closes the job's circuit breaker by hand."""
    job = _find(slug)
    circuit = circuits.of_job(job)
    by = causes.actor(user=person(request), api_key=None)
    if circuit is not None and circuits.reset(circuit, by=by):
        messages.success(request, f"The circuit breaker {circuit.target} is closed: runs may start again.")
    else:
        messages.info(request, f"{job.name} has no circuit breaker that is open; nothing was done.")
    return back(request, otherwise=reverse("pages:job", args=[job.slug]))


def _find(slug: str) -> Job:
    job = Job.objects.select_related("owner").filter(slug=slug).first()
    if job is None:
        raise Http404(f"There is no job {slug!r}.")
    return job


def _show(request: HttpRequest, job: Job, shown: LaunchForm) -> HttpResponse:
    now = timezone.now()
    status, user = status_of(job, now), person(request)
    triggers = loaded(_first(job))
    schedules = entries([trigger for trigger in triggers if trigger.kind == Kind.SCHEDULE], now=now)
    newest = list(listed(Run.objects.filter(job=job)).order_by("-pk")[: job_charts.MOST])
    context = {
        "job": job,
        "status": status,
        "form": shown,
        "may_start": status == "active" and user.has_perm(RUN_JOB),
        "may_run": user.has_perm(RUN_JOB),
        "may": rights(request),
        "priorities": priority.NAMES,
        "schedules": [(entry, coming(entry.trigger, now=now, count=SLOTS)) for entry in schedules],
        "follows": _follows(triggers),
        "events": _events(triggers),
        "site_url": request.build_absolute_uri("/").rstrip("/"),
        "followers": [(each, dependencies.described(each, [job])) for each in dependencies.of(job)],
        "remote": next((trigger for trigger in triggers if trigger.kind == Kind.REMOTE), None),
        "counts": tallies.of_job(job.pk),
        "days": DAYS,
        "results": strips.of_runs(newest[: strips.COUNT]),
        "runs": newest[:HISTORY],
        "policies": _policies(job),
        "circuit": circuits.seen(circuits.of_job(job)),
        "may_reset": user.has_perm(PAUSE_JOB),
        "breaches": _breaches(job, triggers),
        "edit_url": _edit_url(job) if user.is_staff and user.has_perm("jobs.change_job") else "",
        **_calls(request, job),
        **_past(request, job, triggers, now),
        "durations": job_charts.durations(newest),
        "has_more_triggers": len(triggers) == TRIGGERS,
    }
    return render(request, "jobs/job.html", context, status=shown.status)


def _first(job: Job) -> QuerySet[Trigger]:
    """The job's triggers as far as its page shows them: schedules last, for of these a job may have very many."""
    is_schedule = ExpressionWrapper(Q(kind=Kind.SCHEDULE), output_field=BooleanField())
    return job.triggers.order_by(is_schedule, "id")[:TRIGGERS]


def _follows(triggers: Sequence[Trigger]) -> list[tuple[Trigger, str]]:
    """The dependencies among the job's triggers, each with its rule in words."""
    found = [trigger for trigger in triggers if trigger.kind == Kind.DEPENDENCY]
    return [(trigger, dependencies.described(trigger, list(trigger.upstreams.all()))) for trigger in found]


def _events(triggers: Sequence[Trigger]) -> list[tuple[Trigger, Reaction | None]]:
    """The event triggers among the job's triggers, each with what came of its last delivery."""
    found = [trigger for trigger in triggers if trigger.kind == Kind.EVENT]
    prefetch_related_objects(found, "source")
    newest = Reaction.objects.filter(trigger=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    last = Trigger.objects.filter(pk__in=[each.pk for each in found]).values_list("pk", Subquery(newest))
    reactions = Reaction.objects.in_bulk([pk for _, pk in last if pk]) if found else {}
    latest = {reaction.trigger_id: reaction for reaction in reactions.values()}
    return [(trigger, latest.get(trigger.pk)) for trigger in found]


def _calls(request: HttpRequest, job: Job) -> dict[str, Any]:
    url = call_url(request, job)
    return {"curl": curl(url, job), "python": python(url, job)}


def _past(request: HttpRequest, job: Job, triggers: Sequence[Trigger], now: datetime) -> dict[str, Any]:
    """Its days and durations, the last calls of programs, and who changed what for those who may see it."""
    user, zone = person(request), ZoneInfo(timezone.get_current_timezone_name())
    remote = [trigger for trigger in triggers if trigger.kind == Kind.REMOTE]
    calls = Run.objects.filter(trigger__in=remote).select_related("api_key").order_by("-pk")
    seen = Change.objects.seen_by(user).of(job).select_related("context")[:CHANGES]
    by_day = analytics.days(job.pk, now=now, count=CALENDAR_DAYS, zone=zone)
    return {
        "calendar": job_charts.calendar(by_day),
        "lately": analytics.together(list(by_day.values())[-DAYS:]),
        "last_calls": calls[:CALLS],
        "changes": [(change, may_revert(user, change)) for change in seen]
        if user.has_perm(VIEW_CHANGES)
        else None,
    }


def _policies(job: Job) -> list[tuple[str, str]]:
    """How the job is carried out, in words."""
    lane = f"{job.priority} (lane {priority.lane(job.priority)})" if job.priority else "by cause"
    return [
        ("Tries", retry.words(job.retry_policy)),
        ("Time limit", duration_words(job.timeout_seconds)),
        ("When a worker is lost", "tried again" if job.on_lost == Job.OnLost.RETRY else "the run fails"),
        ("Must start, from being due", _within(job.start_within_seconds)),
        ("Must finish, from being due", _within(job.finish_within_seconds)),
        ("At a time", f"at most {job.max_concurrent_runs}" if job.max_concurrent_runs else "no limit"),
        ("With one concurrency key", _per_key(job)),
        ("Starts", _starts(job)),
        ("Circuit breaker", _circuit(job)),
        ("Priority", lane),
        ("Dedup key", _dedup_words(job)),
        ("Runs are kept", retention.words(job)),
    ]


def _per_key(job: Job) -> str:
    key = job.concurrency_key_template
    return f"at most {job.max_concurrent_per_key} at a time of each {key}" if key else "no limit"


def _starts(job: Job) -> str:
    if job.max_starts is None:
        return "no limit"
    return f"at most {job.max_starts} in {duration_words(job.starts_window_seconds)}"


def _circuit(job: Job) -> str:
    if job.circuit_failure_rate is None:
        return "none"
    return (
        f"opens for {duration_words(job.circuit_cooldown_seconds)} when {job.circuit_failure_rate:.0%} of at "
        f"least {job.circuit_min_calls} attempts within {duration_words(job.circuit_window_seconds)} failed"
    )


def _breaches(job: Job, triggers: Sequence[Trigger]) -> Sequence[Deadline]:
    """The newest deadlines that its runs breached; nothing is asked where nothing is promised."""
    promises: list[Job | Trigger] = [job, *triggers]
    if all(one.start_within_seconds is None and one.finish_within_seconds is None for one in promises):
        return []
    return list(Deadline.objects.filter(job=job, is_breached=True).order_by("-pk")[:BREACHES])


def _within(seconds: int | None) -> str:
    return f"within {duration_words(seconds)}" if seconds is not None else "no promise"


def _edit_url(job: Job) -> str:
    try:
        return reverse("admin:jobs_job_change", args=[job.pk])
    except NoReverseMatch:
        return ""


def _dedup_words(job: Job) -> str:
    words = {
        DedupMode.RETURN_EXISTING: "one open run",
        DedupMode.REPLACE_QUEUED: "one open run, the newest replaces one that was not started",
        DedupMode.KEEP_LAST: "the newest waits for the one that was started",
    }
    key = job.dedup_key_template
    return f"{key}: {words[DedupMode(job.dedup_mode)]}" if key else "none"
