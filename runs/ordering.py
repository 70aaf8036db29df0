"""Reads a campaign's order from what a program or a person sends: options, and recipients in one of three forms."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import time
from typing import Any, Final
from zoneinfo import available_timezones

from django.conf import settings
from django.db.models import QuerySet

from jobs import parameters, wire
from jobs.expectations import shown
from jobs.faults import Fault
from jobs.models import Job
from jobs.wire import InvalidBody
from runs import streams
from runs.json_body import JsonBody
from runs.lists import Listed
from runs.models import RecipientList
from runs.models.campaign import FASTEST, SLOWEST
from runs.orders import Order
from runs.streams import CsvForm, Line, Source, Unreadable

LARGEST_CANARY: Final = 2**31 - 1
_RATE: Final = {"type": ["number", "null"], "minimum": SLOWEST, "maximum": FASTEST}
_SHARE: Final = {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1}
_CLOCK: Final = {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "examples": ["09:00"]}
_WINDOW: Final = {
    "type": ["object", "null"],
    "properties": {"from": _CLOCK, "to": _CLOCK, "timezone": {"type": "string", "maxLength": 60}},
    "required": ["from", "to"],
    "additionalProperties": False,
}
# What can be changed while a campaign goes on; null takes it away.
CHANGES: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "rate_per_second": {
            **_RATE,
            "description": "How many runs may start in a second, at most.",
        },
        "stop_on_failure_rate": {
            **_SHARE,
            "description": "Pauses by itself when more than this share (0 to 1) of at least 20 runs failed.",
        },
        "window": {
            **_WINDOW,
            "description": "The hours in which runs may start; over midnight if `from` is later than `to`.",
        },
    },
    "additionalProperties": False,
}
OPTIONS: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "job": {"type": "string", "minLength": 1, "maxLength": 200, "description": "The job's slug."},
        "name": {"type": "string", "minLength": 1, "maxLength": 200},
        "parameters": {
            "type": "object",
            "description": "Shared: over the job's defaults, under each recipient's.",
        },
        **CHANGES["properties"],
        "start_at": {**wire.INSTANT, "description": "Not before this instant."},
        "canary": {
            "type": "integer",
            "minimum": 1,
            "maximum": LARGEST_CANARY,
            "description": "So many recipients first; then the campaign is paused until somebody resumes it.",
        },
        "draft": {"type": "boolean", "description": "Only check and keep it; resuming starts it."},
        "recipient_list": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": "The name of a saved recipient list, in the place of `recipients`.",
        },
        "recipients": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "key": {"type": ["string", "integer"]},
                    "parameters": {"type": "object"},
                    "active": {"type": "boolean", "default": True},
                },
                "required": ["key"],
            },
            "description": "In a body of more than a megabyte, the last of all.",
        },
    },
    "required": ["job", "name"],
    "additionalProperties": False,
}
# How a file of recipients is to be read.
FILE_OPTIONS: Final[Mapping[str, Any]] = {
    "format": {"type": "string", "enum": ["csv", "ndjson"]},
    "columns": {"type": "object", "additionalProperties": {"type": "string"}},
    "header": {"type": "boolean"},
    "delimiter": {"type": "string", "minLength": 1, "maxLength": 1},
    "encoding": {"type": "string", "minLength": 1, "maxLength": 40},
}
# A list to be saved.
LIST: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {name: OPTIONS["properties"][name] for name in ("name", "recipients")},
    "required": ["name"],
    "additionalProperties": False,
}
# What can be changed of one.
LIST_CHANGES: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"name": OPTIONS["properties"]["name"]},
    "required": ["name"],
    "additionalProperties": False,
}
_LIST_UPLOAD: Final = {**LIST, "properties": {"name": LIST["properties"]["name"], **FILE_OPTIONS}}
# Any column may be a parameter: which of them a job knows is said when a campaign is ordered.
_ANY: Final[Mapping[str, Any]] = {"additionalProperties": True}
# The recipients are in the file, so that nothing else may say who they are.
UPLOAD: Final[Mapping[str, Any]] = {
    **OPTIONS,
    "properties": {
        **{name: OPTIONS["properties"][name] for name in OPTIONS["properties"] if "recipient" not in name},
        **FILE_OPTIONS,
    },
}


@dataclass(frozen=True, slots=True)
class Sent:
    """Options that were checked, and the recipients that are still to be read."""

    options: Mapping[str, Any]
    lines: Iterable[Line]


def of_json(source: Source, *, size: int, whole_below: int, schema: Mapping[str, Any] = OPTIONS) -> Sent:
    """A body of JSON; raises InvalidBody. One of `whole_below` bytes or more is read a piece at a time."""
    try:
        text = streams.text_of(source)
        if size < whole_below:
            options = _whole(text.read())
            lines: Iterable[Line] = enumerate(_list(options), 1)
            checked(options, schema)
            return Sent(options, lines)
        body = JsonBody(text)
        options = body.head()
    except (Unreadable, UnicodeDecodeError) as error:
        raise _unreadable(error) from None
    checked(options, schema)
    return Sent(options, _readable(_and_nothing_else(body, len(options))))


def of_list(source: Source, texts: Mapping[str, str], *, size: int) -> Sent:
    """A list to be saved, in JSON, or a file of CSV or NDJSON whose options are `texts`; raises InvalidBody."""
    if "format" not in texts:
        return of_json(source, size=size, whole_below=settings.DATA_UPLOAD_MAX_MEMORY_SIZE, schema=LIST)
    return of_file(source, from_texts(texts, schema=_LIST_UPLOAD), schema=_ANY)


def of_file(source: Source, options: Mapping[str, Any], *, schema: Mapping[str, Any]) -> Sent:
    """A file of CSV or NDJSON with its options; raises InvalidBody."""
    try:
        text = streams.text_of(source, encoding=options.get("encoding", "utf-8"))
    except Unreadable as error:
        raise _unreadable(error) from None
    if options["format"] == "ndjson":
        return Sent(options, _readable(streams.of_ndjson(text)))
    form = CsvForm(
        columns=options.get("columns", {}),
        has_header=options.get("header", True),
        delimiter=options.get("delimiter", ","),
    )
    return Sent(options, _readable(streams.of_csv(text, form=form, schema=schema)))


def format_of(name: str) -> str:
    """The format of a file, by its name."""
    return "ndjson" if name.lower().endswith((".ndjson", ".jsonl")) else "csv"


def listed(
    options: Mapping[str, Any], lines: Iterable[Line], *, job: Job, known: QuerySet[RecipientList]
) -> Iterable[Line]:
    """The recipients of the list, one of `known`, that `options` names; without one, `lines`. Raises InvalidBody."""
    name = options.get("recipient_list")
    if name is None:
        return lines
    found = known.filter(name=name).first()
    if found is None:
        raise _wrong("/recipient_list", f"There is no recipient list {shown(name)}.")
    if options.get("recipients"):
        raise _wrong("/recipients", "Both recipients and a recipient_list are given; expected one of them.")
    return Listed(found, schema=job.schema)


def from_texts(texts: Mapping[str, str], *, schema: Mapping[str, Any] = UPLOAD) -> dict[str, Any]:
    """Options as a form or a query gives them: texts, of which those that are to be something else are JSON.

    An empty text is no option. `schema` says which there are: those of an order, if not given. Raises InvalidBody.
    """
    given: dict[str, Any] = {}
    for name, text in texts.items():
        declared = UPLOAD["properties"].get(name, {})
        if text == "":
            continue
        given[name] = text
        if declared.get("type", "string") != "string":
            with suppress(ValueError, RecursionError):  # then the schema says what was expected
                given[name] = json.loads(text)
    checked(given, schema)
    return given


def order_of(options: Mapping[str, Any], *, job: Job, **by: Any) -> Order:
    """The order that checked options come to; raises InvalidBody. `by`: the `user` or `api_key` who orders."""
    found = parameters.faults({"type": "object", "properties": _known(job)}, options.get("parameters", {}))
    if found:
        raise InvalidBody(
            [Fault(pointer=f"/parameters{one.pointer}", code=one.code, detail=one.detail) for one in found]
        )
    return Order(
        job=job,
        name=options["name"].strip() or job.name,
        parameters=options.get("parameters", {}),
        rate_per_second=options.get("rate_per_second"),
        start_at=wire.instant_of(options, "start_at", InvalidBody),
        stop_on_failure_rate=options.get("stop_on_failure_rate"),
        canary=None if options.get("canary") is None else int(options["canary"]),
        is_draft=options.get("draft", False),
        **window_of(options.get("window")),
        **by,
    )


def changes_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a campaign that checked options (CHANGES) change; raises InvalidBody."""
    changes = {name: options[name] for name in ("rate_per_second", "stop_on_failure_rate") if name in options}
    return changes | (window_of(options["window"]) if "window" in options else {})


def window_of(window: Mapping[str, str] | None) -> dict[str, Any]:
    """The fields of a campaign that say its hours; raises InvalidBody."""
    if window is None:
        return {"window_from": None, "window_to": None, "window_zone": "UTC"}
    zone = window.get("timezone", "UTC")
    if zone not in available_timezones():
        raise _wrong(
            "/window/timezone", f"{shown(zone)} is no time zone; expected one such as Europe/Berlin."
        )
    if window["from"] == window["to"]:
        raise _wrong(
            "/window", f"The window begins and ends at {window['from']}; expected two different times."
        )
    begin, end = (time.fromisoformat(window[name]) for name in ("from", "to"))
    return {"window_from": begin, "window_to": end, "window_zone": zone}


def checked(given: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Raises InvalidBody unless the schema allows the options; recipients are looked at later, one by one."""
    later = {"recipients"} & schema["properties"].keys()
    others = {name: value for name, value in given.items() if name not in later}
    if found := parameters.faults(schema, others):
        raise InvalidBody(found)


def _known(job: Job) -> Mapping[str, Any]:
    """What the job's schema says of each parameter; which must be there is only known with the recipient's."""
    declared = job.schema.get("properties", {})
    return declared if "$ref" not in json.dumps(declared) else dict.fromkeys(declared, True)


def _whole(text: str) -> dict[str, Any]:
    try:
        found = streams.DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"The body is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise Unreadable(f"The body is {shown(found)}; expected an object.")
    return found


def _list(options: Mapping[str, Any]) -> list[Any]:
    found = options.get("recipients", [])
    if not isinstance(found, list):
        raise _wrong("/recipients", f"The recipients are {shown(found)}; expected a list.")
    return found


def _and_nothing_else(body: JsonBody, options: int) -> Iterator[Line]:
    yield from body.recipients()
    if len(body.options) > options:
        late = list(body.options)[options]
        raise Unreadable(
            f"{shown(late)} comes behind the recipients; in a body this large they must be the last."
        )


def _readable(lines: Iterable[Line]) -> Iterator[Line]:
    try:
        yield from lines
    except Unreadable as error:
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> InvalidBody:
    detail = (
        f"The body is not UTF-8: {error.reason}." if isinstance(error, UnicodeDecodeError) else str(error)
    )
    return InvalidBody([Fault(pointer="", code="unreadable", detail=detail)])


def _wrong(pointer: str, detail: str) -> InvalidBody:
    return InvalidBody([Fault(pointer=pointer, code="value", detail=detail)])
