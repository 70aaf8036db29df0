"""What operators see and do of notifications in the admin."""

from notifications.admin.channels import ChannelAdmin
from notifications.admin.messages import MessageAdmin
from notifications.admin.rules import RuleAdmin

__all__ = ["ChannelAdmin", "MessageAdmin", "RuleAdmin"]
