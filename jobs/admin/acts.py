"""What one does with jobs in the admin: run, pause, resume, duplicate, take over from the code."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs import copying, parameters, pausing, switching, sync
from jobs.admin import running
from jobs.admin.form import sentence_of
from jobs.buttons import button
from jobs.models import Job
from jobs.panel import Panel, PauseForm
from runs import launch


def _may_start(job: Job) -> bool:
    try:
        launch.check(job)
    except launch.LaunchRefused:
        return False
    return True


class TagForm(forms.Form):
    """Which tag."""

    tag = forms.CharField(max_length=switching.TAG_LENGTH)


class JobActs(Panel):
    """Jobs: the buttons and actions."""

    actions = [
        "run_selected",
        "pause_selected",
        "resume_selected",
        "enable_selected",
        "disable_selected",
        "tag_selected",
        "duplicate_selected",
    ]
    row_buttons: ClassVar = ["run"]
    page_buttons: ClassVar = ["run", "pause", "resume", "duplicate"]
    refusals: ClassVar = (
        launch.LaunchRefused,
        parameters.InvalidParameters,
        pausing.PauseRefused,
        switching.SwitchRefused,
    )

    @button("Run", permission="jobs.run_job", offered=_may_start, asks=True)
    def run(self, request: HttpRequest, job: Job) -> SafeString | HttpResponse:
        """Launches the job, if need be after asking for parameters."""
        return running.run(self, request, job)

    @button(
        "Pause",
        permission="jobs.pause_job",
        offered=lambda job: job.status == Job.Status.ACTIVE,
        asks=True,
    )
    def pause(self, request: HttpRequest, job: Job) -> str | HttpResponse:
        """Asks why and until when, and pauses the job."""
        asked = self._ask_pause(request, [job])
        return asked if isinstance(asked, HttpResponse) else self._pause(request, job, asked)

    @button("Resume", permission="jobs.pause_job", offered=lambda job: job.status == Job.Status.PAUSED)
    def resume(self, request: HttpRequest, job: Job) -> str:
        """Ends the pause."""
        pausing.resume(job, by=request.user.get_username())
        return f"Resumed {job.name}."

    @button("Duplicate", permission="jobs.add_job")
    def duplicate(self, request: HttpRequest, job: Job) -> SafeString:
        """Makes an inactive copy."""
        assert isinstance(request.user, User)
        copy = copying.duplicate(job, owner=request.user)
        self.note(request, [copy], f"Made as a copy of {job.slug}.")
        address = reverse("admin:jobs_job_change", args=[copy.pk])
        return format_html(
            'Duplicated {} as <a href="{}">{}</a>, which is inactive.', job.name, address, copy.slug
        )

    @button("Take over from code", permission="jobs.change_job")
    def take_over(self, request: HttpRequest, job: Job) -> str:
        """Gives the chosen fields the values that the code declares."""
        known = [difference.field for difference in sync.differences(job)]
        chosen = [name for name in known if name in request.POST.getlist("field")]
        sync.take_over(job, chosen)
        return f"Took over from the code: {sentence_of(chosen)}." if chosen else "No field was chosen."

    @admin.action(description="Run selected jobs with their defaults", permissions=["run"])
    def run_selected(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        """Launches each job, after saying how many."""
        if "_confirmed" not in request.POST:
            template, title = "admin/jobs/job/run_selected.html", "Run the selected jobs"
            return self.ask(request, jobs, template=template, title=title)
        self.each(request, jobs, lambda job: running.start(request, job))
        return None

    @admin.action(description="Pause selected jobs", permissions=["pause"])
    def pause_selected(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        """Asks once why and until when, and pauses each job."""
        asked = self._ask_pause(request, jobs)
        if isinstance(asked, HttpResponse):
            return asked
        self.each(request, jobs, lambda job: self._pause(request, job, asked))
        return None

    @admin.action(description="Resume selected jobs", permissions=["pause"])
    def resume_selected(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        """Ends the pause of each job."""
        self.each(request, jobs, lambda job: self.resume(request, job))

    @admin.action(description="Enable selected jobs", permissions=["change"])
    def enable_selected(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        """Makes each job active."""
        self.each(request, jobs, lambda job: self._switch(request, job, is_on=True))

    @admin.action(description="Disable selected jobs", permissions=["change"])
    def disable_selected(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        """Makes each job inactive."""
        self.each(request, jobs, lambda job: self._switch(request, job, is_on=False))

    @admin.action(description="Add a tag to selected jobs", permissions=["change"])
    def tag_selected(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        """Asks for the tag, and gives it to each job."""
        form = TagForm(request.POST if "_confirmed" in request.POST else None)
        if not form.is_valid():
            return self.ask(request, jobs, template="admin/jobs/job/tag.html", title="Add a tag", form=form)
        self.each(request, jobs, lambda job: self._tag(request, job, form.cleaned_data["tag"]))
        return None

    @admin.action(description="Duplicate selected jobs", permissions=["add"])
    def duplicate_selected(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        """Makes an inactive copy of each job."""
        self.each(request, jobs, lambda job: self.duplicate(request, job))

    def has_run_permission(self, request: HttpRequest) -> bool:
        """Whether the person may start jobs."""
        return request.user.has_perm("jobs.run_job")

    def has_pause_permission(self, request: HttpRequest) -> bool:
        """Whether the person may pause and resume jobs."""
        return request.user.has_perm("jobs.pause_job")

    def _switch(self, request: HttpRequest, job: Job, *, is_on: bool) -> str:
        switching.switch(job, is_on=is_on, by=request.user.get_username())
        return f"{job.name} is {'active' if is_on else 'inactive'}."

    def _tag(self, request: HttpRequest, job: Job, tag: str) -> str:
        return f"{job.name} has the tag {switching.add_tag(job, tag, by=request.user.get_username())}."

    def _ask_pause(self, request: HttpRequest, jobs: Iterable[Job]) -> dict[str, Any] | HttpResponse:
        """What the form of a pause says, or the page that asks."""
        form = PauseForm(request.POST if "_confirmed" in request.POST else None)
        if form.is_valid():
            return form.cleaned_data
        return self.ask(request, jobs, template="admin/jobs/job/pause.html", title="Pause", form=form)

    def _pause(self, request: HttpRequest, job: Job, asked: dict[str, Any]) -> str:
        pausing.pause(job, by=request.user.get_username(), **asked)
        until = job.paused_until and timezone.localtime(job.paused_until)
        return f"Paused {job.name}{f' until {until:%Y-%m-%d %H:%M %Z}' if until else ''}."
