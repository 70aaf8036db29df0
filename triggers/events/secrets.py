"""The secrets of an event trigger's address: given or made, shown once, replaced with an overlap."""

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from triggers import vault
from triggers.events.schemes import SCHEMES
from triggers.models import Secret, Trigger

GRACE_SECONDS: Final = 24 * 3600
LONGEST_GRACE: Final = 30 * 24 * 3600


class InvalidSecret(ValueError):
    """A text that can't be a secret of the trigger's scheme; the message does not hold it."""


def replace(trigger: Trigger, *, secret: str | None = None, grace_seconds: float = GRACE_SECONDS) -> str:
    """Makes `secret`, or a random one, the secret of the trigger's address; returns it.

    Those before it stay valid for `grace_seconds`, so that the sender may be told meanwhile. Raises InvalidSecret
    and `triggers.vault.VaultLocked`.
    """
    if trigger.scheme not in SCHEMES:
        raise InvalidSecret("Nothing is signed for this trigger: sources are polled for it.")
    scheme = SCHEMES[trigger.scheme]
    text = scheme.new_secret() if secret is None else secret
    try:
        scheme.check_secret(text)
    except ValueError as error:
        raise InvalidSecret(str(error)) from None
    fresh = Secret(trigger=trigger)
    fresh.sealed, fresh.key_id = vault.seal(text, place=fresh.place)
    end = timezone.now() + timedelta(seconds=grace_seconds)
    with transaction.atomic():
        before = Secret.objects.filter(trigger=trigger)
        before.filter(expires_at__isnull=True).update(expires_at=end)
        before.filter(expires_at__gt=end).update(expires_at=end)
        fresh.save(force_insert=True)
    return text


def valid(trigger: Trigger, *, now: datetime) -> list[str]:
    """The secrets that a sender may sign with at `now`, the newest first. Raises `triggers.vault.VaultLocked`."""
    found = Secret.objects.valid(now).filter(trigger=trigger)
    return [vault.unseal(each.sealed, place=f"trigger:{trigger.public_id}") for each in found]
