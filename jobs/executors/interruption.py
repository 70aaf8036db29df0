"""When a signal may stop job code: while job code runs, never while the site itself is at work.

A signal handler runs between any two bytecodes of the main thread. An exception raised in the middle of
a query of ours would leave the slot's connection unusable, so that not even the run's end could be
written. So handlers `deliver` their exception: it is raised only inside `exposed` job code, and neither
there while a call of ours is `shielded`; otherwise it is kept until one of both ends.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any


class _State:
    exposed = False
    shields = 0
    kept: BaseException | None = None
    raised: BaseException | None = None


_state = _State()


def deliver(exception: BaseException) -> None:
    """Raises `exception` in job code, now or as soon as that is safe. Called by signal handlers only."""
    if _state.exposed and not _state.shields:
        _state.raised = exception
        raise exception
    # The first one stays: a cancel that comes after the time is over does not change what happened.
    _state.kept = _state.kept or exception


def kept() -> BaseException | None:
    """What was delivered and could not be raised yet; executors that run no job code here ask for it."""
    return _state.kept


def raised() -> BaseException | None:
    """What was raised in job code last; it may have come out as another exception, or not at all."""
    return _state.raised


def forget() -> None:
    """Drops what was delivered: the attempt it was meant for is over."""
    _state.exposed, _state.kept, _state.raised = False, None, None


def exposed(function: Callable[[], Any]) -> Any:
    """Calls job code, in which deliveries are raised; one that was kept is raised at once."""
    try:
        _state.exposed = True
        _raise_kept()
        return function()
    finally:
        _state.exposed = False


@contextmanager
def shielded() -> Iterator[None]:
    """Around calls of ours that job code makes: what is delivered meanwhile is raised when they are done."""
    if current_thread() is not main_thread():
        yield  # signal handlers run in the main thread only
        return
    _state.shields += 1
    try:
        yield
    finally:
        _state.shields -= 1
    if _state.exposed and not _state.shields:
        _raise_kept()


def is_shielded() -> bool:
    """True inside a call of ours, in this thread."""
    return _state.shields > 0 and current_thread() is main_thread()


def _raise_kept() -> None:
    exception, _state.kept = _state.kept, None
    if exception is not None:
        _state.raised = exception
        raise exception
