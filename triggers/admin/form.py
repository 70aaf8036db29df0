"""The forms of triggers: parameters checked against the job's schema, cron texts previewed before they are saved."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs import parameters
from jobs.inputs import JSONObjectField, unmasked
from jobs.models import Job
from triggers import cron, dependencies, drafts, requirements
from triggers.cron import Preview
from triggers.drafts import Draft
from triggers.models import Condition, Kind, Otherwise, RemoteTrigger, Schedule, Trigger

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Any]
else:
    _ModelForm = forms.ModelForm

PRESETS: Final = (
    ("Every 5 minutes", "*/5 * * * *"),
    ("Every 15 minutes", "*/15 * * * *"),
    ("Hourly", "0 * * * *"),
    ("Daily at 2:00", "0 2 * * *"),
    ("Weekdays at 8:00", "0 8 * * 1-5"),
    ("Monthly", "0 2 1 * *"),
)
PREVIEWED: Final = ("cron", "timezone", "starts_at", "ends_at", "calendars")
DRAFTED: Final = ("cron", "timezone", *drafts.BOUNDS, *drafts.OPTIONS)
SLOTS: Final = 5


class ZoneInput(forms.TextInput):
    """A text with every zone's name to choose from, searched by the browser without a script."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """The input and its list."""
        return (
            super().render(name, value, {**(attrs or {}), "list": "zones", "size": 36}, renderer) + _zones()
        )


@lru_cache(maxsize=1)
def _zones() -> SafeString:
    options = format_html_join("", '<option value="{}">', ((name,) for name in sorted(cron.zone_names())))
    return format_html('<datalist id="zones">{}</datalist>', options)


class ZoneField(forms.CharField):
    """A time zone by its name; a wrong one is answered with near names."""

    widget = ZoneInput

    def prepare_value(self, value: Any) -> Any:
        """The zone's name."""
        return value.key if isinstance(value, ZoneInfo) else value

    def to_python(self, value: Any) -> ZoneInfo | None:  # type: ignore[override]
        """The zone; raises ValidationError."""
        name = super().to_python(value)
        try:
            return cron.validate_zone(name) if name else None
        except cron.InvalidZone as error:
            raise ValidationError(str(error)) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether it is another zone than before."""
        return bool(self.prepare_value(initial) != (data or "").strip())


class ZoneForm(forms.Form):
    """The zone that schedules are to be moved to."""

    zone = ZoneField(label="Time zone", help_text="The cron lines stay, and count by the clock of this zone.")


class TriggerForm(_ModelForm):
    """What all kinds of triggers have: parameters, of which secrets are shown as dots."""

    parameters = JSONObjectField(
        help_text="Over the job’s defaults. Secrets are shown as dots, which keep the stored value."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stored = self.instance.parameters
        if self.instance.job_id is not None:
            self.initial["parameters"] = parameters.mask(self.instance.job.schema, self._stored)

    def clean(self) -> dict[str, Any]:
        """Checks the parameters by the job's schema."""
        cleaned = super().clean() or self.cleaned_data
        job = cleaned.get("job") or (self.instance.job if self.instance.job_id else None)
        if job is not None and "parameters" in cleaned:
            cleaned["parameters"] = unmasked(cleaned["parameters"], self._stored)
            wrong = self._wrong(job, cleaned["parameters"])
            if wrong:
                self.add_error("parameters", wrong)
        return cleaned

    def _wrong(self, job: Job, given: Mapping[str, Any]) -> list[str]:
        """What the job's schema says against `given` over the job's defaults."""
        try:
            faults = parameters.faults(job.schema, parameters.merge(job.defaults, given))
        except parameters.InvalidSchema as error:
            return [f"The job’s parameter schema is invalid: {error}"]
        return [f"{fault.pointer}: {fault.detail}" for fault in faults if self._counts(fault.code)]

    def _counts(self, code: str) -> bool:
        return True


class RemoteTriggerForm(TriggerForm):
    """A remote trigger, whose caller may still give what is missing."""

    class Meta:
        model = RemoteTrigger
        exclude = ()

    def _counts(self, code: str) -> bool:
        return code != "required"


class ScheduleForm(TriggerForm):
    """A schedule. Sent by its Preview button or a preset, it is shown again with the preview and never saved."""

    cron = forms.CharField(
        label="Cron",
        strip=True,
        widget=forms.Textarea(attrs={"rows": 2, "cols": 40, "spellcheck": "false", "class": "cron"}),
        help_text="minute hour day-of-month month day-of-week; one line or several.",
    )
    timezone = ZoneField(label="Time zone", initial=settings.TIME_ZONE)
    upstream = forms.ModelMultipleChoiceField(
        queryset=Job.objects.none(),
        required=False,
        label="Needs",
        widget=forms.SelectMultiple(attrs={"size": 6}),
        help_text="Jobs of which a run must have ended, or the slot waits. None: the time is enough.",
    )
    condition = forms.ChoiceField(
        label="How they must have ended",
        choices=Condition.choices,
        initial=Condition.ON_SUCCESS,
        required=False,
        widget=forms.RadioSelect,
    )
    wait_until = forms.TimeField(
        required=False,
        label="Wait until",
        input_formats=["%H:%M", "%H:%M:%S"],
        help_text="A time of day by the schedule’s clock, such as 10:00: the next one after the slot.",
    )

    class Meta:
        model = Schedule
        exclude = ("upstreams",)
        labels: ClassVar = {
            "misfire": "What was missed",
            "overlap": "If a run is still open",
            "needs": "Of several",
            "since": "Ends count since",
            "window_minutes": "Minutes before the slot",
            "wait_minutes": "Or wait so many minutes",
            "otherwise": "If that was in vain",
        }
        widgets: ClassVar = {"calendars": forms.CheckboxSelectMultiple}
        help_texts: ClassVar = {"window_minutes": "", "wait_minutes": ""}

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        self.is_preview = data is not None and ("_preview" in data or "_preset" in data)
        if data is not None and "_preset" in data:
            data = data.copy()
            data["cron"] = data["_preset"]
        super().__init__(data, *args, **kwargs)
        self.instance.kind = Kind.SCHEDULE
        self._offer_upstreams()

    def _offer_upstreams(self) -> None:
        """The jobs that do not come after this one; of what was sent any, so that a circle is told with its chain."""
        field: Any = self.fields.get("upstream")
        if field is None:  # somebody who may only look
            return
        for name in {"needs", "since", "window_minutes", "otherwise"} & self.fields.keys():
            self.fields[name].required = False
        known = self.instance if self.instance.pk else None
        field.queryset = Job.objects.all()
        if known is not None:
            self.initial["upstream"] = list(known.upstreams.all())
            self.initial["condition"] = known.condition or Condition.ON_SUCCESS
            if not self.is_bound:
                field.queryset = dependencies.available_upstream(known.job, trigger=known)

    def clean(self) -> dict[str, Any]:
        """Checks that the job would not come after itself."""
        cleaned = super().clean()
        job = cleaned.get("job") or (self.instance.job if self.instance.job_id else None)
        if not cleaned.get("upstream"):
            cleaned["condition"], cleaned["otherwise"] = "", Otherwise.SKIP
        elif job is not None:
            known = self.instance if self.instance.pk else None
            try:
                dependencies.check(job=job, upstreams=cleaned["upstream"], trigger=known)
            except dependencies.CircularDependency as error:
                self.add_error("upstream", str(error))
        return cleaned

    def requirement(self) -> str:
        """What the schedule in the form needs, in words."""
        draft = self._draft()
        return draft.requirement if draft else ""

    def is_valid(self) -> bool:
        """Whether it may be saved. A preview says nothing of fields that have no part in it."""
        valid = super().is_valid()
        if not self.is_preview:
            return valid
        for name in [name for name in self.errors if name not in PREVIEWED]:
            del self.errors[name]
        return False

    def preview(self) -> Preview | None:
        """What the schedule in the form will do; None while it can't be read."""
        draft = self._draft()
        if draft is None or "cron" in self.errors or "ends_at" in self.errors:
            return None
        zone = self._viewer_zone(draft.trigger.timezone)
        try:
            return drafts.preview(draft, after=timezone.now(), count=SLOTS, viewer_zone=zone)
        except (cron.InvalidCron, cron.InvalidInstant):  # what is stored was written past the form
            return None

    def _draft(self) -> Draft | None:
        """The schedule in the form, or the saved one; None while it can't be read."""
        known = Trigger.objects.filter(pk=self.instance.pk).first() if self.instance.pk else None
        if not self.is_bound:
            return _as_it_is(known) if known else None
        values = self.cleaned_data
        if not values.get("cron") or values.get("timezone") is None:
            return None
        upstreams = list(values.get("upstream") or ())
        names = (*DRAFTED, *(requirements.FIELDS if upstreams else ()))
        given = {name: values[name] for name in names if values.get(name) not in (None, "")}
        kept = {name: getattr(known, name) for name in drafts.KEPT} if known else {}
        return Draft(
            trigger=Trigger(kind=Kind.SCHEDULE, **kept, **given),
            calendars=list(values.get("calendars") or ()),
            upstreams=upstreams,
            saved=known,
        )

    def _viewer_zone(self, zone: ZoneInfo) -> ZoneInfo | None:
        """The zone that the browser says it is in; None if it says none, or one of the clocks that are shown anyway."""
        try:
            found = cron.validate_zone(str(self.data.get("_viewer", "")))
        except cron.InvalidZone:
            return None
        return None if found.key in (zone.key, "UTC", "Etc/UTC") else found


def _as_it_is(schedule: Trigger) -> Draft:
    return Draft(
        trigger=schedule, calendars=list(schedule.calendars.all()), upstreams=list(schedule.upstreams.all())
    )
