"""The programs of a site that `up` starts, one function each, just as a deployment would start them."""

import socket
import sys
from pathlib import Path

from config.children import Program

ROOT = Path(__file__).resolve().parent.parent


def celery(*arguments: str, migrated: Path) -> tuple[str, ...]:
    """The command of a Celery process that begins once the file `migrated` is there."""
    return (sys.executable, "-m", "config.gate", str(migrated), "celery", "-A", "config", *arguments)


def web(listener: socket.socket, migrated: Path) -> Program:
    """The web server on an open socket; it answers once the file `migrated` is there."""
    return Program(
        name="web",
        command=(sys.executable, "-m", "gunicorn", "--config", "python:config.gunicorn", "config.wsgi"),
        directory=ROOT,
        environment={
            "HEADWAY_WEB": "1",
            "HEADWAY_BIND": f"fd://{listener.fileno()}",
            "HEADWAY_OPEN_AFTER": str(migrated),
        },
    )


def worker(name: str, *, lanes: str, slots: int, migrated: Path) -> Program:
    """A Celery worker for one or more lanes."""
    flags = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    options = ("-Q", lanes, "-n", f"{name}@%h", "-c", str(slots), *flags)
    return Program(
        name=f"worker-{name}",
        command=celery("worker", *options, migrated=migrated),
        directory=ROOT,
    )


def beat(*, migrated: Path) -> Program:
    """The clock."""
    return Program(name="beat", command=celery("beat", "--pidfile=", migrated=migrated), directory=ROOT)


def poller(*, migrated: Path) -> Program:
    """What looks at sources for events."""
    command = (sys.executable, "-m", "config.gate", str(migrated), "manage.py", "poll_sources")
    return Program(name="poller", command=command, directory=ROOT)


def preparation(migrated: Path) -> Program:
    """Migrates, then makes what a first visitor needs; makes the file `migrated` in between."""
    return Program(
        name="prepare",
        command=(sys.executable, "-m", "config.prepare", str(migrated)),
        directory=ROOT,
    )
