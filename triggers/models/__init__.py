"""When, and by whom, a run may be caused: triggers, what became of their slots, and API keys."""

from triggers.models.api_key import ApiKey, Scope
from triggers.models.calendar import Calendar
from triggers.models.occurrence import Occurrence
from triggers.models.trigger import (
    Condition,
    Dependency,
    Kind,
    Misfire,
    Needs,
    Overlap,
    RemoteTrigger,
    Schedule,
    Trigger,
    TriggerQuerySet,
)
from triggers.models.upstream import Upstream

__all__ = [
    "ApiKey",
    "Calendar",
    "Condition",
    "Dependency",
    "Kind",
    "Misfire",
    "Needs",
    "Occurrence",
    "Overlap",
    "RemoteTrigger",
    "Schedule",
    "Scope",
    "Trigger",
    "TriggerQuerySet",
    "Upstream",
]
