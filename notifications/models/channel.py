"""Channel: a way to reach somebody, and the secret that belongs to it."""

from typing import ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Now

from notifications import addresses


class ChannelKind(models.TextChoices):
    """How a channel carries its messages."""

    EMAIL = "email", "E-mail"
    WEBHOOK = "webhook", "Webhook"
    SLACK = "slack", "Slack"


class Channel(models.Model):
    """Where messages go: recipients of e-mail, the URL of a webhook, or a URL that Slack has given out.

    A webhook signs with its secret. The URL of a Slack channel is itself a secret: it is in the vault, and
    `address` only says whose it is. Written by `notifications.channels`.
    """

    Kind = ChannelKind

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=ChannelKind)
    address = models.CharField(max_length=addresses.LONGEST)
    is_enabled = models.BooleanField("enabled", default=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    secret_changed_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuses an address that its kind can't use."""
        if self.kind == ChannelKind.SLACK and self.pk is not None:
            return  # what it shows is no address
        try:
            addresses.check(self.kind, self.address)
        except addresses.InvalidAddress as error:
            raise ValidationError({"address": str(error)}) from None

    @property
    def recipients(self) -> list[str]:
        """Whom an e-mail goes to."""
        return addresses.recipients(self.address)


class ChannelSecret(models.Model):
    """What a webhook is signed with, or the URL of a Slack channel: sealed by the vault."""

    channel = models.OneToOneField(Channel, on_delete=models.CASCADE, related_name="secret")
    sealed = models.TextField(editable=False)
    key_id = models.CharField(max_length=8, editable=False, db_index=True)

    class Meta:
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return f"secret of channel {self.channel_id}"

    @property
    def place(self) -> str:
        """What it is sealed for: it opens for this channel only."""
        return f"channel:{self.channel_id}"
