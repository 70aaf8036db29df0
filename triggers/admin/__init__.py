"""What operators see and do in the admin of all kinds of triggers, calendars, deliveries and API keys."""

from triggers.admin.calendars import CalendarAdmin
from triggers.admin.dependencies import DependencyAdmin
from triggers.admin.events import DeliveryAdmin, EventTriggerAdmin
from triggers.admin.keys import ApiKeyAdmin
from triggers.admin.occurrences import OccurrenceAdmin
from triggers.admin.remote import RemoteTriggerAdmin
from triggers.admin.schedules import ScheduleAdmin
from triggers.admin.sources import SourceAdmin

__all__ = [
    "ApiKeyAdmin",
    "CalendarAdmin",
    "DeliveryAdmin",
    "DependencyAdmin",
    "EventTriggerAdmin",
    "OccurrenceAdmin",
    "RemoteTriggerAdmin",
    "ScheduleAdmin",
    "SourceAdmin",
]
