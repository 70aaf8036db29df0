"""The admin of dependencies: which jobs a job follows, on which ending, how much later, and what it is passed."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from jobs.inputs import JSONObjectField
from jobs.models import Job
from runs import strips
from runs.templatetags.headway import strip
from triggers import dependencies
from triggers.admin.form import TriggerForm
from triggers.admin.triggering import TriggerPanel
from triggers.models import Condition, Dependency, Kind, Needs

HISTORY = 20


class DependencyForm(TriggerForm):
    """A dependency. Offered are the jobs that keep the graph acyclic; a circle is refused with its chain."""

    upstream = forms.ModelMultipleChoiceField(
        Job.objects.none(),
        label="Follows",
        widget=forms.SelectMultiple(attrs={"size": 8}),
        help_text="The jobs whose runs it waits for. Offered are those that do not come after it themselves.",
    )
    condition = forms.ChoiceField(
        choices=Condition.choices, initial=Condition.ON_SUCCESS, widget=forms.RadioSelect
    )
    needs = forms.ChoiceField(
        label="Of several", choices=Needs.choices, initial=Needs.ANY, widget=forms.RadioSelect
    )
    mapping = JSONObjectField(
        help_text="Parameters taken from the upstream run, each by a JSON Pointer, such as "
        '{"batch": "/result/batch", "why": "/error/message"}. Over the parameters above.'
    )

    class Meta:
        model = Dependency
        exclude = ("upstreams",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.kind = Kind.DEPENDENCY
        known = self.instance if self.instance.pk else None
        if known is not None:
            self.initial["upstream"] = list(known.upstreams.all())
        field: Any = self.fields["upstream"]
        field.queryset = Job.objects.all()
        job = known.job if known is not None else self._wanted_job()
        # What was sent may be any job, so that a circle is told with its chain.
        if job is not None and not self.is_bound:
            field.queryset = dependencies.available_upstream(job, trigger=known)

    def _wanted_job(self) -> Job | None:
        """The job that the address of an empty form names."""
        wanted = str(self.initial.get("job", ""))
        is_number = wanted.isascii() and wanted.isdigit() and len(wanted) < 19
        return Job.objects.filter(pk=wanted).first() if is_number else None

    def clean(self) -> dict[str, Any]:
        """Checks that the job would not come after itself."""
        cleaned = super().clean()
        job = cleaned.get("job") or (self.instance.job if self.instance.job_id else None)
        if job is not None and cleaned.get("upstream"):
            known = self.instance if self.instance.pk else None
            try:
                dependencies.check(job=job, upstreams=cleaned["upstream"], trigger=known)
            except dependencies.CircularDependency as error:
                self.add_error("upstream", str(error))
        return cleaned

    def _counts(self, code: str) -> bool:
        return code != "required" or not self.cleaned_data.get("mapping")


class DependencyList(ChangeList):
    """A page of dependencies with their upstreams and what those led to lately."""

    def get_results(self, request: HttpRequest) -> None:
        """Django's page of results, and the strips."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        latest = strips.of_dependencies([trigger.pk for trigger in self.result_list])
        for trigger in self.result_list:
            trigger.latest = latest[trigger.pk]


@admin.register(Dependency)
class DependencyAdmin(TriggerPanel):
    """Dependencies."""

    kind = Kind.DEPENDENCY
    form = DependencyForm
    list_display = ["__str__", "job_link", "rule", "state", "latest"]
    list_filter = ["enabled", "condition", "needs"]
    search_fields = ["name", "job__name", "job__slug", "upstreams__slug"]
    search_help_text = "By name, or by a job that it starts or follows."
    row_buttons: ClassVar = ["enable", "disable", "fire"]
    page_buttons: ClassVar = ["fire", "enable", "disable"]
    change_form_template = "admin/triggers/dependency/change_form.html"
    fieldsets = (
        (None, {"fields": ("job", "name", "enabled")}),
        ("When", {"fields": ("upstream", "condition", "delay_minutes")}),
        ("If it follows several", {"fields": ("needs", "window_minutes")}),
        ("Its runs", {"fields": ("priority", "rate_limit", "parameters", "mapping")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Dependencies with their upstreams."""
        return super().get_queryset(request).prefetch_related("upstreams")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[DependencyList]:
        """The list that reads what its columns need."""
        return DependencyList

    def get_readonly_fields(self, request: HttpRequest, obj: Dependency | None = None) -> list[str]:
        """A dependency keeps its job: the graph was checked with it."""
        return ["job"] if obj else []

    def save_model(self, request: HttpRequest, obj: Dependency, form: Any, change: bool) -> None:
        """Stores the rule and its edges under the lock that keeps the graph acyclic."""
        dependencies.save(obj, upstreams=list(form.cleaned_data["upstream"]))

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The form; an edit that lost against one that would have closed a circle with it is said so."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except (dependencies.CircularDependency, ValidationError) as error:
            messages.error(request, f"Nothing was saved: {error}")
            return HttpResponseRedirect(request.get_full_path())

    def page_context(self, request: HttpRequest, obj: Dependency) -> dict[str, Any]:
        """What became of the last upstream runs."""
        return {
            "history": obj.followings.select_related("job")[:HISTORY],
            "needed": list(obj.upstreams.all()),
        }

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """The dependencies, and how many entries of their history go with them: too many to be listed."""
        found = list(objs)
        ids = [trigger.pk for trigger in found]
        count = Dependency.objects.filter(pk__in=ids).aggregate(count=Count("followings"))["count"]
        lacking = set() if self.has_delete_permission(request) else {"dependency"}
        listed = [f"{trigger.job}: {trigger}" for trigger in found]
        return listed, {"dependencies": len(found), "entries of their history": count}, lacking, []

    @admin.display(description="Rule")
    def rule(self, trigger: Dependency) -> str:
        """The rule in words."""
        return dependencies.described(trigger, list(trigger.upstreams.all()))

    @admin.display(description="Last upstream runs")
    def latest(self, trigger: Any) -> Any:
        """What the last 20 upstream runs led to."""
        return strip(trigger.latest)
