"""The job that the suite runs: it notes each of its executions in a file, which no fault of a server can touch."""

import os
import time
from pathlib import Path
from typing import Any

from jobs.executors import JobContext
from jobs.registry import job
from tests.chaos.ledger.crashes import FOLDER
from tests.chaos.ledger.hostility import WAYS

SLUG = "chaos"
HOSTILE, ISOLATED = "chaos-hostile", "chaos-hostile-isolated"


@job(SLUG, on_lost="retry")
def record(context: JobContext, seconds: float = 0.0, note: str = "") -> dict[str, Any]:
    """Notes its beginning and its end, and works for some seconds in between; what `note` says is only carried."""
    _note("began", context)
    time.sleep(seconds)
    _note("ended", context)
    return {"pid": os.getpid(), "attempt": context.attempt}


@job(HOSTILE, on_lost="retry")
def harm(context: JobContext, how: str, megabytes: int = 0) -> Any:
    """Does to its slot what `how` says."""
    _note("began", context)
    return WAYS[how](megabytes)


@job(ISOLATED, on_lost="retry", isolated=True, memory_limit_mb=512)
def harm_alone(context: JobContext, how: str, megabytes: int = 0) -> Any:
    """The same in a process of its own."""
    return harm(context, how, megabytes)


def _note(what: str, context: JobContext) -> None:
    """Adds a line in one write, which no other process's can be mixed with."""
    line = f"{what} {context.run_id} {context.attempt} {os.getpid()} {time.time():.6f}\n"
    file = os.open(Path(os.environ[FOLDER]) / "executions", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)
