"""Places at which a process of the site can be told to vanish, as if the power had gone.

Functions of the engine are wrapped from outside when the suite's app is loaded; the engine knows nothing of it.
Where to die is written to a file that exactly one process takes.
"""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = "HEADWAY_CHAOS_FOLDER"
ROLE: Final = "HEADWAY_CHAOS_ROLE"
# How often each hint is delivered.
REPEAT: Final = "HEADWAY_CHAOS_REPEAT"
KILLED: Final = 77


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Before or after a function of the engine; `by` says which process passes it: a launcher or a worker."""

    name: str
    owner: Callable[[], Any]
    function: str
    after: bool
    by: str = "worker"


def _insertion() -> Any:
    from runs import insertion

    return insertion


def _line() -> Any:
    from runs.direct import DirectLine

    return DirectLine


def _publisher() -> Any:
    from runs.dispatch import Publisher

    return Publisher


def _lifecycle() -> Any:
    from runs import lifecycle

    return lifecycle


def _execution() -> Any:
    from runs import execution

    return execution


def _workers() -> Any:
    from runs import workers

    return workers


def _followers() -> Any:
    from runs import followers

    return followers


POINTS: Final = (
    Point(
        name="launch, row not yet inserted", owner=_insertion, function="insert", after=False, by="launcher"
    ),
    Point(name="launch, row inserted", owner=_insertion, function="insert", after=True, by="launcher"),
    Point(
        name="launch, committed without a hint",
        owner=_publisher,
        function="hint_at_once",
        after=False,
        by="launcher",
    ),
    Point(name="publish, hint not yet written", owner=_line, function="send", after=False, by="launcher"),
    Point(name="publish, hint written", owner=_line, function="send", after=True, by="launcher"),
    Point(name="publish, hint not yet sent", owner=_publisher, function="_send", after=False, by="launcher"),
    Point(name="publish, hint sent", owner=_publisher, function="_send", after=True, by="launcher"),
    Point(name="claim, not yet done", owner=_lifecycle, function="claim", after=False),
    Point(name="claim, committed", owner=_lifecycle, function="claim", after=True),
    Point(name="announce, not yet done", owner=_workers, function="announce", after=False),
    Point(name="announce, committed", owner=_workers, function="announce", after=True),
    Point(name="execute, not yet begun", owner=_execution, function="_execute", after=False),
    Point(name="execute, done", owner=_execution, function="_execute", after=True),
    Point(name="settle, not yet done", owner=_lifecycle, function="settle_and_claim", after=False),
    Point(name="settle, committed", owner=_lifecycle, function="settle_and_claim", after=True),
    Point(name="follow, not yet begun", owner=_followers, function="follow_moved", after=False),
    Point(name="follow, dependent not committed", owner=_insertion, function="insert", after=True),
    Point(name="follow, done", owner=_followers, function="follow_moved", after=True),
)


def install() -> None:
    """Wraps the function of each point, and the sending of hints if they are to be repeated."""
    for point in POINTS:
        owner = point.owner()
        setattr(owner, point.function, _deadly(point, getattr(owner, point.function)))
    if times := int(os.environ.get(REPEAT, "1")) - 1:
        _repeat_hints(times)


def _repeat_hints(times: int) -> None:
    """Lets every message to the broker be sent so many times more, whichever way it goes."""
    from runs import dispatch

    for owner, function in ((dispatch, "_send_task"), (_line(), "send")):
        setattr(owner, function, _repeated(getattr(owner, function), times))


def _repeated(function: Callable[..., Any], times: int) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        for _ in range(times):
            function(*arguments, **keywords)
        return function(*arguments, **keywords)

    return call


def _deadly(point: Point, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        if not point.after:
            _die_if_told(point)
        answer = function(*arguments, **keywords)
        # A claim that was given nothing holds nothing that could be lost.
        if point.after and answer != []:
            _die_if_told(point)
        return answer

    return call


def _die_if_told(point: Point) -> None:
    order = Path(os.environ[FOLDER]) / "die-at"
    try:
        if order.read_text() != point.name or os.environ.get(ROLE, "worker") != point.by:
            return
        order.rename(order.with_name(f"died-{os.getpid()}"))
    except FileNotFoundError:
        return
    os._exit(KILLED)
