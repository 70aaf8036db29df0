"""What operators see and do of schedules, dependencies, remote triggers and API keys in the admin."""

from triggers.admin.dependencies import DependencyAdmin
from triggers.admin.keys import ApiKeyAdmin
from triggers.admin.remote import RemoteTriggerAdmin
from triggers.admin.schedules import ScheduleAdmin

__all__ = ["ApiKeyAdmin", "DependencyAdmin", "RemoteTriggerAdmin", "ScheduleAdmin"]
