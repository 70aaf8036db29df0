"""Looks at sources and puts what it finds into the inbox, so that nothing is lost and nothing comes twice.

A source is claimed by a row, looked at without any transaction, and then what was found is delivered in portions:
the deliveries, the memory of what was taken and their runs are one transaction, which only whoever still holds
the claim can commit. Who dies in between leaves what he did not commit to the next look.
"""

import hashlib
import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Case, F, When
from django.db.models.functions import Now
from django.utils import timezone

from runs import deliveries
from runs.plain import plain_text
from triggers import sources, vault
from triggers.limits import LimitReached
from triggers.models import Sighting, Source
from triggers.sources.base import Found, Kind, Look, Place, Unreachable

log = structlog.get_logger(__name__)

LIMIT: Final = 500  # things a poll
PORTION: Final = 50  # things a transaction
# A look that takes longer is given up; after the lease, another poller may look.
LOOK_SECONDS: Final = 60.0
TRIAL_SECONDS: Final = 10.0
LEASE: Final = timedelta(seconds=180)
# How long a source rests that could not be looked at: twice as long each time, from the interval to this.
LONGEST_REST: Final = timedelta(minutes=10)
# Things that are gone from a source are forgotten after a while, for they may be back at the next look.
FORGET_AFTER: Final = timedelta(days=1)
TIDY_EVERY: Final = timedelta(hours=1)

_CLAIM: Final = """
    UPDATE triggers_source SET claim = %(token)s, claimed_until = clock_timestamp() + %(lease)s::interval
    WHERE id = (
        SELECT id FROM triggers_source
        WHERE enabled AND NOT id = ANY(%(busy)s::bigint[]) AND (%(only)s::bigint IS NULL OR id = %(only)s)
          -- A time further ahead than any that is ever written comes from a clock that was set back.
          AND (next_poll_at <= clock_timestamp()
               OR next_poll_at > clock_timestamp() + interval_seconds * interval '1 s' + %(rest)s::interval)
          AND (claimed_until IS NULL OR claimed_until <= clock_timestamp()
               OR claimed_until > clock_timestamp() + %(lease)s::interval)
        ORDER BY next_poll_at FOR UPDATE SKIP LOCKED LIMIT 1
    ) RETURNING id"""
_SEE: Final = """
    INSERT INTO triggers_sighting AS s (source_id, identity, value, taken, at)
    SELECT %(source)s, identity, value, %(taken)s, clock_timestamp()
    FROM unnest(%(identities)s::bytea[], %(values)s::bigint[]) AS seen (identity, value)
    ON CONFLICT (source_id, identity) DO UPDATE SET taken = EXCLUDED.taken, at = EXCLUDED.at, value = EXCLUDED.value
    -- What is waited for keeps the time since when, unless the clock was set back.
    WHERE NOT s.taken AND (EXCLUDED.taken OR s.at > EXCLUDED.at)"""
_TIDY: Final = """
    DELETE FROM triggers_sighting
    WHERE source_id = %(source)s AND at < clock_timestamp() - %(age)s::interval
      AND NOT identity = ANY(%(present)s::bytea[])"""


class Fenced(Exception):
    """Another poller has the source meanwhile: what this one found is the other's to find."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """What came of a poll: how many new deliveries, whether more is there, and why it went wrong, if it did."""

    found: int = 0
    more: bool = False
    error: str = ""


class SightingMemory:
    """What is remembered of a source, in its sightings."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def known(self, identities: Sequence[str]) -> Mapping[str, datetime | None]:
        """Those that are remembered: since when one is waited for, None for one that was taken."""
        hashed = {_hashed(identity): identity for identity in identities}
        rows = Sighting.objects.filter(source=self._source, identity__in=list(hashed))
        found = rows.values_list("identity", "taken", "at")
        return {hashed[bytes(identity)]: None if taken else at for identity, taken, at in found.iterator()}


def claim(*, busy: Collection[int] = (), only: int | None = None) -> Source | None:
    """A source that is due, for the caller alone until the lease ends; None if there is none.

    `busy` are sources that are left to whoever works on them; `only` is the one that is wanted.
    """
    token = uuid.uuid4()
    values: dict[str, Any] = {"token": token, "lease": _span(LEASE), "rest": _span(LONGEST_REST)}
    values |= {"busy": list(busy), "only": only}
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        row = cursor.fetchone()
    if row is None:
        return None
    return Source.objects.select_related("trigger__job").filter(pk=row[0], claim=token).first()


def poll(source: Source) -> Polled:
    """Looks at a claimed source once and delivers what it finds; never raises for what is the source's fault."""
    kind = sources.KINDS[source.kind]
    try:
        place = place_of(source, now=_now())
        look = kind.look(place)
        return _delivered(source, kind, place, look)
    except Fenced:
        log.warning("source_fenced", source=source.name)
        give_back(source)
        return Polled(error="It was disabled or changed, or another poller took it over.")
    except (DatabaseError, InterfaceError):
        raise  # our own database: the lease ends, and the next look finds the same
    except (Unreachable, vault.VaultLocked) as error:
        return _failed(source, str(error))
    except Exception as error:  # a fault of ours must not end the poller
        log.error("source_not_polled", source=source.name, exc_info=error)
        return _failed(source, f"{type(error).__name__}: {error}")


def give_back(source: Source) -> None:
    """Ends the claim, so that nobody has to wait for its lease."""
    Source.objects.filter(pk=source.pk, claim=source.claim).update(claim=None, claimed_until=None)


def hurry(source: Source) -> None:
    """Makes the source due at once; by the database's clock."""
    Source.objects.filter(pk=source.pk).update(next_poll_at=Now())


def try_out(source: Source) -> Look:
    """What a look at the source would find now; nothing is delivered, remembered or taken from it.

    Raises Unreachable and `triggers.vault.VaultLocked`.
    """
    place = place_of(source, now=_now(), is_trial=True)
    return sources.KINDS[source.kind].look(place)


def place_of(source: Source, *, now: datetime, is_trial: bool = False) -> Place:
    """The source as its kind sees it. Raises `triggers.vault.VaultLocked`."""
    seconds = TRIAL_SECONDS if is_trial else LOOK_SECONDS
    deadline = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > deadline:
            raise Unreachable(f"Looking took longer than {seconds:g} s.")

    begins = source.state.get("of") != sources.mark(source.kind, source.options)
    return Place(
        name=f"headway-{source.public_id}",
        options=source.whole_options,
        secret=vault.unseal(source.sealed, place=source.place) if source.sealed else "",
        state={} if begins else source.state,
        begins=begins and not is_trial,
        from_beginning=source.begin == "beginning",
        memory=SightingMemory(source),
        limit=LIMIT,
        now=now,
        check=check,
        is_trial=is_trial,
    )


def _delivered(source: Source, kind: Kind, place: Place, look: Look) -> Polled:
    count, limited = 0, None
    for start in range(0, len(look.found), PORTION):
        portion = look.found[start : start + PORTION]
        with transaction.atomic():
            _hold(source)
            taken, new, limited = _put(source, portion)
        count += new
        if taken:
            kind.release(place, taken)
        if limited is not None:
            break
    with transaction.atomic():
        _hold(source)
        _finish(source, place, look, limited=limited)
    return Polled(found=count, more=look.more or limited is not None)


def _hold(source: Source) -> None:
    """Locks the source until the end of the transaction, and lengthens the lease. Raises Fenced."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE triggers_source SET claimed_until = clock_timestamp() + %s::interval
               WHERE id = %s AND claim = %s AND enabled RETURNING id""",
            [_span(LEASE), source.pk, source.claim],
        )
        if cursor.fetchone() is None:
            raise Fenced


def _put(source: Source, portion: Sequence[Found]) -> tuple[list[Found], int, LimitReached | None]:
    """Delivers what the trigger's rate limit lets through; what it does not is found again."""
    taken, new, limited = [], 0, None
    for found in portion:
        thing = deliveries.Thing(
            address=source.trigger,
            source=source.name,
            event=found.event,
            key=f"{source.pk}:{_shown(found.identity)}",
            payload=found.payload,
            fault=found.fault,
        )
        try:
            new += deliveries.put(thing, at=timezone.now()).is_new
        except LimitReached as error:
            limited = error
            break
        taken.append(found)
    if sources.KINDS[source.kind].remembers:
        _see(source, [(found.identity, found.value) for found in taken], taken=True)
    Source.objects.filter(pk=source.pk).update(found_count=F("found_count") + new)
    return taken, new, limited


def _finish(source: Source, place: Place, look: Look, *, limited: LimitReached | None) -> None:
    _see(source, look.passed, taken=True)
    _see(source, [(identity, None) for identity in look.waiting], taken=False)
    now = _now()
    state = {
        **look.state,
        "of": sources.mark(source.kind, source.options),
        "tidied_at": _tidied(source, look, now),
    }
    if limited is not None:
        state = {**source.state, "tidied_at": state["tidied_at"]}  # it is read again from where it began
    elif look.passed_to is not None:
        Sighting.objects.filter(source=source, value__lte=look.passed_to).delete()
    behind = look.more or limited is not None
    Source.objects.filter(pk=source.pk).update(
        state=state,
        next_poll_at=_unless_hurried(source, now + _rest(source, look, limited)),
        claim=None,
        claimed_until=None,
        last_poll_at=now,
        caught_up_at=F("caught_up_at") if behind else place.now,
        backlog=behind,
        last_error="",
        failures=0,
        failing_since=None,
    )


def _rest(source: Source, look: Look, limited: LimitReached | None) -> timedelta:
    if limited is not None:
        return min(timedelta(seconds=limited.retry_after), LONGEST_REST)
    if look.more:
        return timedelta()
    return timedelta(seconds=min(source.interval_seconds, look.wait_seconds or source.interval_seconds))


def _unless_hurried(source: Source, at: datetime) -> Case:
    """The time of the next look: `at`, unless somebody made the source due while this look went on.

    What he wants to have seen may have come after this look saw its part of the source.
    """
    return Case(When(next_poll_at=source.next_poll_at, then=at), default=F("next_poll_at"))


def _tidied(source: Source, look: Look, now: datetime) -> str | None:
    """Forgets what is long gone, once an hour; returns when that was done last."""
    last: str | None = source.state.get("tidied_at")
    if look.present is None or (last and timedelta() <= now - datetime.fromisoformat(last) < TIDY_EVERY):
        return last
    present = [_hashed(identity) for identity in look.present]
    with connection.cursor() as cursor:
        cursor.execute(_TIDY, {"source": source.pk, "age": _span(FORGET_AFTER), "present": present})
    return now.isoformat()


def _failed(source: Source, error: str) -> Polled:
    now, text = _now(), plain_text(error)[:500]
    shortest = timedelta(seconds=min(source.interval_seconds, LONGEST_REST.total_seconds()))
    rest = min(max(shortest, timedelta(seconds=1)) * 2 ** min(source.failures, 16), LONGEST_REST)
    Source.objects.filter(pk=source.pk, claim=source.claim).update(
        next_poll_at=_unless_hurried(source, now + max(rest, shortest)),
        claim=None,
        claimed_until=None,
        last_poll_at=now,
        last_error=text,
        failures=source.failures + 1,
        failing_since=source.failing_since or now,
    )
    log.warning("source_unreachable", source=source.name, error=text)
    return Polled(error=text)


def _see(source: Source, seen: Iterable[tuple[str, int | None]], *, taken: bool) -> None:
    once: dict[bytes, int | None] = {_hashed(identity): value for identity, value in seen}
    if not once:
        return
    values: dict[str, Any] = {"source": source.pk, "taken": taken}
    with connection.cursor() as cursor:
        cursor.execute(_SEE, {**values, "identities": list(once), "values": list(once.values())})


def _shown(identity: str) -> str:
    """The identity as a delivery's id: no two have the same, whatever is replaced or cut in what is stored."""
    return identity if len(identity) <= 150 and identity.isprintable() else _hashed(identity).hex()


def _hashed(identity: str) -> bytes:
    return hashlib.blake2b(identity.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _span(span: timedelta) -> str:
    """As PostgreSQL reads an interval."""
    return f"{span.total_seconds()} s"


def _now() -> datetime:
    """The database's clock, by which everything that is due is due."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
    return found
