"""Reads a campaign as one JSON object whose list of recipients may be longer than memory is large."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final, TextIO

from jobs.expectations import shown
from runs.streams import DECODER, LINE_LIMIT, PIECE, Line, Unreadable

LIST: Final = "recipients"
_BLANK: Final = re.compile(r"[ \t\r\n]*")


class JsonBody:
    """A JSON object of options and the list `recipients`, read once from front to end.

    `options` has what was read so far. What is needed to judge recipients must come before them.
    """

    def __init__(self, text: TextIO) -> None:
        self.options: dict[str, Any] = {}
        self._text, self._buffer, self._at, self._ended = text, "", 0, False
        self._read_before = 0

    def head(self) -> dict[str, Any]:
        """The options that come before the recipients. Raises Unreadable."""
        if self._next() != "{":
            raise self._broken("expected an object")
        self._at += 1
        self._members(first=True)
        return self.options

    def recipients(self) -> Iterator[Line]:
        """Each recipient, with its number; afterwards `options` is whole. Raises Unreadable."""
        if not self._is_in_list:
            return
        if self._next() != "[":
            raise self._broken("expected the list of recipients")
        self._at += 1
        number = 0
        if self._next() == "]":
            self._at += 1
        else:
            while True:
                number += 1
                yield number, self._value()
                sign = self._next()
                self._at += 1
                if sign == "]":
                    break
                if sign != ",":
                    raise self._broken("expected , or ] behind a recipient", back=1)
        self._is_in_list = False
        self._members(first=False)

    _is_in_list = False

    def _members(self, *, first: bool) -> None:
        """Reads members of the object until the recipients begin, or to the end."""
        while True:
            sign = self._next()
            if sign == "}":
                self._at += 1
                if self._next():
                    raise self._broken("expected nothing behind the object")
                return
            if not first:
                if sign != ",":
                    raise self._broken("expected , or }")
                self._at += 1
            first = False
            if self._next() != '"':
                raise self._broken("expected a name in double quotes")
            name = self._value()
            if name in self.options:
                raise self._broken(f"the key {shown(name)} is given more than once")
            if self._next() != ":":
                raise self._broken("expected :")
            self._at += 1
            if name == LIST:
                self.options[name] = []
                self._is_in_list = True
                return
            self._next()
            self.options[name] = self._value()

    def _next(self) -> str:
        """The next character that is not blank; "" at the end."""
        while True:
            found = _BLANK.match(self._buffer, self._at)
            assert found is not None
            self._at = found.end()
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                return ""

    def _value(self) -> Any:
        """The value that begins here; asks for more of the text until it is whole."""
        self._next()
        while True:
            try:
                value, end = DECODER.raw_decode(self._buffer, self._at)
            except RecursionError:
                raise self._broken("a value is nested too deeply") from None
            except json.JSONDecodeError as error:
                if len(self._buffer) - self._at > LINE_LIMIT or not self._more():
                    raise self._broken(error.msg) from None
            except ValueError as error:
                raise self._broken(str(error)) from None
            else:
                # A number that ends where the buffer does may go on.
                if end < len(self._buffer) or not self._more():
                    self._at = end
                    return value

    def _more(self) -> bool:
        if self._ended:
            return False
        try:
            piece = self._text.read(PIECE)
        except UnicodeDecodeError as error:
            raise Unreadable(f"The body is not UTF-8: {error.reason}.") from None
        self._ended = not piece
        self._read_before += self._at
        self._buffer, self._at = self._buffer[self._at :] + piece, 0
        return bool(piece)

    def _broken(self, why: str, *, back: int = 0) -> Unreadable:
        place = self._read_before + self._at - back + 1
        return Unreadable(f"The body is not JSON of a campaign: {why} at character {place}.")
