"""Answers most polls that find nothing new by one query, before anything looks up sessions, people and permissions.

A process that has just answered a poll of a run's page with "nothing new" remembers for some seconds by which rows:
the run's, its reader's and the session's, each as PostgreSQL tells its versions apart. While they are the same and no
line was logged, the same poll of the same session has the same answer. A change of any of them is seen at once; what is
not in them – a right that came from a group, why a run waits – when the time is over.
"""

import time
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers

from runs.statements import planned
from runs.views import live, pace

SECONDS: Final = 15.0
# More are forgotten, all at once: each is asked for anew within a second.
MOST: Final = 20_000
# System columns tell the versions of a row apart: which transaction wrote this one, and where it lies.
VERSION: Final = "{0}.xmin || ' ' || {0}.ctid"
_ROWS: Final = f"""
    SELECT {VERSION.format("u")} AS person, {VERSION.format("s")} AS session FROM auth_user u, django_session s
    WHERE u.id = %s::int AND s.session_key = %s::text"""  # noqa: S608
_SAME: Final = f"""
    SELECT 1 FROM runs_run r, auth_user u, django_session s
    WHERE r.id = %s::bigint AND {VERSION.format("r")} = %s::text
      AND u.id = %s::int AND {VERSION.format("u")} = %s::text
      AND s.session_key = %s::text AND {VERSION.format("s")} = %s::text AND s.expire_date > clock_timestamp()
      AND NOT EXISTS (SELECT FROM runs_logchunk c WHERE c.run_id = r.id AND c.first_seq > %s::bigint)"""  # noqa: S608
_NO_LOG: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """An answer that holds until then, by `time.monotonic`, if its rows are still the same.

    `seconds` are those after which such a page asks again if few are open.
    """

    until: float
    rows: tuple[Any, ...]
    seconds: float


_glances: dict[tuple[str, str], Glance] = {}


def remember(
    request: HttpRequest, *, run: int, version: str, after: int | None, seconds: float, alike: float
) -> None:
    """Remembers for at most `alike` seconds that the poll found nothing new in this version of the run's row.

    `after` is the last line that the page has; None if it shows none that come.
    """
    key = _key(request)
    if key is None:
        return
    found = planned(_ROWS, [request.user.pk, key[0]])
    for row in found:
        last = _NO_LOG if after is None else after
        rows = (run, version, request.user.pk, row["person"], key[0], row["session"], last)
        if len(_glances) >= MOST:
            _glances.clear()
        _glances[key] = Glance(until=time.monotonic() + min(alike, SECONDS), rows=rows, seconds=seconds)


def answer(request: HttpRequest) -> HttpResponse | None:
    """The answer to a poll that is known to find nothing new; None if it must be looked at."""
    key = _key(request) if request.method == "GET" and request.path_info.endswith("/live/") else None
    glance = _glances.get(key) if key else None
    if glance is None or key is None:
        return None
    if glance.until < time.monotonic() or not _is_same(glance):
        _glances.pop(key, None)
        return None
    unchanged = live.unchanged(seconds=pace.wait(request, glance.seconds, run=glance.rows[0]))
    add_never_cache_headers(unchanged)
    return unchanged


def _is_same(glance: Glance) -> bool:
    try:
        found = planned(_SAME, glance.rows)
    except DatabaseError:  # the ordinary way says what is wrong
        return False
    return bool(found)


def _key(request: HttpRequest) -> tuple[str, str] | None:
    session = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    return (session, request.get_full_path()) if session else None
