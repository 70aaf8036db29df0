"""Decides whether a launching request is new or the repetition of one that was answered (docs/api.md).

The key is inserted first, in the transaction that launches: so a crash leaves neither key nor run, and of
requests that come together one launches while the others wait at the unique index and then see its answer.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import OperationalError, connection, transaction
from django.utils import timezone
from psycopg.errors import LockNotAvailable

from runs.launch import Launched
from runs.models import Idempotency, Run

VALID_FOR = timedelta(hours=24)
KEY_LENGTH = 255


class KeyReused(Exception):
    """The key was sent with another address or body."""


class InFlight(Exception):
    """The first request with this key has not ended in the time that a lock is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a launching request led to; `replayed` if an earlier request with its key had done it."""

    launched: Launched
    replayed: bool


def fingerprint(*, path: str, body: bytes) -> str:
    """What makes two requests the same one: the path and the bytes of the body."""
    return hashlib.sha256(path.encode() + b"\0" + body).hexdigest()


def once(*, credential: str, key: str, fingerprint: str, launch: Callable[[], Launched]) -> Answer:
    """Launches unless the credential sent `key` within 24 hours; then that launch's run is the answer.

    Raises KeyReused, InFlight, and what `launch` raises, in which case the key is free again.
    """
    with transaction.atomic():
        # Who finds the key taken may find it gone again in the next moment, or too old: so both are tried
        # until one of them holds.
        while True:
            row = _insert(credential, key, fingerprint)
            if row is not None:
                launched = launch()
                Idempotency.objects.filter(pk=row).update(run=launched.run)
                return Answer(launched=launched, replayed=False)
            run = _answered(credential, key, fingerprint)
            if run is not None:
                return Answer(launched=Launched(run=run, created=True), replayed=True)


def _insert(credential: str, key: str, fingerprint: str) -> int | None:
    """The id of the new row; None if the key is taken. Waits for whoever is just inserting the same key."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                """INSERT INTO runs_idempotency (credential, key, fingerprint) VALUES (%s, %s, %s)
                   ON CONFLICT (credential, key) DO NOTHING RETURNING id""",
                [credential, key, fingerprint],
            )
            row = cursor.fetchone()
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise InFlight(
                f"A request with the Idempotency-Key {key!r} is still going on; send this one again."
            ) from None
        raise
    return row[0] if row else None


def _answered(credential: str, key: str, fingerprint: str) -> Run | None:
    """The run of the first request; None if its key is gone or was too old and is gone now."""
    runs = Idempotency.objects.select_related("run__job", "run__api_key", "run__created_by")
    found = runs.filter(credential=credential, key=key).first()
    if found is None:
        return None
    if found.run is None or found.created_at < timezone.now() - VALID_FOR:
        found.delete()
        return None
    if found.fingerprint != fingerprint:
        raise KeyReused(
            f"The Idempotency-Key {key!r} was sent before with another address or body; nothing was launched."
        )
    return found.run
