"""Carriers: how a message of each kind of channel gets to where it is to go."""

from collections.abc import Mapping
from typing import Final

from notifications.carriers.base import Carrier
from notifications.carriers.mail import MailCarrier
from notifications.carriers.posts import SlackCarrier, WebhookCarrier
from notifications.models import ChannelKind

CARRIERS: Final[Mapping[str, Carrier]] = {
    ChannelKind.EMAIL: MailCarrier(),
    ChannelKind.WEBHOOK: WebhookCarrier(),
    ChannelKind.SLACK: SlackCarrier(),
}
