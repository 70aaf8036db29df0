"""What a kind of source is given and what it makes of it; plain data, no tables."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


class Unreachable(Exception):
    """The source can't be looked at, now or as it is set up; the message says why, and names no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One thing that a source has: a file, an object, a row, an entry.

    `identity` is the same at every look and no other thing's. `value` is where it stands in the order of its
    source, if that has one. A `fault` says why there is no payload.
    """

    identity: str
    event: str
    payload: Any = None
    value: int | None = None
    fault: str = ""


class Memory(Protocol):
    """What is known of the things that were seen before."""

    def known(self, identities: Sequence[str]) -> Mapping[str, datetime | None]:
        """Those of `identities` that are remembered: since when one is waited for, None for one that was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A source as its kind sees it.

    `options` are complete. `state` is what the last look returned; `begins` says that there was none. Not more
    than `limit` things are wanted. `check` raises when the look takes too long. A trial changes nothing.
    """

    name: str
    options: Mapping[str, Any]
    secret: str
    state: Mapping[str, Any]
    begins: bool
    from_beginning: bool
    memory: Memory
    limit: int
    now: datetime
    check: Callable[[], None]
    is_trial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look at a source brought.

    `found` are to be delivered. `passed` are remembered and not delivered, `waiting` may be found at a later
    look, after `wait_seconds`. `present`: everything that is there, so that the rest can be forgotten;
    `passed_to`: nothing with this value or a lower one is ever read again. `more`: there was more than wanted.
    """

    found: Sequence[Found] = ()
    passed: Sequence[tuple[str, int | None]] = ()
    waiting: Sequence[str] = ()
    wait_seconds: float | None = None
    present: Collection[str] | None = None
    passed_to: int | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    more: bool = False


class Kind(Protocol):
    """One kind of source."""

    label: str
    options: Mapping[str, Any]  # JSON Schemas of its options; without a default it must be given
    marks: Sequence[str]  # the options that say which things are watched
    credential: str  # what its secret is, in words; "" without one
    needs_secret: bool
    remembers: bool  # whether what was taken must be remembered here, because the source itself does not
    sample: Any  # a payload to try a trigger with

    def faults(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """What is wrong with options that fit the schema, by name, in sentences."""

    def check_secret(self, secret: str) -> None:
        """Raises ValueError, with a sentence that does not hold it, for a text that can't be its secret."""

    def look(self, place: Place) -> Look:
        """What is there that was not taken yet. Raises Unreachable."""

    def release(self, place: Place, taken: Sequence[Found]) -> None:
        """Tells the source that these are in the inbox, after that is committed. Raises Unreachable."""


class Listed:
    """What kinds have in common that list all they have, and have nothing to be told."""

    credential = ""
    needs_secret = False
    remembers = True

    def check_secret(self, secret: str) -> None:
        """Raises ValueError: there is nothing to be secret."""
        raise ValueError("A source of this kind has no secret.")

    def release(self, place: Place, taken: Sequence[Found]) -> None:
        """Nothing: what was taken is remembered here."""
