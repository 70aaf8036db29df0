"""The columns of the list of jobs: what the page's jobs have in common is read once, not row by row."""

import json
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.models import Job
from runs import strips, tallies
from runs.templatetags.headway import icon, kind, moment, strip
from triggers import kinds

_FACES = {
    Job.Status.ACTIVE: ("green", "succeeded"),
    Job.Status.PAUSED: ("violet", "waiting"),
    Job.Status.INACTIVE: ("grey", "skipped"),
}


class StateFilter(admin.SimpleListFilter):
    """By whether the job may be started: a pause that is over counts as none."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The states people see."""
        return [(word, word.capitalize()) for word in ("active", "paused", "inactive", "broken")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """The jobs in the chosen state."""
        match self.value():
            case "active":
                return queryset.runnable()
            case "paused":
                return queryset.paused()
            case "inactive":
                return queryset.filter(status=Job.Status.INACTIVE)
            case "broken":
                return queryset.filter(broken_reason__isnull=False)
        return queryset


class JobList(ChangeList):
    """A page of jobs with their triggers, latest runs and counts: one query each."""

    def get_results(self, request: HttpRequest) -> None:
        """Django's page of results, and what its columns need."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        ids = [job.pk for job in self.result_list]
        latest, counts, of_kinds = strips.of_jobs(ids), tallies.of_jobs(ids), kinds.of_jobs(ids)
        for job in self.result_list:
            job.latest, job.counts, job.of_kinds = latest[job.pk], counts[job.pk], of_kinds[job.pk]


@admin.display(description="Job", ordering="name")
def name(job: Job) -> SafeString:
    """Name and slug."""
    return format_html('{} <span class="slug">{}</span>', job.name, job.slug)


@admin.display(description="State", ordering="status")
def state(job: Job) -> SafeString:
    """Whether the job may be started, with the reason if not."""
    if job.broken_reason:
        return _badge("red", "failed", "broken", job.broken_reason)
    status = Job.Status(job.effective_status(timezone.now()))
    return _badge(*_FACES[status], status.value, job.paused_reason if status == Job.Status.PAUSED else "")


@admin.display(description="Last runs")
def latest(job: Any) -> SafeString:
    """The strip of the last 20, which leads to the newest."""
    if not job.latest:
        return strip([])
    newest = reverse("pages:run", args=[job.latest[0].run_id])
    return format_html('<a href="{}">{}</a>', newest, strip(job.latest))


@admin.display(description="Last ended")
def ended(job: Any) -> SafeString:
    """When the last run that ended did so."""
    return moment(job.counts.last_run_at)


@admin.display(description="Next run")
def next_run(job: Any) -> SafeString:
    """The earliest slot of all its schedules that will start it."""
    return moment(kinds.next_run_at(job.of_kinds))


@admin.display(description="Triggers")
def triggers(job: Any) -> SafeString:
    """A mark for each kind of trigger with their number, struck through if all are off."""
    marks = []
    for each in job.of_kinds:
        mark = format_html("{}{}", kind(each.kind), f" × {each.number}" if each.number > 1 else "")
        marks.append(mark if each.is_on else format_html('<s title="disabled">{}</s>', mark))
    return format_html("{}" * len(marks), *marks) if marks else SafeString("–")


def _badge(colour: str, picture: str, word: str, why: str) -> SafeString:
    return format_html('<span class="badge {}" title="{}">{}{}</span>', colour, why, icon(picture), word)


def as_json(value: Any) -> SafeString:
    """A value as indented JSON."""
    return format_html('<pre class="json">{}</pre>', json.dumps(value, ensure_ascii=False, indent=2))
