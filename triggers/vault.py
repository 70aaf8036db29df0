"""The vault: secrets that must be known again, such as those that senders sign with, encrypted at rest.

Its keys come from the environment (`HEADWAY_VAULT_KEYS`) and are never in the database: the first one seals, all
of them open, and `manage.py rotate_secrets` seals anew what a former key sealed.
"""

from functools import lru_cache
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.db.models import Model, QuerySet

from triggers import cipher

SHORTEST: Final = 32  # characters of a key
BATCH: Final = 100


class VaultLocked(RuntimeError):
    """There is no key to seal with, or none that opens a secret; the message says which variable is meant."""


def seal(text: str, *, place: str) -> tuple[str, str]:
    """`text`, sealed for `place`, and the id of the key that did it. Raises VaultLocked."""
    first = _keys()[0]
    return cipher.seal(text, key=first, place=place), first.id


def unseal(sealed: str, *, place: str) -> str:
    """What was sealed for `place`. Raises VaultLocked."""
    try:
        return cipher.unseal(sealed, keys=_keys(), place=place)
    except cipher.CannotOpen:
        raise VaultLocked(
            "A stored secret can't be opened: the key that sealed it is not in HEADWAY_VAULT_KEYS."
        ) from None


def known_keys() -> list[str]:
    """The ids of the keys, the one that seals first; none if the vault is locked."""
    return [each.id for each in _derived(tuple(settings.VAULT_KEYS))]


def rotate() -> tuple[int, int]:
    """Seals anew what the first key did not seal; returns how many, and how many no key opens.

    Each batch is a transaction of its own, so that it may be stopped anywhere and called again.
    """
    done, lost = 0, 0
    for model in _tables():
        again, closed = _rotate(model)
        done, lost = done + again, lost + closed
    return done, lost


def lost_count() -> int:
    """How many stored secrets no key opens."""
    known = known_keys()
    return sum(_kept(model).exclude(key_id__in=known).count() for model in _tables())


def _tables() -> list[type[Model]]:
    """Every table with `sealed` and `key_id`; what it seals for is its rows' `place`."""
    return [
        model
        for model in apps.get_models()
        if {"sealed", "key_id"} <= {field.name for field in model._meta.concrete_fields}
    ]


def _kept(model: type[Model]) -> QuerySet[Any]:
    return model._default_manager.exclude(sealed="")


def _rotate(model: type[Model]) -> tuple[int, int]:
    current, done, lost, after = _keys()[0].id, 0, 0, 0
    while True:
        with transaction.atomic():
            # With what it belongs to, for its place.
            old = _kept(model).exclude(key_id=current).filter(pk__gt=after).order_by("pk").select_related()
            batch = list(old.select_for_update(of=("self",))[:BATCH])
            for secret in batch:
                try:
                    text = unseal(secret.sealed, place=secret.place)
                except VaultLocked:
                    lost += 1
                    continue
                secret.sealed, secret.key_id = seal(text, place=secret.place)
                secret.save(update_fields=["sealed", "key_id"])
                done += 1
        if not batch:
            return done, lost
        after = batch[-1].pk


def _keys() -> tuple[cipher.Key, ...]:
    found = _derived(tuple(settings.VAULT_KEYS))
    if not found:
        raise VaultLocked(
            "HEADWAY_VAULT_KEYS is not set: without a key no secret can be stored or opened. "
            f"Expected one or more texts of {SHORTEST} random characters or more, separated by commas."
        )
    return found


@lru_cache(maxsize=4)
def _derived(texts: tuple[str, ...]) -> tuple[cipher.Key, ...]:
    return tuple(cipher.key(text) for text in texts)
