"""Imports the site, waits for a file, then is Celery or a command of `manage.py`.

`python -m config.gate FILE celery -A config …` or `python -m config.gate FILE manage.py …`.

Most of a process's start is importing, so `up` lets its processes import while the database is still being
migrated, one after the other: the migration, for which the first visitor waits, keeps a CPU of its own.
"""

import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path


def sign(gate: Path, pid: int) -> Path:
    """The file that says: the child `pid` of `up` has imported all it needs and waits at `gate`."""
    return gate.with_name(f"loaded-{pid}")


def wait_at(gate: Path, *, pid: int, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Give the sign of the child `pid`, then wait until the file `gate` is there."""
    sign(gate, pid).touch()
    while not gate.exists():
        meanwhile()
        time.sleep(0.02)


def main() -> None:
    """Arguments: the file to wait for, the word `celery` or `manage.py`, and what that is to be told."""
    _, gate, program, *arguments = sys.argv
    (_celery if program == "celery" else _command)(gate, arguments)


def _command(gate: str, arguments: list[str]) -> None:
    import django
    from django.core.management import execute_from_command_line

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    wait_at(Path(gate), pid=os.getpid())
    execute_from_command_line(["manage.py", *arguments])


def _celery(gate: str, arguments: list[str]) -> None:
    from celery.bin import celery

    from config.celery import app

    app.loader.import_default_modules()
    wait_at(Path(gate), pid=os.getpid())
    # `up` as root is a first look in a container, which an advice about users doesn't help. Nor does the
    # banner, which nobody reads between the lines of seven processes.
    warnings.filterwarnings("ignore", message="You're running the worker with superuser")
    sys.argv = ["celery", "--quiet", *arguments]
    sys.exit(celery.main())


if __name__ == "__main__":
    main()
