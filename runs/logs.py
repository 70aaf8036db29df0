"""A run's live log: written in chunks by the slot that carries the run, read by sequence number.

Lines are numbered without gaps over all attempts of a run. Each line and each run is capped, with a line that
says so; secrets are masked before anything is stored; control characters become harmless (product: Logs).
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django.db.models import Max, Sum

from runs.models import LogChunk
from runs.plain import plain_text
from runs.statements import Statement, together

CHUNK_LINES = 500
CHUNK_BYTES = 64 * 1024
# What may wait in memory while the database is away; what is more is dropped, and the log says so.
WAITING_LINES = 20_000
LEVELS = ("debug", "info", "warning", "error")

# Terminal control: CSI and OSC sequences, other escapes, and every control character except tab.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]|[\x00-\x08\x0a-\x1f\x7f-\x9f]"
    "|[\u202a-\u202e\u2066-\u2069]"  # direction overrides, which make text look like other text
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line as readers see it."""

    seq: int
    at: datetime
    level: str
    text: str


def harmless(text: str) -> str:
    """`text` without control sequences; of a line that redraws itself by carriage returns, the last state."""
    text = text.rstrip("\r\n").rpartition("\r")[2]
    return plain_text(_CONTROL.sub("", text))


def masker(secrets: Sequence[str]) -> Callable[[str], str]:
    """A function that replaces every occurrence of the given secrets (of 4 characters or more) by dots."""
    # Lines are masked one by one, so of a secret with several lines each is one.
    parts = {harmless(line).strip() for secret in secrets for line in [secret, *secret.splitlines()]}
    known = sorted((part for part in parts if len(part) >= 4), key=len, reverse=True)
    if not known:
        return lambda text: text
    pattern = re.compile("|".join(map(re.escape, known)))
    return lambda text: pattern.sub("••••••", text)


# `held`: the token still holds the claim; `stored`: nobody had these numbers yet.
_STORE = """
    WITH held AS (
        SELECT id FROM runs_run
        WHERE id = %s::bigint AND claim_token = %s::bigint AND status || '' = 'running'),
    stored AS (
        INSERT INTO runs_logchunk (run_id, attempt, first_seq, last_seq, size, lines)
        SELECT id, %s::smallint, %s::bigint, %s::bigint, %s::int, %s::text::jsonb FROM held
        ON CONFLICT (run_id, first_seq) DO NOTHING RETURNING id)
    SELECT EXISTS (SELECT FROM held) AS held, EXISTS (SELECT FROM stored) AS stored"""


class LogWriter:
    """Collects the lines of one attempt and stores them; safe to use from any thread.

    A line is stored only while `token` still holds the run's claim, so that a worker that was declared
    dead writes nothing into the log of the attempt that followed.
    """

    def __init__(self, *, run_id: int, attempt: int, token: int, mask: Callable[[str], str]) -> None:
        self._run_id, self._attempt, self._token, self._mask = run_id, attempt, token, mask
        self._waiting: list[tuple[float, str, str]] = []
        self._dropped = 0
        self._lock = threading.Lock()
        self._storing = threading.Lock()
        # Nothing is stored yet of a first attempt; if one was given back and its number is used again, its lines are
        # found when the numbers collide.
        self._next_seq: int | None = 1 if attempt == 1 else None
        self._size = 0  # of this attempt
        self._size_before: int | None = 0 if attempt == 1 else None
        self._full = False

    def write(self, text: str, *, level: str = "info") -> None:
        """Adds `text`, one line or several, to be stored with the next flush."""
        now = time.time()
        level = level if level in LEVELS else "info"
        for part in text.split("\n"):
            line = self._mask(harmless(part))
            if len(line) > settings.LOG_LINE_LIMIT:
                cut = len(line) - settings.LOG_LINE_LIMIT
                line = f"{line[: settings.LOG_LINE_LIMIT]} … [{cut} more characters of this line were cut]"
            self._add(now, level, line)

    def _add(self, now: float, level: str, line: str) -> None:
        with self._lock:
            if self._full:
                return
            self._size += len(line.encode()) + 16
            if (self._size_before or 0) + self._size > settings.LOG_RUN_LIMIT:
                self._full = True
                level, line = "warning", f"[log cut: more than {settings.LOG_RUN_LIMIT} bytes in this run]"
            if len(self._waiting) >= WAITING_LINES and not self._full:
                self._dropped += 1
                return
            if self._dropped:
                note = f"[{self._dropped} lines were dropped while the database was away]"
                self._waiting.append((now, "warning", note))
                self._dropped = 0
            self._waiting.append((now, level, line))

    def flush(self, *also: Statement) -> None:
        """Stores what was written so far, and in the same transaction carries `also` out.

        Raises the database's error and keeps the lines if it cannot.
        """
        with self._storing:
            if not self._waiting and also:
                together(*also)
            while self._waiting:
                with self._lock:
                    chunk = _head(self._waiting)
                stored = self._store(chunk, *also)
                also = ()
                with self._lock:
                    del self._waiting[: len(chunk)]
                    if not stored:
                        self._waiting.clear()
                        self._full = True

    def _store(self, chunk: list[tuple[float, str, str]], *also: Statement) -> bool:
        """Inserts one chunk; False if the claim is lost. Numbers start after what earlier attempts wrote."""
        while True:
            if self._next_seq is None:
                self._resume()
            first = self._next_seq or 1
            held, stored = self._insert(first, chunk, *also)
            if held and not stored:  # another attempt wrote meanwhile: look where its lines end
                self._next_seq = None
                if first == 1:
                    self._size_before = None
                continue
            self._next_seq = first + len(chunk)
            return held

    def _resume(self) -> None:
        known = LogChunk.objects.filter(run_id=self._run_id).aggregate(last=Max("last_seq"), size=Sum("size"))
        self._next_seq = (known["last"] or 0) + 1
        if self._size_before is None:  # later, what is stored has lines of ours
            self._size_before = known["size"] or 0

    def _insert(self, first: int, chunk: list[tuple[float, str, str]], *also: Statement) -> tuple[bool, bool]:
        lines = json.dumps(chunk, ensure_ascii=False)
        last = first + len(chunk) - 1
        values = [self._run_id, self._token, self._attempt, first, last, len(lines), lines]
        (row,), *_ = together((_STORE, values), *also)
        return row["held"], row["stored"]


def _head(waiting: Sequence[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """The first lines that fit into one chunk."""
    size = 0
    for number, (_, _, text) in enumerate(waiting[:CHUNK_LINES]):
        size += len(text)
        if size > CHUNK_BYTES:
            return list(waiting[: number or 1])
    return list(waiting[:CHUNK_LINES])


def lines(run_id: int, *, after: int = 0, limit: int = 500) -> list[Line]:
    """Up to `limit` lines with a sequence number over `after`, in order."""
    # Numbers have no gaps, so these chunks and no others hold the lines asked for.
    chunks = LogChunk.objects.filter(run_id=run_id, last_seq__gt=after, first_seq__lte=after + limit)
    numbered = (line for chunk in chunks.order_by("first_seq") for line in _numbered(chunk))
    return [line for line in numbered if after < line.seq <= after + limit]


def last_seq(run_id: int) -> int:
    """The number of the run's newest line; 0 if there is none."""
    newest = LogChunk.objects.filter(run_id=run_id).order_by("-first_seq").values_list("last_seq", flat=True)
    return newest.first() or 0


def text(run_id: int, *, after: int = 0) -> Iterator[str]:
    """The log as plain text, a chunk at a time: the lines with a sequence number over `after`."""
    chunks = LogChunk.objects.filter(run_id=run_id, last_seq__gt=after).order_by("first_seq")
    for chunk in chunks.iterator(chunk_size=20):
        lines = (line for line in _numbered(chunk) if line.seq > after)
        yield "".join(f"{line.at:%Y-%m-%dT%H:%M:%S.%fZ} {line.text}\n" for line in lines)


def _numbered(chunk: LogChunk) -> Iterator[Line]:
    for number, (at, level, content) in enumerate(chunk.lines):
        yield Line(chunk.first_seq + number, datetime.fromtimestamp(at, UTC), level, content)
