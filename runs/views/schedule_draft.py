"""The page /schedules/preview/: what a schedule would do before anybody saves it, beside the saved one if there is one.

The form is a GET, so that a preview can be sent to somebody; nothing is stored.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_GET

from jobs import parameters
from jobs.expectations import shown
from jobs.faults import Fault, Faulty
from jobs.models import Job
from runs.views.access import VIEW_RUNS, permitted
from runs.views.schedule_words import policies
from triggers import cron, drafts, requirements
from triggers.cron.preview import MAX_COUNT
from triggers.drafts import WAITS, Draft
from triggers.models import Calendar, Condition, Misfire, Needs, Otherwise, Overlap, Since, Trigger

COUNT: Final = 10
CHOICES: Final[Mapping[str, Any]] = {
    "misfires": Misfire.choices,
    "overlaps": Overlap.choices,
    "conditions": Condition.choices,
    "sinces": Since.choices,
    "otherwises": Otherwise.choices,
    "several": Needs.choices,
}
SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        **drafts.FIELDS,
        "count": {"type": "integer", "minimum": 1, "maximum": MAX_COUNT},
        "job": {"type": "string", "maxLength": 200},
    },
}
NUMBERS: Final = frozenset(
    name for name, place in SCHEMA["properties"].items() if "integer" in (place["type"], place["type"][0])
)
# Left empty these say "none"; of the others an empty one says nothing.
NONE_IF_EMPTY: Final = frozenset({*drafts.BOUNDS, "misfire_deadline_seconds"})


@permitted(VIEW_RUNS)
@require_GET
def schedule_draft(request: HttpRequest) -> HttpResponse:
    """The form and, as soon as it has a cron text, the preview; `trigger` is the schedule it would replace."""
    saved = _saved(request.GET.get("trigger", ""))
    typed = _typed(request.GET, saved)
    context: dict[str, Any] = {
        "typed": typed,
        "saved": saved,
        "calendars": Calendar.objects.order_by("name")[:200],
        "zones": sorted(cron.zone_names()),
        "choices": CHOICES,
    }
    if typed["cron"]:
        context |= _shown(_asked(typed), saved)
    return render(request, "schedules/draft.html", context, status=400 if context.get("faults") else 200)


def _saved(text: str) -> Trigger | None:
    if not text:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    found = Trigger.objects.schedules().select_related("job").filter(pk=int(text)) if is_number else None
    saved = found.first() if found is not None else None
    if saved is None:
        raise Http404(f"There is no schedule {shown(text)}.")
    return saved


def _typed(given: QueryDict, saved: Trigger | None) -> dict[str, Any]:
    """What stands in the form: what was sent, or else the saved schedule."""
    if "cron" not in given:
        return (
            _of(saved)
            if saved
            else {"cron": "", "timezone": timezone.get_current_timezone_name(), "count": COUNT}
        )
    typed: dict[str, Any] = {name: given.get(name, "").strip() for name in SCHEMA["properties"]}
    return typed | {"calendars": given.getlist("calendars")}


def _of(saved: Trigger) -> dict[str, Any]:
    """A saved schedule as its form is filled in."""
    names = ("cron", *drafts.OPTIONS, *requirements.FIELDS)
    return {
        **{name: getattr(saved, name) for name in names},
        **{name: _local(getattr(saved, name)) for name in drafts.BOUNDS},
        "timezone": saved.timezone.key,
        "calendars": [calendar.name for calendar in saved.calendars.all()],
        "upstream": ", ".join(job.slug for job in saved.upstreams.all()),
        "wait_until": f"{saved.wait_until:%H:%M}" if saved.wait_until else "",
        "trigger": saved.pk,
        "count": COUNT,
    }


def _local(at: datetime | None) -> str:
    return f"{timezone.localtime(at):%Y-%m-%dT%H:%M}" if at else ""


def _asked(typed: Mapping[str, Any]) -> dict[str, Any]:
    """What the form says, as the API would be told it."""
    without = () if typed.get("upstream") else (*requirements.FIELDS, *WAITS)
    asked: dict[str, Any] = {}
    for name, value in typed.items():
        if name in ("calendars", "upstream"):
            asked[name] = ",".join(value) if isinstance(value, list) else value
        elif value in ("", None):
            asked |= {name: None} if name in NONE_IF_EMPTY else {}
        elif name not in without:
            asked[name] = _value(name, str(value))
    return asked


def _value(name: str, text: str) -> object:
    """A number, or an instant by the reader's clock; what can't be read is left for the schema to refuse."""
    if name in NUMBERS and text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    if name in drafts.BOUNDS:
        try:
            at = parse_datetime(text)
        except ValueError:
            return text
        if at is not None and 1900 < at.year < 9000:
            return (at if timezone.is_aware(at) else timezone.make_aware(at)).isoformat()
    return text


def _shown(asked: dict[str, Any], saved: Trigger | None) -> dict[str, Any]:
    """The preview, or what is wrong by the name of its field."""
    try:
        if faults := parameters.faults(SCHEMA, asked):
            raise Faulty(faults)
        draft = drafts.read(asked, job=_job(asked, saved), visible=Job.objects.all(), refusal=Faulty)
        return _previewed(draft, asked)
    except Faulty as error:
        return {"faults": [(fault.pointer[1:].replace("_", " "), fault.detail) for fault in error.errors]}


def _job(asked: Mapping[str, Any], saved: Trigger | None) -> Job | None:
    if saved or "job" not in asked:
        return saved.job if saved else None
    found = Job.objects.filter(slug=asked["job"]).first()
    if found is None:
        raise Faulty([Fault(pointer="/job", code="job", detail=f"There is no job {shown(asked['job'])}.")])
    return found


def _previewed(draft: Draft, asked: Mapping[str, Any]) -> dict[str, Any]:
    viewer = timezone.get_current_timezone_name()
    zone = draft.trigger.timezone
    viewer_zone = None if viewer in (zone.key, "UTC", "Etc/UTC") else cron.validate_zone(viewer)
    try:
        found = drafts.preview(
            draft, after=timezone.now(), count=asked.get("count", COUNT), viewer_zone=viewer_zone
        )
    except cron.InvalidInstant as error:
        raise Faulty([Fault(pointer="/starts_at", code="starts_at", detail=str(error))]) from None
    return {
        "preview": found,
        "draft": draft,
        "policies": policies(draft.trigger, draft.calendars),
        "slots": [(run, _waits(draft, run.utc)) for run in found.next_runs],
        "changes": _words(found.warnings, changed=True),
        "warnings": _words(found.warnings, changed=False),
    }


def _waits(draft: Draft, slot: datetime) -> datetime | None:
    """Until when a slot waits, by the schedule's clock."""
    until = requirements.span(draft.trigger, slot).until if draft.trigger.condition else slot
    return until.astimezone(draft.trigger.timezone) if until > slot else None


def _words(warnings: Iterable[cron.Caution], *, changed: bool) -> list[str]:
    return [each.message for each in warnings if (each.code == "changed") == changed]
