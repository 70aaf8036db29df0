"""What an isolated job and its slot say to each other: lines of JSON one way, one byte the other."""

import json
import select
import socket
from collections.abc import Mapping
from threading import Lock
from typing import Any, Final

from django.conf import settings

from jobs.executors.attempt import Attempt
from jobs.executors.base import Cancelled, Failed, Outcome, Succeeded

_OUTCOMES: Final = {cls.__name__: cls for cls in (Succeeded, Failed, Cancelled)}


class Receiver:
    """The slot's end of the channel: what the child says goes to the attempt, its outcome is kept."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._rest = b""
        self.outcome: Outcome | None = None

    def feed(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._take(json.loads(line))

    def pause(self) -> None: ...

    def close(self) -> None: ...

    def _take(self, message: Mapping[str, Any]) -> None:
        match message["say"]:
            case "log":
                self._attempt.log(message["text"], level=message["level"])
            case "progress":
                self._attempt.progress(message["done"], message["total"], message["message"])
            case "extend":
                self._attempt.extend(message["seconds"])
            case "end":
                self.outcome = _OUTCOMES[message["outcome"]](**message["fields"])


class Sender:
    """The child's end of the channel: the JobContext that its own Attempt wraps."""

    def __init__(self, channel: socket.socket, *, run_id: int, attempt: int) -> None:
        self._channel = channel
        self._lock = Lock()  # the job's threads may log at once
        self._cancelled = False
        self.run_id = run_id
        self.attempt = attempt

    def say(self, what: str, **fields: Any) -> None:
        with self._lock:
            self._channel.sendall(json.dumps({"say": what, **fields}).encode() + b"\n")

    def log(self, *message: object, level: str = "info") -> None:
        text = " ".join(map(str, message))
        self.say("log", text=text[: settings.LOG_LINE_LIMIT + 1], level=level)

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        self.say("progress", done=done, total=total, message=str(message))

    def extend(self, seconds: float) -> None:
        self.say("extend", seconds=seconds)

    def is_cancelled(self) -> bool:
        self._cancelled = self._cancelled or bool(select.select([self._channel], [], [], 0)[0])
        return self._cancelled
