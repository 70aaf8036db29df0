"""What the body of a call says of an event trigger: where its deliveries come from, and what signs them."""

from collections.abc import Mapping
from typing import Any, Final

from rest_framework.request import Request

from jobs import wire
from jobs.faults import Fault
from jobs.wire import InvalidBody
from triggers.events import rule, schemes, secrets
from triggers.models import Kind, Secret, Trigger
from triggers.visibility import visible

POINTER: Final[wire.Schema] = {"type": "string", "maxLength": 200}
FIELDS: Final[Mapping[str, wire.Schema]] = {
    "scheme": {
        "type": ["string", "null"],
        "enum": [*schemes.READERS, "", None],
        "description": "How deliveries to its address are signed; `poll`: sources are polled for them.",
    },
    "scheme_options": {
        "type": "object",
        "description": "What the schemes `hmac` and `token` let one choose.",
    },
    "secret": {
        "type": ["string", "null"],
        "minLength": 1,
        "maxLength": 500,
        "writeOnly": True,
        "description": "What the sender signs with; without it one is made and shown once. "
        "Those before it stay valid for a day.",
    },
    "source": {
        "type": ["integer", "null"],
        "minimum": 1,
        "maximum": 2**63 - 1,
        "description": "The event trigger whose address it hears of, in place of an address of its own.",
    },
    "events": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 100},
        "maxItems": rule.EVENT_LIMIT,
        "description": "The events it wants, by name; none: all.",
    },
    "filter": {
        "type": "object",
        "description": "Conditions by JSON Pointer (docs/webhooks.md); {}: everything.",
    },
    "mapping": {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "description": "Parameters by JSON Pointer into the payload; beside it, /$/branch, /$/paths …",
    },
    "parent_pointer": {
        **POINTER,
        "description": "Where the payload names the run of this site that caused it.",
    },
    "debounce_seconds": {"type": "integer", "minimum": 0, "maximum": rule.DEBOUNCE_SECONDS_LIMIT},
    "debounce_limit": {"type": "integer", "minimum": 1, "maximum": rule.DEBOUNCE_LIMIT},
    "debounce_pointer": {**POINTER, "description": "Deliveries with the same value there are gathered."},
}


def lay_source(request: Request, trigger: Trigger, body: Mapping[str, Any], *, whole: bool) -> None:
    """Lays on the trigger whose address it hears of; raises InvalidBody for one the caller does not see."""
    trigger.scheme = trigger.scheme or ""
    if "source" not in body:
        trigger.source = None if whole else trigger.source
        return
    number = body["source"]
    if number is None:
        trigger.source = None
        return
    known = visible(Trigger.objects.filter(kind=Kind.EVENT), auth=request.auth, lookup="job")
    trigger.source = known.filter(pk=int(number)).first()
    if trigger.source is None:
        raise _refused("source", f"There is no event trigger {int(number)}; expected the id of one.")


def settle_secret(trigger: Trigger, given: str | None) -> str | None:
    """Gives the stored trigger's address the secret it must have; returns one that was made, to be shown once.

    Raises InvalidBody and `triggers.vault.VaultLocked`.
    """
    if trigger.source_id is not None:
        if given is not None:
            raise _refused("secret", "A trigger that hears of another's address has no secret of its own.")
        Secret.objects.filter(trigger=trigger).delete()
        return None
    if trigger.scheme == schemes.POLL:
        if given is not None:
            raise _refused("secret", "A trigger that sources are polled for has no secret of its own.")
        Secret.objects.filter(trigger=trigger).delete()
        return None
    if given is None and Secret.objects.filter(trigger=trigger).exists():
        return None
    try:
        text = secrets.replace(trigger, secret=given)
    except secrets.InvalidSecret as error:
        raise _refused("secret", str(error)) from None
    return text if given is None else None


def _refused(name: str, detail: str) -> InvalidBody:
    return InvalidBody([Fault(pointer=f"/{name}", code="value", detail=detail)])
