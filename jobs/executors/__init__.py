"""The executors there are. A new one is a file beside this one and a line here."""

from functools import cache
from importlib import import_module

from jobs.executors.base import Executor

# Modules by name, because importing all of them would cost every process the libraries of each.
_MODULES = {
    "python": "jobs.executors.python",
    "command": "jobs.executors.command",
    "http": "jobs.executors.http",
}
SLUGS = tuple(_MODULES)


class UnknownExecutor(LookupError):
    """No executor has this slug."""


@cache
def get(slug: str) -> Executor:
    """The executor of this slug (its module's `executor`); raises UnknownExecutor."""
    if slug not in _MODULES:
        raise UnknownExecutor(
            f"There is no executor {slug!r}; there are {', '.join(SLUGS)}."
        )
    executor: Executor = import_module(_MODULES[slug]).executor
    return executor


def all() -> tuple[Executor, ...]:  # noqa: A001 - read as executors.all()
    """Every executor, in the order of this file."""
    return tuple(get(slug) for slug in SLUGS)
