"""Makes and changes channels: what their addresses may be, and what of them goes to the vault."""

from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from notifications import addresses
from notifications.models import Channel, ChannelKind, ChannelSecret
from triggers import vault
from triggers.events.schemes.standard import StandardWebhooks

SIGNING: Final = StandardWebhooks()


class InvalidChannel(ValueError):
    """A secret that its kind can't have; the message does not hold it."""


def save(channel: Channel, *, address: str | None = None, secret: str | None = None) -> str | None:
    """Saves a channel, with another `address` or signing `secret` if given.

    A new webhook without a secret gets a random one. Returns the secret that was made, to be shown this once, else
    None. Raises InvalidChannel, `django.core.exceptions.ValidationError` and `triggers.vault.VaultLocked`.
    """
    made = None
    if channel.kind == ChannelKind.WEBHOOK and channel.pk is None and secret is None:
        made = secret = SIGNING.new_secret()
    if secret is not None:
        check_secret(channel.kind, secret)
    sealed = secret
    if address is not None:
        _take(channel, address)
        if channel.kind == ChannelKind.SLACK:
            sealed = address.strip()
    channel.full_clean()
    with transaction.atomic():
        if sealed is not None:
            channel.secret_changed_at = timezone.now()
        channel.save()
        if sealed is not None:
            _seal(channel, sealed)
    return made


def replace_secret(channel: Channel) -> str:
    """Gives a webhook another random secret, which signs from now on; returns it, to be shown this once."""
    if channel.kind != ChannelKind.WEBHOOK:
        raise InvalidChannel(f"A channel of the kind {channel.kind!r} has no secret to be replaced.")
    fresh = SIGNING.new_secret()
    save(channel, secret=fresh)
    return fresh


def secret_of(channel: Channel) -> str:
    """The channel's secret; "" if it has none. Raises VaultLocked."""
    kept = ChannelSecret.objects.filter(channel=channel).first()
    return vault.unseal(kept.sealed, place=kept.place) if kept else ""


def _take(channel: Channel, address: str) -> None:
    text = address.strip()
    try:
        addresses.check(channel.kind, text)
    except addresses.InvalidAddress as error:
        raise ValidationError({"address": str(error)}) from None
    if channel.kind == ChannelKind.SLACK:
        channel.address = addresses.origin(text)
    elif channel.kind == ChannelKind.EMAIL:
        channel.address = ", ".join(addresses.recipients(text))
    else:
        channel.address = text


def check_secret(kind: str, secret: str) -> None:
    """Raises InvalidChannel unless a channel of this kind can have that secret."""
    if kind != ChannelKind.WEBHOOK:
        raise InvalidChannel(f"A channel of the kind {kind!r} signs nothing; expected no secret.")
    try:
        SIGNING.check_secret(secret)
    except ValueError as error:
        raise InvalidChannel(str(error)) from None


def _seal(channel: Channel, text: str) -> None:
    kept = ChannelSecret(channel=channel)
    sealed, key_id = vault.seal(text, place=kept.place)
    ChannelSecret.objects.update_or_create(channel=channel, defaults={"sealed": sealed, "key_id": key_id})
