"""The executors there are. A new one is a file beside this one and a line here."""

from functools import cache
from importlib import import_module

from jobs.executors.base import (
    Cancelled,
    Executor,
    Failed,
    Interrupted,
    InvalidConfiguration,
    JobContext,
    Launch,
    Outcome,
    Submitted,
    Succeeded,
    Waiting,
)

__all__ = [
    "Cancelled",
    "Executor",
    "Failed",
    "Interrupted",
    "InvalidConfiguration",
    "JobContext",
    "Launch",
    "Outcome",
    "Submitted",
    "Succeeded",
    "UnknownExecutor",
    "Waiting",
    "all",
    "get",
    "slugs",
]

# Modules by name, because importing all of them would cost every process the libraries of each.
_MODULES = {
    "python": "jobs.executors.python",
    "command": "jobs.executors.command",
    "http": "jobs.executors.http",
}


class UnknownExecutor(KeyError):
    """No executor has this slug."""

    def __str__(self) -> str:
        return f"There is no executor {self.args[0]!r}; there are {', '.join(slugs())}."


def slugs() -> tuple[str, ...]:
    """The slug of every executor, in the order of this file."""
    return tuple(_MODULES)


@cache
def get(slug: str) -> Executor:
    """The executor of this slug (its module's `executor`); raises UnknownExecutor, a KeyError."""
    if slug not in _MODULES:
        raise UnknownExecutor(slug)
    executor: Executor = import_module(_MODULES[slug]).executor
    return executor


def all() -> tuple[Executor, ...]:  # noqa: A001 - read as executors.all()
    """Every executor, in the order of this file."""
    return tuple(get(slug) for slug in slugs())
