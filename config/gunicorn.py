"""How gunicorn serves the site, here and deployed (`gunicorn -c python:config.gunicorn config.wsgi`)."""

import os
import socket
import struct
from pathlib import Path
from threading import Thread
from typing import Any

from config.gate import wait_at

MEMORY = "/dev/shm"  # noqa: S108
STALLED_SECONDS = 30

bind = os.environ.get("HEADWAY_BIND") or "0.0.0.0:8000"
workers = int(os.environ.get("HEADWAY_WEB_WORKERS") or 1)
threads = int(os.environ.get("HEADWAY_WEB_THREADS") or 8)
worker_class = "gthread"
timeout = 60
limit_request_line = 8190  # the filters of a page are in its address
graceful_timeout = int(float(os.environ.get("HEADWAY_STOP_GRACE_SECONDS") or 25))
keepalive = 15
# A worker's sign of life is a file's time, which must not wait for a disk.
worker_tmp_dir = MEMORY if os.access(MEMORY, os.W_OK) else None
control_socket_disable = True


def on_starting(server: Any) -> None:
    """Nothing is served that anybody could forge a login for."""
    from config import settings

    if settings.SECRET_KEY.startswith("insecure-"):
        raise SystemExit("SECRET_KEY is not set: set it to 50 random characters or more, and keep it.")


def when_ready(server: Any) -> None:
    """A sender who falls silent in the middle of a request gives its thread back (connections inherit this)."""
    for listener in server.LISTENERS:
        patience = struct.pack("ll", STALLED_SECONDS, 0)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)


def post_worker_init(worker: Any) -> None:
    """Load what the first visitor would wait for.

    `up` starts us while the database is still being made: visitors wait until it is migrated.
    """
    from django.urls import get_resolver

    get_resolver().url_patterns  # noqa: B018
    _answer_in_problems()
    gate = os.environ.get("HEADWAY_OPEN_AFTER")
    if gate:
        wait_at(Path(gate), pid=os.getppid(), meanwhile=worker.notify)

    from triggers import key_use

    Thread(target=key_use.flush_for_ever, name="key-use", daemon=True).start()


def _answer_in_problems() -> None:
    """Whatever can't be read as a request is answered like every other error of the API."""
    from gunicorn import util

    from config.unread import write_error

    util.write_error = write_error


def worker_exit(server: Any, worker: Any) -> None:
    """Write what was counted last."""
    from django.apps import apps

    if apps.ready:
        from triggers import key_use

        key_use.flush()
