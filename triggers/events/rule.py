"""Decides whether the rule of an event trigger can be read."""

from typing import TYPE_CHECKING, Any, Final

from jobs.expectations import shown
from triggers import mapping
from triggers.events import filters, schemes

if TYPE_CHECKING:
    from triggers.models import Trigger

EVENT_LIMIT: Final = 50
DEBOUNCE_LIMIT: Final = 1000
DEBOUNCE_SECONDS_LIMIT: Final = 24 * 3600


def errors(trigger: "Trigger") -> dict[str, str]:
    """What is wrong with it, by field, each in a sentence."""
    found = _source_errors(trigger)
    try:
        filters.check(trigger.filter)
    except filters.InvalidFilter as error:
        found["filter"] = str(error)
    for name in ("parent_pointer", "debounce_pointer"):
        try:
            mapping.parts(getattr(trigger, name))
        except mapping.InvalidMapping as error:
            found[name] = str(error)
    if len(trigger.events) > EVENT_LIMIT or "" in trigger.events:
        found["events"] = f"Expected at most {EVENT_LIMIT} names, none of them empty."
    most: dict[str, int] = {
        "debounce_seconds": DEBOUNCE_SECONDS_LIMIT,
        "debounce_limit": DEBOUNCE_LIMIT,
    }
    for name, limit in most.items():
        if getattr(trigger, name) > limit:
            found[name] = f"{getattr(trigger, name)} is too much: expected at most {limit}."
    return found


def _source_errors(trigger: "Trigger") -> dict[str, str]:
    """An address of its own with a scheme, or that of a trigger that has one."""
    source: Any = trigger.source
    if source is None:
        return _scheme_errors(trigger)
    if trigger.scheme:
        return {"scheme": "A trigger that hears of another's address has no scheme of its own."}
    if source.kind != "event" or source.source_id is not None or source.pk == trigger.pk:
        return {
            "source": f"Trigger {source.pk} has no address of its own; expected an event trigger that has one."
        }
    if not trigger._state.adding and trigger.listeners.exists():
        return {"source": "Other triggers hear of this one's address: it can't give it up."}
    return _left_sources(trigger)


def _scheme_errors(trigger: "Trigger") -> dict[str, str]:
    if trigger.scheme not in schemes.READERS:
        known = ", ".join(schemes.READERS)
        return {"scheme": f"{shown(trigger.scheme)} is no scheme; expected one of {known}."}
    wrong = schemes.faults(trigger.scheme, trigger.scheme_options)
    return {"scheme_options": " ".join(wrong)} if wrong else _left_sources(trigger)


def _left_sources(trigger: "Trigger") -> dict[str, str]:
    if trigger._state.adding or trigger.scheme == schemes.POLL or not trigger.sources.exists():
        return {}
    return {"scheme": "Sources are polled for this trigger: remove those before it gets another scheme."}
