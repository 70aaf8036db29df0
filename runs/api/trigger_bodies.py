"""What the body of a call that makes or changes a trigger may say, for each kind, and how it is laid on the trigger."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.conf import settings
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from jobs import parameters, wire
from jobs import priority as priorities
from jobs.expectations import shown
from jobs.faults import Fault, pointer
from jobs.inputs import unmasked
from jobs.models import Job
from jobs.parameters import InvalidParameters
from jobs.wire import InvalidBody
from runs.api.event_bodies import FIELDS
from triggers import cron, rates, requirements
from triggers.models import Calendar, Condition, Kind, Misfire, Needs, Otherwise, Overlap, Since, Trigger
from triggers.visibility import visible_jobs

LONGEST: Final = 32_767  # what a small whole number of PostgreSQL can hold
SLUG: Final[wire.Schema] = {"type": "string", "minLength": 1, "maxLength": 200}
INSTANT: Final[wire.Schema] = {"anyOf": [wire.INSTANT, {"type": "null"}]}
WITHIN: Final[wire.Schema] = {
    "anyOf": [{"type": "integer", "minimum": 1, "maximum": 2**31 - 1}, {"type": "null"}],
    "description": "Seconds from the slot within which a run must; null: as the job says.",
}


def _or_null(schema: wire.Schema) -> wire.Schema:
    return {"anyOf": [schema, {"type": "null"}]}


COMMON: Final[Mapping[str, wire.Schema]] = {
    "name": {"type": "string", "maxLength": 200},
    "enabled": {"type": "boolean"},
    "priority": {
        "anyOf": [
            {"type": "integer", "minimum": priorities.FIRST, "maximum": priorities.LAST},
            {"type": "string", "enum": list(priorities.NAMES)},
            {"type": "null"},
        ],
        "description": "1 (first) to 100 (last), or a name; null: the job's.",
    },
    "parameters": {"type": "object", "description": "Over the job's defaults."},
    "rate_limit": {
        "anyOf": [{"type": "string", "pattern": rates.PATTERN}, {"type": "null"}],
        "description": "Most API calls that fire it, such as 100/minute; null: no limit.",
    },
}
OF_KIND: Final[Mapping[str, Mapping[str, wire.Schema]]] = {
    Kind.REMOTE: {},
    Kind.SCHEDULE: {
        "cron": {"type": "string", "minLength": 1, "maxLength": 4000, "description": "One line or several."},
        "timezone": {"type": "string", "description": "A name such as Europe/Berlin."},
        "misfire": {"type": "string", "enum": Misfire.values},
        "misfire_limit": {"type": "integer", "minimum": 1, "maximum": LONGEST},
        "misfire_deadline_seconds": {
            "anyOf": [{"type": "integer", "minimum": 60, "maximum": 2**31 - 1}, {"type": "null"}],
            "description": "Nothing that is later is caught up; null: no deadline.",
        },
        "overlap": {"type": "string", "enum": Overlap.values},
        "jitter_seconds": {"type": "integer", "minimum": 0, "maximum": 86_400},
        "start_within_seconds": WITHIN,
        "finish_within_seconds": WITHIN,
        "starts_at": INSTANT,
        "ends_at": INSTANT,
        "calendars": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": 100},
            "maxItems": 50,
            "description": "Names of calendars; slots that fall where one is closed are skipped.",
        },
        "upstream": {
            "anyOf": [SLUG, {"type": "array", "items": SLUG, "maxItems": 50}, {"type": "null"}],
            "description": "The slug of a job that must have ended as `condition` says, or several; none: nothing.",
        },
        **requirements.FIELDS,
        "condition": {"anyOf": [{"type": "string", "enum": ["", *Condition.values]}, {"type": "null"}]},
        "wait_until": _or_null(requirements.FIELDS["wait_until"]),
        "wait_minutes": _or_null(requirements.FIELDS["wait_minutes"]),
    },
    Kind.DEPENDENCY: {
        "upstream": {
            "anyOf": [SLUG, {"type": "array", "items": SLUG, "minItems": 1, "maxItems": 50}],
            "description": "The slug of the job to follow, or several.",
        },
        "condition": {"type": "string", "enum": Condition.values},
        "delay_minutes": {"type": "integer", "minimum": 0, "maximum": settings.DELAY_LIMIT_MINUTES},
        "needs": requirements.FIELDS["needs"],
        "window_minutes": requirements.FIELDS["window_minutes"],
        "mapping": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "Parameters by JSON Pointer into the upstream run, such as /result/rows.",
        },
    },
    Kind.EVENT: FIELDS,
}
REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {Kind.SCHEDULE: ("cron",), Kind.DEPENDENCY: ("upstream",)}
# What each field is without being named, when a trigger is made or written whole.
DEFAULTS: Final[Mapping[str, Any]] = {
    "name": "", "enabled": True, "priority": None, "parameters": {}, "rate_limit": None, "timezone": "UTC",
    "misfire": Misfire.RUN_ONCE, "misfire_limit": 10, "misfire_deadline_seconds": None,
    "overlap": Overlap.SKIP, "jitter_seconds": 0,
    "start_within_seconds": None, "finish_within_seconds": None,
    "starts_at": None, "ends_at": None, "calendars": [], "condition": Condition.ON_SUCCESS, "delay_minutes": 0,
    "needs": Needs.ANY, "window_minutes": 24 * 60,
    "since": Since.DAY, "wait_until": None, "wait_minutes": None, "otherwise": Otherwise.SKIP,
    "mapping": {}, "scheme": "", "scheme_options": {},
    "events": [], "filter": {}, "parent_pointer": "", "debounce_seconds": 0, "debounce_limit": 100,
    "debounce_pointer": "",
}  # fmt: skip


# What is stored in tables of its own, when the trigger is.
ELSEWHERE: Final = frozenset({"upstream", "calendars", "source", "secret"})


def schema(kind: str, *, whole: bool, named: bool = False) -> dict[str, Any]:
    """The body for a trigger of `kind`; `whole`: all of it and not only changes; `named`: it says its kind.

    Fields of other kinds may be null, and what only the server writes is passed over, so that what was read
    can be sent back.
    """
    foreign = {name for fields in OF_KIND.values() for name in fields} - OF_KIND[kind].keys()
    required = [*REQUIRED.get(kind, ()), *(["kind"] if named else [])]
    return {
        "type": "object",
        "properties": {
            **{name: {"readOnly": True} for name in sorted(READ_ONLY)},
            **{name: {"type": "null"} for name in sorted(foreign)},
            "kind": {"type": "string", "enum": [kind]},
            **COMMON,
            **OF_KIND[kind],
        },
        "required": required if whole else [],
        "additionalProperties": False,
    }


READ_ONLY: Final = frozenset(
    {"id", "public_id", "job", "next_run_at", "last_run_at", "upstreams", "links"}
    | {"paused_at", "paused_by", "paused_reason", "paused_until"}
    | {"address", "secrets"}
    | {"fired_count", "last_fired_at", "success_rate", "created_at", "updated_at"}
)
MADE: Final = (Kind.SCHEDULE.value, Kind.DEPENDENCY.value, Kind.EVENT.value)
NEW: Final[wire.Schema] = {
    "type": "object",
    "required": ["kind"],
    "oneOf": [schema(kind, whole=True, named=True) for kind in MADE],
}
WHOLE: Final[wire.Schema] = {"anyOf": [schema(kind, whole=True) for kind in OF_KIND]}
CHANGES: Final[wire.Schema] = {"anyOf": [schema(kind, whole=False) for kind in OF_KIND]}
_KIND: Final[wire.Schema] = {
    "type": "object",
    "properties": {"kind": {"type": "string", "enum": list(MADE)}},
    "required": ["kind"],
    "additionalProperties": True,
}


def new(request: Request) -> dict[str, Any]:
    """The body of a call that makes a trigger; raises InvalidBody."""
    kind = wire.body(request, _KIND)["kind"]
    return wire.body(request, schema(kind, whole=True, named=True))


def lay(trigger: Trigger, body: Mapping[str, Any], *, whole: bool) -> None:
    """Lays a valid body on `trigger`, which is not stored by that.

    Raises InvalidBody for another job, and for a time zone or instant that is none; and InvalidParameters.
    """
    if body.get("job", trigger.job.slug) != trigger.job.slug:
        detail = (
            f"'job' is {shown(body['job'])}; expected {trigger.job.slug!r}: a trigger stays with its job."
        )
        raise InvalidBody([Fault(pointer="/job", code="value", detail=detail)])
    names = [*COMMON, *OF_KIND[trigger.kind]]
    given = {name: body[name] for name in names if name in body}
    for name, value in ({**DEFAULTS, **given} if whole else given).items():
        if name in names and name not in ELSEWHERE:
            setattr(trigger, name, _value(trigger, body, name, value))
    _check_parameters(trigger)


def upstreams(request: Request, body: Mapping[str, Any]) -> list[Job] | None:
    """The jobs that the body says to follow, null being none; None if it does not say; raises NotFound."""
    if "upstream" not in body:
        return None
    given = body["upstream"] or []
    return [
        find_upstream(request, slug) for slug in dict.fromkeys([given] if isinstance(given, str) else given)
    ]


def check_wait(body: Mapping[str, Any], upstreams: Sequence[Job]) -> None:
    """Raises InvalidBody for a wait, or a condition, of a schedule that has nothing to wait for."""
    if upstreams:
        return
    waits = [name for name in ("condition", "wait_until", "wait_minutes") if body.get(name) not in (None, "")]
    if body.get("otherwise") == Otherwise.RUN:
        waits.append("otherwise")
    if waits:
        detail = (
            "The schedule needs no other job, so it has nothing to wait for: expected 'upstream' beside it."
        )
        raise InvalidBody([Fault(pointer=pointer(name), code="value", detail=detail) for name in waits])


def calendars(body: Mapping[str, Any], *, whole: bool) -> list[Calendar] | None:
    """The calendars that the body says to keep, None if it does not say; raises InvalidBody."""
    if "calendars" not in body and not whole:
        return None
    names = body.get("calendars", [])
    known = {calendar.name: calendar for calendar in Calendar.objects.filter(name__in=names)}
    for place, name in enumerate(names):
        if name not in known:
            detail = f"There is no calendar {shown(name)}."
            raise InvalidBody([Fault(pointer=f"/calendars/{place}", code="value", detail=detail)])
    return [*known.values()]


def find_upstream(request: Request, slug: str) -> Job:
    """The job of that slug; raises NotFound."""
    job = visible_jobs(request.auth).filter(slug=slug).first()
    if job is None:
        raise NotFound(f"There is no job {shown(slug)} to follow.")
    return job


def _value(trigger: Trigger, body: Mapping[str, Any], name: str, value: Any) -> Any:
    if name == "timezone":
        return _zone(value)
    if name in ("starts_at", "ends_at"):
        return wire.instant_of(body, name, InvalidBody)
    if name == "priority" and value is not None:
        return priorities.parse(int(value) if isinstance(value, float) else value)
    if name == "parameters":
        return unmasked(value, trigger.parameters)
    return int(value) if isinstance(value, float) else value


def _zone(name: str) -> Any:
    try:
        return cron.validate_zone(name)
    except cron.InvalidZone as error:
        raise InvalidBody([Fault(pointer="/timezone", code="timezone", detail=str(error))]) from None


def _check_parameters(trigger: Trigger) -> None:
    """Raises InvalidParameters for what no launch by the trigger could have; what is missing may come with it."""
    merged = parameters.merge(trigger.job.defaults, trigger.parameters)
    taken = {pointer(name) for name in trigger.mapping}
    complete = trigger.kind == Kind.SCHEDULE
    wrong = [
        fault
        for fault in parameters.faults(trigger.job.schema, merged)
        if fault.code != "required" or (complete and fault.pointer not in taken)
    ]
    if wrong:
        raise InvalidParameters(wrong)
