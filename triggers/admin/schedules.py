"""The admin of schedules: cron text, zone and policies in words, with a preview before anything is saved."""

from collections.abc import Iterable
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.buttons import button
from jobs.panel import PauseForm
from jobs.pausing import PauseRefused
from runs import strips
from runs.templatetags.headway import moment, strip
from triggers import cron, dependencies, ledger, pausing, requirements, schedules, shifting
from triggers.admin.form import PRESETS, PREVIEWED, ScheduleForm, ZoneForm
from triggers.admin.triggering import TriggerPanel
from triggers.ledger import LedgerRefused
from triggers.models import Kind, Occurrence, Schedule, Trigger

CHANGE: Final = "triggers.change_trigger"
FIRE: Final = "triggers.fire_trigger"


class ScheduleList(ChangeList):
    """A page of schedules with what became of their latest slots: one query."""

    def get_results(self, request: HttpRequest) -> None:
        """Django's page of results, and the strips."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        latest = strips.of_schedules([schedule.pk for schedule in self.result_list])
        for schedule in self.result_list:
            schedule.latest = latest[schedule.pk]


@admin.register(Schedule)
class ScheduleAdmin(TriggerPanel):
    """Schedules."""

    kind = Kind.SCHEDULE
    form = ScheduleForm
    list_display = ["__str__", "job_link", "rule", "state", "next_run", "latest"]
    list_filter = ["enabled", "misfire", "overlap", "calendars"]
    refusals: ClassVar = (*TriggerPanel.refusals, PauseRefused, LedgerRefused)
    actions = [
        *TriggerPanel.actions,
        "pause_selected",
        "resume_selected",
        "shift_selected",
        "run_missed_of_selected",
    ]
    search_fields = ["name", "cron", "job__name", "job__slug"]
    search_help_text = "By name, cron text, or the name or slug of the job."
    row_buttons: ClassVar = ["enable", "disable", "fire"]
    page_buttons: ClassVar = ["fire", "run_missed", "dismiss_missed", "pause", "resume", "enable", "disable"]
    change_form_template = "admin/triggers/schedule/change_form.html"
    add_form_template = change_form_template
    fieldsets = (
        (None, {"fields": ("job", "name", "enabled")}),
        ("When", {"fields": ("cron", "timezone", "starts_at", "ends_at", "jitter_seconds", "calendars")}),
        (
            "Only after other jobs",
            {
                "fields": (
                    "upstream",
                    "condition",
                    "needs",
                    ("since", "window_minutes"),
                    ("wait_until", "wait_minutes", "otherwise"),
                )
            },
        ),
        (
            "When it can’t run on time",
            {
                "fields": (
                    "misfire",
                    ("misfire_limit", "misfire_deadline_seconds"),
                    "overlap",
                    ("start_within_seconds", "finish_within_seconds"),
                )
            },
        ),
        ("Its runs", {"fields": ("priority", "rate_limit", "parameters")}),
    )

    class Media:
        js = [forms.Script("js/admin-schedule.js", defer=True)]

    def get_urls(self) -> list[URLPattern]:
        """The preview's address before Django's own."""
        name = "triggers_schedule_preview"
        return [
            path("preview/", self.admin_site.admin_view(self.preview_view), name=name),
            *super().get_urls(),
        ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ScheduleList]:
        """The list that reads what its columns need."""
        return ScheduleList

    def get_readonly_fields(self, request: HttpRequest, obj: Schedule | None = None) -> list[str]:
        """A schedule stays with its job, whose runs it has caused."""
        return ["job"] if obj else []

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:
        """Stores the rule, and what it needs under the lock that keeps the graph of jobs acyclic."""
        if "upstream" in form.cleaned_data:
            requirements.save(obj, upstreams=list(form.cleaned_data["upstream"]))
        else:
            super().save_model(request, obj, form, change)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The form; an edit that lost against one that would have closed a circle with it is said so."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except (dependencies.CircularDependency, ValidationError) as error:
            messages.error(request, f"Nothing was saved: {error}")
            return HttpResponseRedirect(request.get_full_path())

    @button(
        "Pause", permission=CHANGE, offered=lambda schedule: not schedule.is_paused(timezone.now()), asks=True
    )
    def pause(self, request: HttpRequest, schedule: Schedule) -> str | HttpResponse:
        """Asks why and until when, and pauses the schedule."""
        asked = self._ask_pause(request, [schedule])
        return asked if isinstance(asked, HttpResponse) else self._pause(request, schedule, asked)

    @button("Resume", permission=CHANGE, offered=lambda schedule: schedule.is_paused(timezone.now()))
    def resume(self, request: HttpRequest, schedule: Schedule) -> str:
        """Ends the pause."""
        pausing.resume(schedule, by=request.user.get_username())
        return f"Resumed {schedule.label}: {self.outlook(schedule)}"

    def outlook(self, trigger: Trigger) -> str:
        """When it runs next."""
        coming = schedules.upcoming(trigger, after=timezone.now(), count=1)
        next_one = f"{timezone.localtime(coming[0]):%Y-%m-%d %H:%M %Z}" if coming else "never"
        return f"it runs next {next_one}, and nothing is caught up."

    @button(
        "Run missed slots",
        permission=FIRE,
        offered=lambda schedule: schedule.enabled and ledger.missed(schedule).exists(),
    )
    def run_missed(self, request: HttpRequest, schedule: Schedule) -> str:
        """Puts the missed slots in line; beat runs them in their order."""
        count = ledger.ask_missed(schedule, by=request.user.get_username(), now=timezone.now())
        return f"Slots of {schedule.label} in line to be run, in their order: {count}."

    @button(
        "Dismiss missed slots", permission=FIRE, offered=lambda schedule: ledger.missed(schedule).exists()
    )
    def dismiss_missed(self, request: HttpRequest, schedule: Schedule) -> str:
        """Notes that the missed slots are not to be run."""
        count = ledger.dismiss(schedule, slots=None, by=request.user.get_username())
        return f"Slots of {schedule.label} dismissed: {count}."

    @admin.action(description="Run missed slots of selected", permissions=["fire"])
    def run_missed_of_selected(self, request: HttpRequest, chosen: QuerySet[Schedule]) -> None:
        """Puts the missed slots of each in line."""
        self.each(request, chosen, lambda schedule: self.run_missed(request, schedule))

    def has_fire_permission(self, request: HttpRequest) -> bool:
        """By `fire_trigger`."""
        return request.user.has_perm(FIRE)

    def page_context(self, request: HttpRequest, obj: Schedule) -> dict[str, Any]:
        """The address of its slots, past and coming, and the jobs that it needs."""
        return {
            "slots_url": reverse("pages:schedule", args=[obj.pk]),
            "needed": list(obj.upstreams.all()),
        }

    @admin.action(description="Pause selected", permissions=["change"])
    def pause_selected(self, request: HttpRequest, chosen: QuerySet[Schedule]) -> HttpResponse | None:
        """Asks once why and until when, and pauses each."""
        asked = self._ask_pause(request, chosen)
        if isinstance(asked, HttpResponse):
            return asked
        self.each(request, chosen, lambda schedule: self._pause(request, schedule, asked))
        return None

    @admin.action(description="Resume selected", permissions=["change"])
    def resume_selected(self, request: HttpRequest, chosen: QuerySet[Schedule]) -> None:
        """Ends the pause of each."""
        self.each(request, chosen, lambda schedule: self.resume(request, schedule))

    @admin.action(description="Change zone of selected", permissions=["change"])
    def shift_selected(self, request: HttpRequest, chosen: QuerySet[Schedule]) -> HttpResponse | None:
        """Asks for the zone, says what moves, and moves each when that is confirmed."""
        form = ZoneForm(request.POST if "_asked" in request.POST else None)
        now, asked = timezone.now(), form.is_valid()
        if asked and "_confirmed" in request.POST:
            self.each(
                request, chosen, lambda schedule: self._shift(request, schedule, form.cleaned_data["zone"])
            )
            return None
        found = list(chosen.select_related("job"))
        moved = shifting.shifts(found, zone=form.cleaned_data["zone"], now=now) if asked else []
        template = "admin/triggers/schedule/zone.html"
        return self.ask(request, found, template=template, title="Change zone", form=form, shifts=moved)

    @staticmethod
    def _shift(request: HttpRequest, schedule: Schedule, zone: ZoneInfo) -> str:
        found = shifting.shift(schedule, zone=zone, now=timezone.now(), by=request.user.get_username())
        return f"{schedule.label} of {schedule.job.name}: {found.words}."

    def _ask_pause(self, request: HttpRequest, chosen: Iterable[Schedule]) -> dict[str, Any] | HttpResponse:
        """What the form of a pause says, or the page that asks."""
        form = PauseForm(request.POST if "_confirmed" in request.POST else None)
        if form.is_valid():
            return form.cleaned_data
        template = "admin/triggers/schedule/pause.html"
        return self.ask(request, chosen, template=template, title="Pause", form=form)

    def _pause(self, request: HttpRequest, schedule: Schedule, asked: dict[str, Any]) -> str:
        pausing.pause(schedule, by=request.user.get_username(), **asked)
        until = schedule.paused_until and timezone.localtime(schedule.paused_until)
        return f"Paused {schedule.label}{f' until {until:%Y-%m-%d %H:%M %Z}' if until else ''}."

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """The preview of the form as it stands, for the page to put in its place."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        saved = self.get_object(request, request.GET["saved"]) if request.GET.get("saved") else None
        data = request.POST.copy()
        data["_preview"] = "yes"
        form = self.get_form(request, saved, change=saved is not None)(data, instance=saved)
        form.is_valid()
        return TemplateResponse(request, "admin/triggers/schedule/_preview.html", self._previewed(form))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The form with its preview and the presets."""
        saved = kwargs.get("obj")
        if saved is None or self.has_change_permission(request, saved):
            address = reverse("admin:triggers_schedule_preview")
            context["preview_url"] = f"{address}?saved={saved.pk}" if saved else address
            context["presets"] = PRESETS
        context |= self._previewed(context["adminform"].form)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """The schedules, and how many slots of the ledger go with them: too many to be listed."""
        chosen = list(objs)
        slots = Occurrence.objects.filter(trigger__in=[schedule.pk for schedule in chosen]).count()
        counts = {"schedules": len(chosen), "slots in the ledger": slots}
        lacking = set() if self.has_delete_permission(request) else {"schedule"}
        return [f"{schedule.job}: {schedule}" for schedule in chosen], counts, lacking, []

    @admin.display(description="Rule")
    def rule(self, schedule: Schedule) -> SafeString:
        """The cron text in words and as it is, with its zone."""
        try:
            words = cron.describe(cron.parse(schedule.cron))
        except cron.InvalidCron as error:  # written past the form
            words = str(error)
        return format_html('{}<br><code class="cron">{}</code> {}', words, schedule.cron, schedule.timezone)

    @admin.display(description="Needs")
    def upstream(self, schedule: Schedule) -> str:
        """The jobs it needs, for people who may only look."""
        return ", ".join(job.slug for job in schedule.upstreams.all()) or "no other job"

    @admin.display(description="Next run", ordering="next_run_at")
    def next_run(self, schedule: Schedule) -> SafeString:
        """When it fires next."""
        return moment(schedule.runs_next_at)

    @admin.display(description="Last slots")
    def latest(self, schedule: Any) -> SafeString:
        """What became of the last 20 slots."""
        return strip(schedule.latest)

    @staticmethod
    def _previewed(form: Any) -> dict[str, Any]:
        errors = [error for name in PREVIEWED for error in form.errors.get(name, [])]
        return {
            "preview": form.preview(),
            "preview_errors": errors,
            "requirement": form.requirement(),
        }
