"""The port the site is reached at."""

import errno
import os
import socket

DEFAULT_PORT = 8000


class PortRefused(Exception):
    """HEADWAY_PORT can't be understood; the text says what was expected."""


def wanted_port() -> int:
    """The port that HEADWAY_PORT names. Raises `PortRefused`."""
    text = os.environ.get("HEADWAY_PORT") or str(DEFAULT_PORT)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise PortRefused(f"HEADWAY_PORT is {text!r}; expected a number from 1 to 65535.")
    return int(text)


def listen(port: int) -> socket.socket:
    """A socket bound to `port` on loopback, or to a free one if that is taken. Raises `PortRefused`.

    It is ours, not the web server's: a restarted web server finds the visitors who came meanwhile.
    """
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(("127.0.0.1", port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            found.close()
            raise PortRefused(f"HEADWAY_PORT is {port}; it can't be used: {error.strerror}.") from error
        found.bind(("127.0.0.1", 0))
    found.listen(512)
    return found
