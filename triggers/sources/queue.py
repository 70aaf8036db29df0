"""A queue: a stream of Redis or Valkey, of which a consumer group of our own takes each entry.

Only one poller has a source at a time, so the group has one consumer: what it was given and has not acknowledged
is asked for first, whoever held it when he died. An entry is acknowledged when its delivery is committed; should
that be lost, the entry comes again under the same id, which the inbox knows.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import redis

from triggers.sources.base import Found, Look, Place, Unreachable

EVENT: Final = "entry"
CONSUMER: Final = "headway"
SECONDS: Final = 5.0
SCHEMES: Final = ("redis", "rediss", "unix")

Entries = Sequence[tuple[bytes, Mapping[bytes, bytes] | None]]


class Queue:
    """The secret is the whole address, because it usually has a password."""

    label = "Queue (Redis or Valkey stream)"
    options: Mapping[str, Any] = {
        "stream": {
            "type": "string",
            "minLength": 1,
            "maxLength": 500,
            "description": "The key of the stream.",
        },
        "field": {
            "type": "string",
            "maxLength": 200,
            "default": "",
            "description": "The field whose JSON is the payload; none: all fields, as texts.",
        },
    }
    marks: Sequence[str] = ("stream",)
    credential = "the address, such as rediss://user:password@host:6379/0"
    needs_secret = True
    remembers = False
    sample: Mapping[str, Any] = {"type": "order.paid", "order": "4711"}

    def faults(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """Nothing that the schema does not say."""
        return {}

    def check_secret(self, secret: str) -> None:
        """Raises ValueError for what is no address of a server."""
        try:
            parts = urlsplit(secret)
            good = (
                parts.scheme in SCHEMES and bool(parts.hostname or parts.scheme == "unix") and parts.port != 0
            )
        except ValueError:
            good = False
        if not good:
            raise ValueError(
                f"It is no address of a server; expected one that begins with {', '.join(SCHEMES)}."
            )

    def look(self, place: Place) -> Look:
        """The entries that were given to us and are not acknowledged, then new ones."""
        try:
            with _client(place) as client:
                entries = self._trial(client, place) if place.is_trial else self._taken(client, place)
        except (redis.RedisError, OSError, ValueError) as error:
            raise Unreachable(
                f"The stream {place.options['stream']!r} can't be read: {_told(error)}"
            ) from None
        found = [_found(number, fields, place) for number, fields in entries if fields is not None]
        return Look(found=found, more=len(entries) >= place.limit)

    def release(self, place: Place, taken: Sequence[Found]) -> None:
        """Acknowledges what is in the inbox."""
        try:
            with _client(place) as client:
                client.xack(place.options["stream"], place.name, *(each.identity for each in taken))
        except (redis.RedisError, OSError, ValueError) as error:
            raise Unreachable(f"What was taken can't be acknowledged: {_told(error)}") from None

    def _taken(self, client: Any, place: Place) -> Entries:
        self._make_group(client, place)
        ours = self._read(client, place, "0", place.limit)
        if gone := [number for number, fields in ours if fields is None]:
            client.xack(place.options["stream"], place.name, *gone)  # deleted from the stream before we came
        fresh = self._read(client, place, ">", place.limit - len(ours)) if len(ours) < place.limit else []
        return [*ours, *fresh]

    def _make_group(self, client: Any, place: Place) -> None:
        """The group of a stream that was lost with its server begins at its start: the inbox knows what came."""
        first = "$" if place.begins and not place.from_beginning else "0"
        try:
            client.xgroup_create(place.options["stream"], place.name, id=first, mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    @staticmethod
    def _read(client: Any, place: Place, after: str, count: int) -> Entries:
        streams = {place.options["stream"]: after}
        answer: Any = client.xreadgroup(place.name, CONSUMER, streams, count=count)
        found = answer.values() if isinstance(answer, dict) else [entries for _, entries in answer or []]
        return [(number, fields or None) for entries in found for number, fields in _flat(entries)]

    @staticmethod
    def _trial(client: Any, place: Place) -> Entries:
        """What the group would be given next, without asking as the group."""
        stream = place.options["stream"]
        groups = client.xinfo_groups(stream) if client.exists(stream) else []
        last = next(
            (each["last-delivered-id"] for each in groups if each["name"] == place.name.encode()), None
        )
        begin = "-" if last is None else f"({last.decode()}"
        entries: Entries = client.xrange(stream, min=begin, count=place.limit)
        return entries


def _flat(entries: Any) -> Iterable[tuple[bytes, Mapping[bytes, bytes] | None]]:
    for entry in entries:
        if isinstance(entry, list) and entry and isinstance(entry[0], tuple | list):
            yield from _flat(entry)
        else:
            yield entry[0], entry[1]


def _client(place: Place) -> Any:
    client: Any = redis.Redis.from_url(
        place.secret, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, decode_responses=False
    )
    return client


def _found(number: bytes, fields: Mapping[bytes, bytes], place: Place) -> Found:
    identity, name = number.decode(), place.options["field"]
    texts = {_text(key): _text(value) for key, value in fields.items()}
    if not name:
        return Found(identity=identity, event=_event(texts), payload=texts)
    if name not in texts:
        return Found(identity=identity, event=EVENT, fault=f"The entry {identity} has no field {name!r}.")
    try:
        payload = json.loads(texts[name])
    except (ValueError, RecursionError):
        return Found(
            identity=identity, event=EVENT, fault=f"The field {name!r} of the entry {identity} is no JSON."
        )
    return Found(identity=identity, event=_event(payload), payload=payload)


def _event(payload: Any) -> str:
    told = payload.get("type") if isinstance(payload, dict) else None
    return told if isinstance(told, str) and told else EVENT


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _told(error: Exception) -> str:
    """The error without the address, which may hold a password."""
    return str(error) if isinstance(error, redis.ResponseError) else type(error).__name__
