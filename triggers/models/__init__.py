"""When, and by whom, a run may be caused: triggers, what became of their slots and deliveries, and API keys."""

from triggers.models.api_key import ApiKey, Scope
from triggers.models.calendar import Calendar
from triggers.models.choices import Condition, Kind, Misfire, Needs, Otherwise, Overlap, Since
from triggers.models.delivery import Batch, Delivery, Reaction
from triggers.models.key_use import KeyUse, RateLimit
from triggers.models.occurrence import Occurrence
from triggers.models.proxies import Dependency, EventTrigger, RemoteTrigger, Schedule
from triggers.models.secret import Secret
from triggers.models.source import Sighting, Source
from triggers.models.trigger import Trigger, TriggerQuerySet
from triggers.models.upstream import Upstream

__all__ = [
    "ApiKey",
    "Batch",
    "Calendar",
    "Condition",
    "Delivery",
    "Dependency",
    "EventTrigger",
    "KeyUse",
    "Kind",
    "Misfire",
    "Needs",
    "Occurrence",
    "Otherwise",
    "Overlap",
    "RateLimit",
    "Reaction",
    "RemoteTrigger",
    "Schedule",
    "Scope",
    "Secret",
    "Sighting",
    "Since",
    "Source",
    "Trigger",
    "TriggerQuerySet",
    "Upstream",
]
