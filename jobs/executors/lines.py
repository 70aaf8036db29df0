"""Cuts a stream into lines as it comes, without ever holding more of it than a line may have."""

import codecs
from collections.abc import Callable
from time import monotonic
from typing import Final

CUT: Final = " … (line cut)"
# A line without its end is passed on when nothing came for so long: a prompt, a progress bar.
PARTIAL_SECONDS: Final = 0.5


class Lines:
    """Gives each whole line to `emit`, at most `limit` characters of it.

    Bytes that are no UTF-8 show as U+FFFD. As on a terminal, what follows a carriage return replaces
    what stood there, so a progress bar is one line. `last` is the latest line that is not blank, up to
    `keep` characters ("" if it was longer).
    """

    def __init__(self, emit: Callable[[str], None], *, limit: int, keep: int = 0) -> None:
        self._emit = emit
        self._limit = limit
        self._room = max(limit, keep) + 1
        self._keep = keep
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""
        self._sent = 0  # characters of the line that were passed on before its end came
        self._fed_at = monotonic()
        self.last = ""

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the stream."""
        self._fed_at = monotonic()
        *whole, rest = self._decoder.decode(data).split("\n")
        for part in whole:
            self._add(part)
            self._end()
        self._add(rest)

    def pause(self) -> None:
        """Passes an unfinished line on if nothing came for a moment."""
        if len(self._line) > self._sent and monotonic() - self._fed_at >= PARTIAL_SECONDS:
            self._pass_on()

    def close(self) -> None:
        """Passes on what is left."""
        self._add(self._decoder.decode(b"", final=True))
        if self._line:
            self._end()

    def _add(self, part: str) -> None:
        line = self._line + part
        if "\r" in part:
            shown = line.rstrip("\r")
            head, _, tail = shown.rpartition("\r")
            if head:
                line, self._sent = tail + line[len(shown) :], 0
        self._line = line[: self._room]

    def _end(self) -> None:
        if self._line.strip():
            self.last = self._line.strip() if len(self._line) <= self._keep else ""
        if len(self._line) > self._sent or not self._sent:
            self._pass_on()
        self._line, self._sent = "", 0

    def _pass_on(self) -> None:
        text = self._line[self._sent :].rstrip("\r")
        self._sent = len(self._line)
        self._emit(text if len(text) <= self._limit else text[: self._limit - len(CUT)] + CUT)
