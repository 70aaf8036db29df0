"""Sends e-mail as Django does, within a time for the whole of it.

The time-out of a socket is for each byte that comes: a server that trickles would hold a sender for ever. So a timer
shuts the connection down when the time is over, whatever is being waited for then, the handshake of TLS too.
"""

import smtplib
import socket
import threading
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends import smtp


class _Deadline:
    """Shuts the connections that it was told of when its time is over."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._connections: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    def watch(self, connection: socket.socket) -> None:
        """Keeps a second handle: TLS takes the first one away from whoever has it."""
        with self._lock:
            if self.is_over:
                connection.close()
                raise TimeoutError
            self._connections.append(connection.dup())

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # the other side was first
                    continue


class _Watched:
    """A connection that knows its deadline before it is made."""

    def __init__(self, *args: Any, deadline: _Deadline, **options: Any) -> None:
        self._deadline = deadline
        super().__init__(*args, **options)


class _Bare(smtplib.SMTP):
    """Tells the deadline of its socket before a byte is read from it, and before TLS is."""

    _deadline: _Deadline

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        found: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        self._deadline.watch(found)
        return found


class _Plain(_Watched, _Bare):
    """In the clear, at first at least."""


class _TLS(_Watched, smtplib.SMTP_SSL, _Bare):
    """With TLS from the first byte on."""


class EmailBackend(smtp.EmailBackend):
    """Django's, with `EMAIL_TOTAL_TIMEOUT` seconds for connecting, talking and saying good-bye."""

    _deadline: _Deadline

    @property
    def connection_class(self) -> Any:
        """What makes the connection."""
        return partial(_TLS if self.use_ssl else _Plain, deadline=self._deadline)

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Sends the messages; raises TimeoutError when the time is over, and what Django's raises."""
        seconds = float(settings.EMAIL_TOTAL_TIMEOUT)
        with _Deadline(seconds) as self._deadline:
            try:
                return super().send_messages(email_messages)
            except (smtplib.SMTPException, OSError) as error:
                if not self._deadline.is_over:
                    raise
                raise TimeoutError(f"it took longer than {seconds:g} s in all.") from error
