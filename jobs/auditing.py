"""Tells the database who asks, so that its trail of changes (`jobs.changes`) can say who, and from where.

The facts go along with statements that change an audited table, and with no others: reading, and everything that
runs do, costs nothing. `pghistory` keeps them, one row for each request that changed something.
"""

import getpass
import json
import re
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, Final

import structlog
from django.http import HttpRequest

_TRIGGERS: Final = "trigger|apikey|apikey_jobs|upstream|calendar|trigger_calendars|source|secret"
_RUNS: Final = "lane|campaign|pausedtarget"
_TABLES: Final = rf"jobs_job|triggers_(?:{_TRIGGERS})|notifications_(?:channel|rule)|runs_(?:{_RUNS})"
_CHANGES: Final = re.compile(rf'\s*(?:INSERT INTO|UPDATE|DELETE FROM) "(?:{_TABLES})"')
_TELL: Final = (
    "SELECT set_config('pghistory.context_id', %s, true), "
    "set_config('pghistory.context_metadata', %s, true); "
)
_asking: ContextVar[tuple[uuid.UUID, HttpRequest, dict[str, Any]] | None] = ContextVar("asking", default=None)
_command: ContextVar[str] = ContextVar("command", default="")
_PROCESS: Final = uuid.uuid4()


@contextmanager
def asked_by(request: HttpRequest) -> Iterator[None]:
    """Whatever changes within is the request's doing."""
    token = _asking.set((uuid.uuid4(), request, {}))
    try:
        yield
    finally:
        _asking.reset(token)


@contextmanager
def part_of(command: str) -> Iterator[None]:
    """Has what is changed within told as done by that command, which started this process for a part of its work."""
    token = _command.set(command)
    try:
        yield
    finally:
        _command.reset(token)


def note(**facts: Any) -> None:
    """Adds to what is known of the request."""
    asking = _asking.get()
    if asking is not None:
        asking[2].update(facts)


def tell(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """An execute wrapper of Django: puts who asks before a statement that changes an audited table."""
    if many or not isinstance(sql, str) or not _CHANGES.match(sql) or isinstance(params, dict):
        return execute(sql, params, many, context)
    number, facts = _known()
    given: Sequence[Any] = (str(number), json.dumps(facts), *(params or ()))
    answer = execute(_TELL + sql, given, many, context)
    # Two statements have two results; the caller wants that of its own.
    while context["cursor"].nextset():
        pass
    return answer


def _known() -> tuple[uuid.UUID, dict[str, Any]]:
    asking = _asking.get()
    if asking is None:
        return _PROCESS, _of_process(_command.get())
    number, request, more = asking
    return number, {**_of_request(request), **more}


def _of_request(request: HttpRequest) -> dict[str, Any]:
    key, user = getattr(request, "auth", None), getattr(request, "user", None)
    is_key = hasattr(key, "public_id")
    person = user.get_username() if user is not None and user.is_authenticated else "nobody"
    return {
        "by": f"API key {key}" if is_key else person,
        "user": getattr(user, "pk", None),
        "key": getattr(key, "public_id", None),
        "door": _door(request.path),
        "address": request.META.get("REMOTE_ADDR"),
        "request_id": structlog.contextvars.get_contextvars().get("request_id"),
        "path": request.path,
    }


def _door(path: str) -> str:
    for beginning, door in (("/admin/", "admin"), ("/api", "API")):
        if path.startswith(beginning):
            return door
    return "page"


@cache
def _of_process(command: str) -> dict[str, Any]:
    """A command of `manage.py` (or `command`) with the account that started it, or the kind of process."""
    program = Path(sys.argv[0])
    # `python -m celery` is run from celery/__main__.py.
    name = program.parent.name if program.name == "__main__.py" else program.name
    words = [name, *sys.argv[1:]]
    if words[0] == "manage.py" and len(words) > 1:
        command = command or words[1]
    if command:
        return {"by": f"command {command} ({_account()})", "door": "command"}
    role = next((word for word in ("worker", "beat") if word in words), words[0])
    return {"by": role, "door": role}


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown account"
