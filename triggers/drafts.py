"""A schedule that is not saved: read as a person or program describes it, and what it will do beside what is saved.

The admin's form, the page of previews and the API show the same preview, computed by the code that fires.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from jobs import wire
from jobs.expectations import shown
from jobs.faults import Fault, Faulty
from jobs.models import Job
from triggers import cron, dependencies, requirements, schedules
from triggers.cron import Caution, Preview, Saved
from triggers.cron.cautions import Closing, never
from triggers.models import Calendar, Condition, Kind, Misfire, Overlap, Trigger

LONGEST_CRON: Final = 4000  # characters; a cron text has up to 20 lines of 200
LONGEST_NAMES: Final = 4000
# What says how a slot waits for upstreams, and nothing without them.
WAITS: Final = ("condition", "wait_until", "wait_minutes", "otherwise")
BOUNDS: Final = ("starts_at", "ends_at")
# What a schedule is besides its rule and its needs, with what a warning calls it that says what changes.
OPTIONS: Final[Mapping[str, str]] = {
    "misfire": "misfire policy",
    "misfire_limit": "misfire limit",
    "misfire_deadline_seconds": "misfire deadline in seconds",
    "overlap": "overlap policy",
    "jitter_seconds": "jitter in seconds",
}
# What no edit changes, but has a part in what the schedule will do.
KEPT: Final = ("public_id", "paused_at", "paused_by", "paused_reason", "paused_until")
FIELDS: Final[Mapping[str, Any]] = {
    "cron": {
        "type": "string",
        "maxLength": LONGEST_CRON,
        "description": "Five fields or a word such as @daily; one line or several.",
    },
    "timezone": {
        "type": "string",
        "description": "A name such as Europe/Berlin; without it that of `trigger`, or else UTC.",
    },
    "starts_at": {**wire.INSTANT_OR_NULL, "description": "The first instant at which it may run."},
    "ends_at": {**wire.INSTANT_OR_NULL, "description": "The last one."},
    "jitter_seconds": {"type": "integer", "minimum": 0, "maximum": 86_400},
    "misfire": {"type": "string", "enum": Misfire.values},
    "misfire_limit": {"type": "integer", "minimum": 1, "maximum": 32_767},
    "misfire_deadline_seconds": {"type": ["integer", "null"], "minimum": 60, "maximum": 2**31 - 1},
    "overlap": {"type": "string", "enum": Overlap.values},
    "calendars": {
        "type": "string",
        "maxLength": LONGEST_NAMES,
        "description": "Names of calendars that the schedule would keep, joined by commas.",
    },
    "upstream": {
        "type": "string",
        "maxLength": LONGEST_NAMES,
        "description": "Slugs of jobs that the schedule would need, joined by commas.",
    },
    **requirements.FIELDS,
    "trigger": {
        "type": "integer",
        "minimum": 1,
        "description": "The id of the schedule that this one would replace: what is not given is as it has it, and "
        "warnings say what changes. Only at the address of its job.",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A schedule that is not stored, with what it would keep and need; `saved` is the one it would replace."""

    trigger: Trigger
    calendars: Sequence[Calendar] = ()
    upstreams: Sequence[Job] = ()
    saved: Trigger | None = None

    @property
    def requirement(self) -> str:
        """What it needs besides its time, in words; "" for nothing."""
        return requirements.described(self.trigger, self.upstreams)


def preview(draft: Draft, *, after: datetime, count: int = 5, viewer_zone: ZoneInfo | None = None) -> Preview:
    """Its next `count` slots after `after`, with warnings; raises what `triggers.cron.preview` does."""
    trigger = draft.trigger
    found = cron.preview(
        cron=cron.parse(trigger.cron),
        zone=trigger.timezone,
        after=after,
        count=count,
        starts_at=trigger.starts_at,
        ends_at=trigger.ends_at,
        viewer_zone=viewer_zone,
        saved=_rule(draft.saved) if draft.saved else None,
        closing=_closing(draft),
    )
    if not draft.saved:
        return found
    # What changes comes first.
    warnings = [*found.warnings, *_differences(draft, draft.saved)]
    return replace(found, warnings=tuple(sorted(warnings, key=lambda each: each.code != "changed")))


def read(
    asked: Mapping[str, Any], *, job: Job | None, visible: QuerySet[Job], refusal: type[Faulty]
) -> Draft:
    """The schedule that `asked` describes, which has `FIELDS`; raises `refusal` with everything that is wrong.

    `visible` are the jobs that the caller may know of.
    """
    saved = _saved(job, asked, refusal)
    faults: list[Fault] = []
    calendars = _calendars(asked, saved, faults)
    upstreams = _upstreams(asked, visible, saved, faults)
    trigger = _trigger(asked, saved, upstreams, faults)
    if job is not None:
        faults += _circle(job, upstreams, saved)
    if faults:
        raise refusal(faults)
    return Draft(trigger=trigger, calendars=calendars, upstreams=upstreams, saved=saved)


# --- Reading ------------------------------------------------------------------------------------------


def _saved(job: Job | None, asked: Mapping[str, Any], refusal: type[Faulty]) -> Trigger | None:
    if "trigger" not in asked:
        return None
    number = int(asked["trigger"])
    found = Trigger.objects.schedules().filter(job=job, pk=number).first() if number < 2**63 else None
    if job is not None and found is not None:
        return found
    detail = f"There is no schedule {number} of {f'the job {job.slug!r}' if job else 'no job'}."
    raise refusal([Fault(pointer="/trigger", code="trigger", detail=detail)])


def _calendars(asked: Mapping[str, Any], saved: Trigger | None, faults: list[Fault]) -> list[Calendar]:
    if "calendars" not in asked and saved is not None:
        return list(saved.calendars.all())
    wanted = _names(asked.get("calendars", ""))
    found = list(Calendar.objects.filter(name__in=wanted)) if wanted else []
    faults += _unknown("calendars", "calendar", wanted - {calendar.name for calendar in found})
    return found


def _upstreams(
    asked: Mapping[str, Any], visible: QuerySet[Job], saved: Trigger | None, faults: list[Fault]
) -> list[Job]:
    if "upstream" not in asked and saved is not None:
        return list(saved.upstreams.order_by("pk"))
    wanted = _names(asked.get("upstream", ""))
    found = list(visible.filter(slug__in=wanted).order_by("pk")) if wanted else []
    faults += _unknown("upstream", "job", wanted - {job.slug for job in found})
    if not wanted and (idle := [name for name in WAITS if name in asked]):
        detail = "The schedule would need no other job, so it has nothing to wait for: expected 'upstream' beside it."
        faults += [Fault(pointer=f"/{name}", code="value", detail=detail) for name in idle]
    return found


def _names(text: str) -> set[str]:
    return {name.strip() for name in text.split(",") if name.strip()}


def _unknown(field: str, noun: str, names: Iterable[str]) -> list[Fault]:
    return [
        Fault(pointer=f"/{field}", code=field, detail=f"There is no {noun} {shown(name)}.")
        for name in sorted(names)
    ]


def _trigger(
    asked: Mapping[str, Any], saved: Trigger | None, upstreams: Sequence[Job], faults: list[Fault]
) -> Trigger:
    """A schedule that is not stored, with what `asked` says and else as `saved`; notes what is wrong in `faults`."""
    kept = (*OPTIONS, *BOUNDS, *KEPT, "timezone", *(requirements.FIELDS if upstreams else ()))
    fields = {name: getattr(saved, name) for name in kept} if saved else {}
    given = requirements.FIELDS.keys() & asked if upstreams else ()
    fields |= {name: asked[name] for name in (*OPTIONS, *given) if name in asked}
    fields |= {name: _instant(asked, name, faults) for name in BOUNDS if name in asked}
    if "wait_until" in given:
        fields["wait_until"] = time.fromisoformat(asked["wait_until"])
    if "timezone" in asked:
        try:
            fields["timezone"] = cron.validate_zone(asked["timezone"])
        except cron.InvalidZone as error:
            faults.append(Fault(pointer="/timezone", code="timezone", detail=str(error)))
    trigger = Trigger(
        kind=Kind.SCHEDULE, cron=asked["cron"], **{"timezone": cron.validate_zone("UTC"), **fields}
    )
    if upstreams and not trigger.condition:
        trigger.condition = Condition.ON_SUCCESS
    try:
        trigger.clean()
    except ValidationError as error:
        faults += [_by_field(fault) for fault in wire.refused(error).errors]
    return trigger


def _instant(asked: Mapping[str, Any], name: str, faults: list[Fault]) -> datetime | None:
    try:
        return wire.instant_of(asked, name, Faulty)
    except Faulty as error:
        faults += error.errors
        return None


def _by_field(fault: Fault) -> Fault:
    """A cron text that can't be read, by the code that programs know."""
    return replace(fault, code="cron") if fault.pointer == "/cron" else fault


def _circle(job: Job, upstreams: Sequence[Job], saved: Trigger | None) -> list[Fault]:
    """The chain, of which the caller may not know each job, is told by `validate-dependency`."""
    try:
        dependencies.check(job=job, upstreams=upstreams, trigger=saved)
    except dependencies.CircularDependency as error:
        detail = f"{error.chain[0]!r} can't need {error.chain[-2]!r}, which comes after it."
        return [Fault(pointer="/upstream", code="circular_dependency", detail=detail)]
    return []


# --- Showing ------------------------------------------------------------------------------------------


def _rule(saved: Trigger) -> Saved | None:
    try:
        return Saved(cron.parse(saved.cron), saved.timezone, saved.starts_at, saved.ends_at)
    except cron.InvalidCron:  # written past every door: there is nothing to compare with
        return None


def _closing(draft: Draft) -> Closing:
    if not draft.calendars and draft.trigger.paused_at is None:
        return never
    return lambda slot: schedules.holding(draft.trigger, slot, draft.calendars)


def _differences(draft: Draft, saved: Trigger) -> list[Caution]:
    """What changes besides the rule, one caution for each thing."""
    pairs = [(label, getattr(saved, name), getattr(draft.trigger, name)) for name, label in OPTIONS.items()]
    pairs.append(("calendars", _joined(saved.calendars.all()), _joined(draft.calendars)))
    needs = requirements.described(saved, list(saved.upstreams.order_by("pk")))
    pairs.append(("needs", needs, draft.requirement))
    return [
        Caution(code="changed", message=f"Its {label} would change from {_value(old)} to {_value(new)}.")
        for label, old, new in pairs
        if old != new
    ]


def _joined(calendars: Iterable[Calendar]) -> str:
    return ", ".join(sorted(calendar.name for calendar in calendars))


def _value(value: object) -> str:
    return "nothing" if value in (None, "") else repr(str(value)) if isinstance(value, str) else str(value)
