"""Who is told of what: channels, rules, what there is to tell, and what was sent."""

from notifications.models.channel import Channel, ChannelKind, ChannelSecret
from notifications.models.message import Message, Sending
from notifications.models.notice import Failing, Hush, Notice
from notifications.models.occasion import Occasion
from notifications.models.rule import Rule

__all__ = [
    "Channel",
    "ChannelKind",
    "ChannelSecret",
    "Failing",
    "Hush",
    "Message",
    "Notice",
    "Occasion",
    "Rule",
    "Sending",
]
