"""What the body of a launching call may say, as JSON Schemas, and the launch request it comes to."""

from collections.abc import Mapping
from typing import Any, Final

from rest_framework.request import Request as Call

from jobs import priority as priorities
from jobs import wire
from jobs.expectations import shown
from jobs.faults import Fault, Faulty
from jobs.wire import InvalidBody
from runs.launch import Request
from runs.models import TriggerKind

TAG_LENGTH: Final = 60
HUNDRED_YEARS: Final = 3_155_760_000  # seconds
# Why a run exists is written by the server alone (product.md, decision 5).
PROVENANCE: Final = frozenset(
    {"api_key", "cause", "context", "created_by", "kind", "parent", "retry_of", "root", "slot", "trigger"}
    | {"trigger_id", "trigger_kind", "trigger_name", "trigger_type"}
)

_OPTIONS: Final[Mapping[str, Any]] = {
    "parameters": {"type": "object", "description": "Over the job's defaults, at the top level."},
    "priority": {
        "anyOf": [
            {"type": "integer", "minimum": priorities.FIRST, "maximum": priorities.LAST},
            {"type": "string", "enum": list(priorities.NAMES)},
        ],
        "description": "1 (first) to 100 (last), or a name.",
    },
    "dedup_key": {
        "type": "string",
        "minLength": 1,
        "maxLength": 200,
        "description": "While a run of the job with this key is open, that run is the answer.",
    },
    "run_at": {**wire.INSTANT, "description": "Not before this instant."},
    "tags": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": TAG_LENGTH},
        "maxItems": 50,
    },
    "metadata": {
        "type": "object",
        "propertyNames": {"type": "string", "minLength": 1, "maxLength": 100},
        "additionalProperties": {"type": ["string", "number", "boolean", "null"], "maxLength": 1000},
        "maxProperties": 50,
        "description": "Flat; runs can be found by it (`metadata.<key>=`).",
    },
    "target": {"type": "string", "minLength": 1, "maxLength": 200, "description": "What the run is for."},
    "retain_for_seconds": {"type": "integer", "minimum": 0, "maximum": HUNDRED_YEARS},
    "persistent": {"type": "boolean", "description": "Never deleted by retention."},
}


def launch_schema(kind: TriggerKind, *, naming: str = "") -> dict[str, Any]:
    """The body of a launching call of trigger kind `kind`; `naming`: the field that names the job, if one does."""
    name = {naming: {"type": "string", "minLength": 1, "maxLength": 200}} if naming else {}
    trigger = {"type": "string", "enum": [kind.value], "description": "Accepted when it says what is true."}
    return {
        "type": "object",
        "properties": {**name, **_OPTIONS, "trigger": trigger},
        "required": list(name),
        "additionalProperties": False,
    }


RERUN: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "parameters": {
            "type": "object",
            "description": "Over the run's own, at the top level; null is a value.",
        }
    },
    "additionalProperties": False,
}
PRIORITY: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"priority": _OPTIONS["priority"]},
    "required": ["priority"],
    "additionalProperties": False,
}
NOTHING: Final[Mapping[str, Any]] = {"type": "object", "properties": {}, "additionalProperties": False}


class ForgedProvenance(Faulty):
    """The body says why the run exists, and not what the address makes true."""


def launch_body(call: Call, schema: wire.Schema) -> dict[str, Any]:
    """The body of a launching call; raises ForgedProvenance and InvalidBody."""
    kind = schema["properties"]["trigger"]["enum"][0]
    if forged := [_forged(name, value, kind) for name, value in _provenance(call, kind).items()]:
        raise ForgedProvenance(forged)
    return wire.body(call, schema)


def launch_request(body: Mapping[str, Any]) -> Request:
    """The launch request that a valid body asks for; raises InvalidBody."""
    retain = body.get("retain_for_seconds")
    return Request(
        parameters=body.get("parameters", {}),
        priority=None if body.get("priority") is None else priority_of(body["priority"]),
        dedup_key=body.get("dedup_key"),
        run_at=wire.instant_of(body, "run_at", InvalidBody),
        tags=body.get("tags", ()),
        metadata=body.get("metadata", {}),
        target=body.get("target"),
        retain_for_seconds=None if retain is None else int(retain),
        persistent=body.get("persistent", False),
    )


def _provenance(call: Call, kind: str) -> dict[str, Any]:
    named = {name: value for name, value in dict(call.data).items() if name in PROVENANCE}
    return {name: value for name, value in named.items() if (name, value) != ("trigger", kind)}


def _forged(name: str, value: object, kind: str) -> Fault:
    true = f"the server sets it, here to {kind!r}" if name == "trigger" else "the server sets it"
    detail = f"{name!r} is {shown(value)}; {true}: leave it out."
    return Fault(pointer=f"/{name}", code="forged", detail=detail)


def priority_of(given: Any) -> int:
    """The number that a valid `priority` stands for."""
    return priorities.parse(int(given) if isinstance(given, float) else given)
