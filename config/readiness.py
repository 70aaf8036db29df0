"""Asks a starting site whether it is ready."""

import threading
import time
from http.client import HTTPConnection, HTTPException

from config.supervisor import say

# How long the site may take before we say what it waits for, and how often again.
PATIENCE_SECONDS = 20.0


def watch(port: int, ready: threading.Event) -> None:
    """Ask `/readyz` until it says yes, then set `ready`.

    For a thread of its own, because the supervisor must not wait for an answer.
    """
    said_at = time.monotonic()
    while not ready.is_set():
        reasons = ask(port)
        if not reasons:
            ready.set()
        elif time.monotonic() - said_at > PATIENCE_SECONDS:
            said_at = time.monotonic()
            say("up", f"not ready yet: {reasons}")
        time.sleep(0.25)


def ask(port: int) -> str:
    """Why the site isn't ready, or nothing when it is."""
    # Not urllib, which would ask the proxy that the environment names.
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        return "" if answer.status == 200 else body
    except (OSError, HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
