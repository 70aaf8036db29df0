"""A line to the broker that is written to and never waited for: so a hint goes out within the launch itself.

Handing a hint to a thread costs nothing but time: the thread starts when the launching one gives up the interpreter,
and that has an answer to write first. Here it is one non-blocking write on a socket of its own; the broker's answers
are counted when the next hint is written. Whatever is unusual (no line yet, the broker away or frozen) is left to
whoever asked, who has a thread for that.
"""

import threading
import time
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

import structlog

log = structlog.get_logger(__name__)

# What stands for the id in a template of a hint.
ID: Final = "HINT-ID"
# A broker that has not answered for so long gets no more from here.
PATIENCE_SECONDS: Final = 2.0
# One hint more for the lane unless there are enough; where hints lie unread, one for the lane that helps out.
_SCRIPT: Final = """
local there = redis.call('LLEN', KEYS[1])
if there < tonumber(ARGV[2]) then redis.call('LPUSH', KEYS[1], ARGV[1]) end
if there > 0 and #KEYS > 1 and redis.call('LLEN', KEYS[2]) < tonumber(ARGV[4]) then
    redis.call('LPUSH', KEYS[2], ARGV[3])
end
return there"""


class DirectLine:
    """One connection of this process; safe to be used by all its threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._connection: Any = None
        self._socket: Any = None
        # How many answers are still to come, and since when.
        self._awaited = 0
        self._since = 0.0

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def open(self, client: Any) -> None:
        """Opens the line with the settings of `client`; raises what that raises."""
        connection = client.connection_pool.make_connection()
        connection.connect()
        connection._sock.setblocking(False)
        with self._guard:
            self._connection, self._socket, self._awaited = connection, connection._sock, 0

    def send(self, hints: Mapping[str, tuple[str, int]]) -> bool:
        """Writes a hint for the first lane in `hints`, which the second helps out; False if it can't be written now.

        With each lane goes a hint's template and the most that may lie there.
        """
        if self._socket is None or not self._guard.acquire(blocking=False):
            return False
        try:
            if self._socket is None:
                return False
            self._count_answers()
            words = _words(hints)
            written = self._socket.send(words)
            if written < len(words):
                raise BrokenPipeError("the broker takes no more")
            self._since = self._since if self._awaited else time.monotonic()
            self._awaited += 1
        except BlockingIOError:
            return False  # very many hints at once: a thread makes one of them
        except OSError as error:
            log.warning("direct_line_closed", error=str(error))
            self._close()
            return False
        finally:
            self._guard.release()
        return True

    def wait(self, seconds: float) -> None:
        """Waits for the answers that are still to come: a socket closed before may take back what was written."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with self._guard:
                try:
                    if self._socket is not None:
                        self._count_answers()
                except OSError:
                    self._close()
                if self._socket is None or not self._awaited:
                    return
            time.sleep(0.001)

    def _count_answers(self) -> None:
        """Raises OSError when the broker is gone, frozen, or refuses."""
        try:
            answers = self._socket.recv(65_536)
        except (BlockingIOError, InterruptedError):
            answers = None
        if answers == b"":
            raise ConnectionResetError("the broker closed the line")
        if answers:
            if b"-" in answers:
                raise ConnectionRefusedError(answers.decode(errors="replace").strip())
            self._awaited -= answers.count(b"\r\n")
            self._since = time.monotonic()
        if self._awaited and time.monotonic() - self._since > PATIENCE_SECONDS:
            raise TimeoutError("the broker does not answer")

    def _close(self) -> None:
        connection, self._connection, self._socket = self._connection, None, None
        if connection is not None:
            connection.disconnect()


def _words(hints: Mapping[str, tuple[str, int]]) -> bytes:
    """The script's call as the broker reads it."""
    arguments = [word for template, most in hints.values() for word in (_hint(template), str(most))]
    words = [word.encode() for word in ("EVAL", _SCRIPT, str(len(hints)), *hints, *arguments)]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _hint(template: str) -> str:
    return template.replace(ID, str(uuid4()))
