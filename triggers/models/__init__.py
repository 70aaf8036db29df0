"""When, and by whom, a run may be caused: triggers, what became of their slots, and API keys."""

from triggers.models.api_key import ApiKey, Scope
from triggers.models.calendar import Calendar
from triggers.models.key_use import KeyUse, RateLimit
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
    "KeyUse",
    "Kind",
    "Misfire",
    "Needs",
    "Occurrence",
    "Overlap",
    "RateLimit",
    "RemoteTrigger",
    "Schedule",
    "Scope",
    "Trigger",
    "TriggerQuerySet",
    "Upstream",
]
