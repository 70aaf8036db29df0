"""jobs.versions: `ETag` and `If-Match` of what has no version that counts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from runs import polling
from tests.api.conftest import Program, problem, read
from tests.factories import make_channel, make_rule, make_source
from triggers.models import Calendar

pytestmark = pytest.mark.django_db


def source() -> tuple[str, dict[str, Any]]:
    made = make_source("table", options={"table": "orders", "cursor": "id"})
    return f"/api/sources/{made.pk}", {"interval_seconds": 7}


def calendar() -> tuple[str, dict[str, Any]]:
    return f"/api/calendars/{Calendar.objects.create(name='nights', closed='Sat').pk}", {"closed": ["Sun"]}


def channel() -> tuple[str, dict[str, Any]]:
    return f"/api/channels/{make_channel().pk}", {"enabled": False}


def rule() -> tuple[str, dict[str, Any]]:
    return f"/api/notification-rules/{make_rule().pk}", {"quiet_minutes": 7}


def send(program: Program, method: str, path: str, body: Any = None, **headers: str) -> Any:
    data = b"" if body is None else json.dumps(body).encode()
    return program.call(method, path, data=data, content_type="application/json", headers=headers)


@pytest.mark.parametrize("make", [source, calendar, channel, rule])
def test_a_write_meant_for_another_version_is_refused(
    program: Program, make: Callable[[], tuple[str, dict[str, Any]]]
) -> None:
    path, change = make()
    answer = program.get(path)
    assert answer.status_code == 200
    first = answer["ETag"]
    assert program.get(path)["ETag"] == first
    changed = send(program, "PATCH", path, change, **{"If-Match": first})
    read(changed)
    assert changed["ETag"] == program.get(path)["ETag"] != first
    for method, body in (("PATCH", change), ("DELETE", None)):
        late = problem(send(program, method, path, body, **{"If-Match": first}), 412, "precondition_failed")
        assert changed["ETag"].strip('"') in late["detail"]
    wrong = send(program, "PATCH", path, change, **{"If-Match": "yesterday"})
    assert "'yesterday'" in problem(wrong, 400, "invalid_header")["detail"]
    read(send(program, "PATCH", path, change, **{"If-Match": "*"}))
    assert send(program, "DELETE", path, **{"If-Match": changed["ETag"]}).status_code == 204


def test_a_look_is_no_other_version_of_a_source(program: Program, settings: Settings, tmp_path: Path) -> None:
    settings.WATCH_ROOTS = [str(tmp_path)]
    made = make_source(options={"path": str(tmp_path)})
    tag = program.get(f"/api/sources/{made.pk}")["ETag"]
    claimed = polling.claim()
    assert claimed is not None
    polling.poll(claimed)
    answer = program.get(f"/api/sources/{made.pk}")
    assert (answer["ETag"], read(answer)["last_poll_at"] is None) == (tag, False)
