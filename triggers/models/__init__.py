"""When, and by whom, a run may be caused: triggers, what became of their slots, and API keys."""

from triggers.models.api_key import ApiKey, Scope
from triggers.models.occurrence import Occurrence
from triggers.models.trigger import Kind, Misfire, Overlap, RemoteTrigger, Schedule, Trigger, TriggerQuerySet

__all__ = [
    "ApiKey",
    "Kind",
    "Misfire",
    "Occurrence",
    "Overlap",
    "RemoteTrigger",
    "Schedule",
    "Scope",
    "Trigger",
    "TriggerQuerySet",
]
