"""Takes the fields of one old row, under any of their names, and notes everything that is wrong with them."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from math import isfinite
from typing import Any, TypeVar

from jobs.faults import Fault, pointer

Value = TypeVar("Value")


class Fields:
    """One row's fields; each may be written in snake_case or camelCase. `rest` is what nobody took."""

    def __init__(self, place: str, fields: Mapping[str, Any], faults: list[Fault]) -> None:
        self.place = place
        self._fields = {str(name): value for name, value in fields.items()}
        self._faults = faults
        self._taken: dict[str, str] = {}  # the name it was asked by -> the name it has in the file

    def take(self, *names: str) -> Any:
        """The value of the first of `names` that is given and not null; None if none is."""
        for name in names:
            for written in (name, _camel(name)):
                if written in self._fields:
                    self._taken[name] = written
                    if self._fields[written] not in (None, ""):
                        return self._fields[written]
        return None

    def converted(self, convert: Callable[[Any], Value], *names: str) -> Value | None:
        """What `convert` makes of the value; where it raises ValueError, that is noted and None returned."""
        value = self.take(*names)
        if value is None:
            return None
        try:
            return convert(value)
        except ValueError as error:
            self.refuse(self._given(names), "value", str(error))
            return None

    def text(self, *names: str) -> str | None:
        return self.converted(text, *names)

    def time(self, *names: str) -> datetime | None:
        return self.converted(instant, *names)

    def object(self, *names: str) -> dict[str, Any] | None:
        return self.converted(plain_object, *names)

    def refuse(self, name: str, code: str, detail: str) -> None:
        """Notes that the field `name` is wrong."""
        self._faults.append(
            Fault(pointer=self.place + pointer(self._taken.get(name, name)), code=code, detail=detail)
        )

    def rest(self, *, without: Iterable[str] = ()) -> dict[str, Any]:
        """What was not taken, as JSON."""
        gone = {*self._taken.values(), *without}
        return {name: json_value(value) for name, value in self._fields.items() if name not in gone}

    def _given(self, names: Iterable[str]) -> str:
        return next(name for name in names if name in self._taken and self._value(name) not in (None, ""))

    def _value(self, name: str) -> Any:
        return self._fields[self._taken[name]]


def text(value: Any) -> str:
    """A text, or a number as text; an `{"$oid": …}` of a MongoDB export as what is in it."""
    if isinstance(value, Mapping) and list(value) == ["$oid"]:
        value = value["$oid"]
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value).strip()
    raise ValueError(f"{value!r:.80} is not a text.")


def instant(value: Any) -> datetime:
    """An ISO 8601 time (also YAML's own, or MongoDB's `{"$date": …}`); without a zone it is UTC."""
    if isinstance(value, Mapping) and list(value) == ["$date"]:
        value = value["$date"]
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - the zone is given below
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"{value!r:.80} is not a time; expected ISO 8601, such as 2025-01-13T15:30:00Z."
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def plain_object(value: Any) -> dict[str, Any]:
    """An object, as JSON."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{value!r:.80} is not an object.")
    return {str(key): json_value(item) for key, item in value.items()}


def json_value(value: Any) -> Any:
    """`value` as JSON has it: YAML's dates and times become texts."""
    if isinstance(value, Mapping):
        return plain_object(value)
    if isinstance(value, list | tuple | set):
        return [json_value(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    fits = value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value))
    return value if fits else str(value)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
