"""A mail server of a few lines, on a port of its own: takes messages, refuses, or never says a word."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Mailbox:
    """What came. `refusal` answers each recipient with that; a `mute` one takes connections and says nothing, and
    `trickle` is what one begins with that never ends, its last byte again and again."""

    listener: socket.socket
    refusal: str = ""
    mute: bool = False
    trickle: bytes = b""
    messages: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        """Answers one connection after the other until the listener is closed."""
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection, suppress(OSError):
                    self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        if self.mute:
            connection.recv(1)  # until the other side gives up
            return
        connection.sendall(self.trickle)
        while self.trickle:
            time.sleep(0.05)
            connection.sendall(self.trickle[-1:])
        lines = connection.makefile("rb")

        def say(text: str) -> None:
            connection.sendall(f"{text}\r\n".encode())

        say("220 mailbox")
        for line in lines:
            verb = line.decode().upper()
            if verb.startswith("RCPT"):
                self.recipients.append(line.decode().partition("<")[2].partition(">")[0])
                say(self.refusal or "250 ok")
            elif verb.startswith("DATA"):
                say("354 go on")
                self.messages.append(_until_dot(lines))
                say("250 taken")
            elif verb.startswith("QUIT"):
                say("221 bye")
                return
            else:
                say("250 ok")


def _until_dot(lines: Iterator[bytes]) -> str:
    found = []
    for line in lines:
        if line == b".\r\n":
            break
        found.append(line.decode())
    return "".join(found)


@contextmanager
def mail_server(
    *, port: int = 0, refusal: str = "", mute: bool = False, trickle: bytes = b""
) -> Iterator[Mailbox]:
    """A server that runs within."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        mailbox = Mailbox(listener=listener, refusal=refusal, mute=mute, trickle=trickle)
        threading.Thread(target=mailbox.serve, daemon=True).start()
        try:
            yield mailbox
        finally:
            listener.shutdown(socket.SHUT_RDWR)
