"""Reads recipients from what somebody sends: JSON, NDJSON or CSV, a piece at a time, never all of it at once.

What can't be read at all raises Unreadable; a single line that is no recipient is passed on as its faults, so that
all of them can be reported together.
"""

import codecs
import csv
import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from json.scanner import make_scanner
from typing import Any, Final, Protocol, TextIO, cast

from django.http import UnreadablePostError

from jobs import schemas
from jobs.expectations import shown
from jobs.faults import Fault

LINE_LIMIT: Final = 1024 * 1024  # characters
PIECE: Final = 64 * 1024
_IN_MEMORY: Final = 1024 * 1024
# Stays in the text of an encoding that says its order by its name, such as utf-16-le.
_BYTE_ORDER_MARK: Final = "\ufeff"
KEY, ACTIVE, LEFT_OUT = "key", "active", ""
FIELDS: Final = frozenset({"key", "parameters", "active"})
_YES: Final = frozenset({"true", "t", "yes", "y", "1", "active", ""})
_NO: Final = frozenset({"false", "f", "no", "n", "0", "inactive"})

Given = Mapping[str, Any] | list[Fault]
Line = tuple[int, Given]  # with its number, from 1


class Unreadable(ValueError):
    """What was sent can't be read as recipients; the message says where and why."""


class TooLarge(Exception):
    """More bytes were sent than are taken."""


class BrokenOff(UnreadablePostError):
    """Fewer bytes were sent than were announced."""


class Readable(Protocol):
    """Anything that bytes can be read from."""

    def read(self, size: int = -1, /) -> bytes: ...


class Source(io.RawIOBase):
    """Bytes from a request or file, counted and hashed on their way; raises TooLarge behind `limit`.

    Raises BrokenOff where the stream ends before its `announced` length: half a list must not pass for a whole one.
    """

    def __init__(self, stream: Readable, *, limit: int, announced: int = 0) -> None:
        super().__init__()
        self._stream, self._limit, self._size, self._announced = stream, limit, 0, announced
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer))
        self._size += len(piece)
        if self._size > self._limit:
            raise TooLarge(f"The body is larger than {self._limit} bytes.")
        if not piece and self._size < self._announced:
            raise BrokenOff(f"The body ended after {self._size} of {self._announced} bytes.")
        self._hash.update(piece)
        buffer[: len(piece)] = piece
        return len(piece)

    def become(self, stream: Readable) -> None:
        """Reads from `stream` from now on: a file that was found in the request."""
        self._stream, self._announced = stream, 0

    def digest(self) -> str:
        """The SHA-256 of all bytes, those that nobody has read yet included."""
        while self.read(PIECE):
            pass
        return self._hash.hexdigest()


def digest(*parts: str) -> str:
    """One digest of several texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def text_of(source: Source, *, encoding: str = "utf-8") -> TextIO:
    """The source as text. Raises Unreadable for an unknown encoding, and for one that is none of texts."""
    try:
        codec = codecs.lookup(encoding)
        codec.incrementaldecoder().decode(b"x")
        name = "utf-8-sig" if codec.name == "utf-8" else codec.name
        return io.TextIOWrapper(io.BufferedReader(source, PIECE), encoding=name, newline="")
    except (LookupError, TypeError, ValueError):
        raise Unreadable(f"{shown(encoding)} is no text encoding; expected one such as utf-8.") from None


class Spooled:
    """Recipients in NDJSON that are fetched all together by whoever begins to read them, and then lie in a file."""

    def __init__(self, texts: Callable[[], Iterable[str]]) -> None:
        self._texts = texts

    def __iter__(self) -> Iterator[Line]:
        spool = tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", newline="")  # noqa: SIM115
        spool.writelines(self._texts())
        spool.seek(0)
        return _read_and_closed(cast(TextIO, spool))


def _read_and_closed(text: TextIO) -> Iterator[Line]:
    with text:
        yield from of_ndjson(text)


def read_cells(cells: Mapping[str, str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The cells of a CSV as a job's schema wants them."""
    return {name: _value(cell, _types(schema, name)) for name, cell in cells.items()}


def lines_of(text: TextIO) -> Iterator[str]:
    """The lines of `text` without a byte order mark, none longer than LINE_LIMIT. Raises Unreadable."""
    number = 0
    try:
        while line := text.readline(LINE_LIMIT):
            number += 1
            if len(line) == LINE_LIMIT and not line.endswith("\n"):
                raise Unreadable(f"Line {number} is longer than {LINE_LIMIT} characters.")
            yield line if number > 1 else line.removeprefix(_BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        # What was read ahead begins in the line that nobody was given yet.
        there = number + 1 + error.object[: error.start].count(b"\n")
        raise Unreadable(f"Line {there} is not {error.encoding}: {error.reason}.") from None


def of_ndjson(text: TextIO) -> Iterator[Line]:
    """A recipient each line; empty lines are passed over."""
    for number, line in enumerate(lines_of(text), 1):
        if line.isspace():
            continue
        try:
            yield number, _decoded(line)
        except (ValueError, RecursionError) as error:
            detail = f"The line is not JSON: {getattr(error, 'msg', error)}."
            yield number, [Fault(pointer="", code="json", detail=detail)]


def _decoded(line: str) -> Any:
    """The line as JSON. What is written plainly is scanned only; the decoder says what is wrong with the others."""
    try:
        value, end = _scan(line, 0)
    except StopIteration:
        return DECODER.decode(line)
    if end == len(line) or line[end:].isspace():
        return value
    return DECODER.decode(line)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {shown(repeated)} is given more than once in one object")
    return found


DECODER: Final = json.JSONDecoder(object_pairs_hook=_object)
_scan: Final = make_scanner(DECODER)  # type: ignore[arg-type] # a function, which typeshed takes for a class


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvForm:
    """How a CSV is to be read. `columns` maps a column to "key", "active", a parameter, or "" for none.

    A column that is not mapped means what it is called. Without a header, columns are called 1, 2, 3 …
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    has_header: bool = True
    delimiter: str = ","


def of_csv(text: TextIO, *, form: CsvForm, schema: Mapping[str, Any]) -> Iterator[Line]:
    """A recipient each row, its cells read as the job's schema wants them; an empty cell gives no parameter.

    Empty lines are passed over, wherever they are.
    """
    reader = csv.reader(lines_of(text), delimiter=form.delimiter, strict=True)
    rows = (row for row in reader if row and not (len(row) == 1 and row[0].isspace()))
    try:
        first = next(rows, None)
        if first is None:
            return
        names = (
            [name.strip() for name in first] if form.has_header else [str(n + 1) for n in range(len(first))]
        )
        fields = _fields(names, form.columns, schema)
        types = {name: _types(schema, name) for name in fields}
        if not form.has_header:
            yield reader.line_num, _row(first, fields, types)
        for row in rows:
            yield reader.line_num, _row(row, fields, types)
    except csv.Error as error:
        raise Unreadable(f"Line {reader.line_num} is not CSV: {error}.") from None


def _fields(names: Sequence[str], columns: Mapping[str, str], schema: Mapping[str, Any]) -> list[str]:
    """What each column is; raises Unreadable."""
    for name in columns:
        if name not in names:
            raise Unreadable(f"There is no column {shown(name)}; there are {', '.join(names)}.")
    fields = [columns.get(name, name) for name in names]
    if KEY not in fields:
        other = "" if len(names) > 1 else ", or say by which delimiter the columns are parted"
        raise Unreadable(f'No column is the key; map one of {", ".join(names)} to "key"{other}.')
    for name, meant in zip(names, fields, strict=True):
        if meant != LEFT_OUT and fields.count(meant) > 1:
            raise Unreadable(f"More than one column is {shown(meant)}.")
        if meant not in {KEY, ACTIVE, LEFT_OUT} and not _allows(schema, meant):
            raise Unreadable(
                f"The column {shown(name)} is neither key, nor active, nor a parameter of the job; "
                'map it to one of them, or to "" to leave it out.'
            )
    return fields


def _allows(schema: Mapping[str, Any], parameter: str) -> bool:
    return bool(schemas.places(schema, (parameter,)) or schema.get("additionalProperties"))


def _types(schema: Mapping[str, Any], parameter: str) -> frozenset[str]:
    """The JSON types that the schema wants for the parameter; none: any text will do."""
    found: set[str] = set()
    for place in schemas.places(schema, (parameter,)):
        kind = place.get("type", [])
        found |= {kind} if isinstance(kind, str) else set(kind)
    return frozenset(found)


def _row(row: Sequence[str], fields: Sequence[str], types: Mapping[str, frozenset[str]]) -> Given:
    if len(row) != len(fields):
        detail = f"The row has {len(row)} cells; expected {len(fields)}."
        return [Fault(pointer="", code="cells", detail=detail)]
    given: dict[str, Any] = {"parameters": {}}
    for name, cell in zip(fields, row, strict=True):
        if name == KEY:
            given["key"] = cell.strip()
        elif name == ACTIVE:
            word = cell.strip().lower()
            given["active"] = True if word in _YES else False if word in _NO else cell
        elif name != LEFT_OUT and cell != "":
            given["parameters"][name] = _value(cell, types[name])
    return given


def _value(cell: str, types: frozenset[str]) -> Any:
    """The cell as one of `types`; as it is if it can't be, which the schema then says better."""
    if "string" in types or not types:
        return cell
    text = cell.strip()
    if "boolean" in types and text.lower() in _YES | _NO:
        return text.lower() in _YES
    try:
        return DECODER.decode(text)
    except (ValueError, RecursionError):
        return cell
