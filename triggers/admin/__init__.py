"""What operators see and do of schedules, calendars, dependencies, remote triggers and API keys in the admin."""

from triggers.admin.calendars import CalendarAdmin
from triggers.admin.dependencies import DependencyAdmin
from triggers.admin.keys import ApiKeyAdmin
from triggers.admin.remote import RemoteTriggerAdmin
from triggers.admin.schedules import ScheduleAdmin

__all__ = ["ApiKeyAdmin", "CalendarAdmin", "DependencyAdmin", "RemoteTriggerAdmin", "ScheduleAdmin"]
