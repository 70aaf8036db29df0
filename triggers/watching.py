"""Stores a source with its secret, and says when it is looked at next."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from triggers import sources, vault
from triggers.models import Source


def check_secret(source: Source, secret: str | None) -> str | None:
    """What is wrong with `secret`, None for the stored one, in a sentence that does not hold it; None if nothing."""
    kind = sources.KINDS.get(source.kind)
    if kind is None:
        return None  # that is said of the kind
    if secret is None:
        if kind.needs_secret and not source.sealed:
            return f"It is missing; expected {kind.credential}."
        return None
    try:
        kind.check_secret(secret)
    except ValueError as error:
        return str(error)
    return None


def save(source: Source, *, secret: str | None = None) -> None:
    """Stores what people say of the source, and is due at once, so that they see what comes of it.

    `secret` is sealed; without one the stored one is kept. Raises ValidationError, of which `secret` is one
    field, and `triggers.vault.VaultLocked`.
    """
    errors: dict[str, list[str]] = {}
    try:
        source.full_clean()
    except ValidationError as error:
        errors = dict(error.message_dict)
    if wrong := check_secret(source, secret):
        errors["secret"] = [wrong]
    if errors:
        raise ValidationError(errors)
    written = ["trigger", "name", "options", "interval_seconds", "begin", "enabled", "updated_at"]
    if secret:
        source.sealed, source.key_id = vault.seal(secret, place=source.place)
        source.secret_set_at = timezone.now()
        written += ["sealed", "key_id", "secret_set_at"]
    with transaction.atomic():
        if source._state.adding:
            source.save(force_insert=True)
        else:
            source.save(update_fields=written)
        Source.objects.filter(pk=source.pk).update(next_poll_at=Now())
