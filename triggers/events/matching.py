"""Decides which triggers a delivery concerns, why it does not fire one, and which parameters it gives."""

from typing import Any

from django.db.models import QuerySet

from jobs import parameters
from triggers import mapping
from triggers.events import filters
from triggers.events.base import Told
from triggers.models import Trigger


def listeners(address: Trigger) -> QuerySet[Trigger]:
    """The triggers that hear of what comes to `address`: itself, and those that share it."""
    both = Trigger.objects.filter(pk=address.pk) | Trigger.objects.filter(source=address)
    return both.select_related("job").order_by("id")


def objection(trigger: Trigger, *, told: Told, document: Any) -> str | None:
    """Why a delivery does not fire `trigger`, in a sentence; None if it does."""
    if not trigger.enabled:
        return "The trigger is disabled."
    if trigger.events and told.event not in trigger.events:
        return f"The event is {told.event!r}; expected one of {', '.join(trigger.events)}."
    if told.quiet and not trigger.events:
        return f"The event {told.event!r} only says that the address works."
    return filters.objection(trigger.filter, document)


def passed_on(trigger: Trigger, document: Any) -> dict[str, Any]:
    """The parameters that the trigger's mapping takes; raises `triggers.mapping.NotThere`."""
    return mapping.apply(trigger.mapping, document)


def secret_places(address: Trigger) -> set[str]:
    """The pointers by which a trigger takes a secret parameter of its job from what comes to `address`."""
    return {
        pointer
        for trigger in listeners(address)
        for name, pointer in trigger.mapping.items()
        if parameters.is_secret(trigger.job.schema, (name,))
    }
