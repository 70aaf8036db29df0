"""`manage.py up` from outside: what it prints and keeps, what it survives, how it leaves."""

import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from config.children import wait_until
from config.port import PortRefused, listen

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 180.0  # for a machine that is busy with other things
FEW_SLOTS = {f"HEADWAY_{lane}_SLOTS": "1" for lane in ("HIGH", "DEFAULT", "BULK")}
CHILDREN = {"web", "worker-high", "worker-default", "worker-bulk", "beat", "poller", "postgres", "valkey"}


@dataclass(kw_only=True)
class Up:
    """An `up` in a home of its own."""

    home: Path
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str, **environment: str) -> None:
        strangers = ("DATABASE_URL", "BROKER_URL", "SECRET_KEY", "HEADWAY_DEMO")
        inherited = {name: value for name, value in os.environ.items() if name not in strangers}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", *arguments],
                cwd=ROOT,
                env={**inherited, **FEW_SLOTS, "HEADWAY_HOME": str(self.home), **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_ready(self) -> dict[str, Any]:
        assert self.process is not None
        process = self.process
        wait_until(
            lambda: "Headway is ready" in self.said() or process.poll() is not None,
            seconds=SECONDS,
            pause=0.1,
        )
        assert process.poll() is None, self.said()
        return self.quickstart()

    def quickstart(self) -> dict[str, Any]:
        return dict(json.loads((self.home / "quickstart.json").read_text()))

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def end(self, signal_: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(signal_)
        return self.process.wait(SECONDS)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    found = Up(home=tmp_path / "home", log=tmp_path / "up.log")
    yield found
    if found.process and found.process.poll() is None:
        found.end(signal.SIGTERM)


def is_ready(url: str) -> bool:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status == 200 and json.loads(answer.read())["ready"] is True
    except OSError:  # a web server that starts again lets its visitors wait
        return False
    finally:
        connection.close()


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.slow
def test_up_survives_the_death_of_its_children_and_its_own(up: Up) -> None:
    """One story, because a start costs seconds: start, kill each child, kill `up`, start again, stop."""
    up.start(HEADWAY_PORT="8000")
    first = up.wait_ready()
    assert first["pids"].keys() == CHILDREN
    assert stat.S_IMODE((up.home / "quickstart.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((up.home / "postgres").stat().st_mode) == 0o700
    assert is_ready(first["url"])
    assert first["api_key"] in up.said()
    assert first["admin_password"] in up.said()
    assert_direct_children(up, first["pids"])
    assert_refused_twice(up)

    for name in CHILDREN:
        os.kill(first["pids"][name], signal.SIGKILL)
    assert wait_until(lambda: all_replaced(up, first["pids"]), seconds=SECONDS), up.said()
    second = up.quickstart()
    assert wait_until(lambda: is_ready(second["url"]), seconds=SECONDS, pause=0.5), up.said()

    assert up.process is not None
    up.process.kill()
    up.process.wait()
    taken = listen(urlsplit(first["url"]).port or 0)
    up.start(HEADWAY_PORT=str(taken.getsockname()[1]))
    third = up.wait_ready()
    assert third["url"] != f"http://127.0.0.1:{taken.getsockname()[1]}"
    assert "is taken" in up.said()
    taken.close()
    for name in ("api_key", "admin_user", "admin_password"):
        assert third[name] == first[name]
    assert all(is_gone(pid) for pid in [*first["pids"].values(), *second["pids"].values()])

    assert up.end(signal.SIGTERM) == 0
    assert all(is_gone(pid) for pid in third["pids"].values())
    assert "database system is shut down" in up.said()
    assert not (up.home / "quickstart.json").exists()


def assert_direct_children(up: Up, pids: dict[str, int]) -> None:
    assert up.process is not None
    for name, pid in pids.items():
        process = psutil.Process(pid)
        assert process.ppid() == up.process.pid
        assert os.getpgid(pid) == pid, name
        if name.startswith("worker-"):
            assert "celery -A config worker" in " ".join(process.cmdline())


def assert_refused_twice(up: Up) -> None:
    again = Up(home=up.home, log=up.log.with_name("again.log"))
    again.start()
    assert again.process is not None
    assert again.process.wait(SECONDS) == 1
    assert "already running" in again.said()


def all_replaced(up: Up, before: dict[str, int]) -> bool:
    pids = up.quickstart()["pids"]
    return pids.keys() == CHILDREN and all(pids[name] != before[name] for name in CHILDREN)


@pytest.mark.parametrize("port", ["eighty", "0", "65536", "-1", "²"])
def test_a_port_that_is_none_is_refused_with_what_was_expected(up: Up, port: str) -> None:
    up.start(HEADWAY_PORT=port)
    assert up.process is not None
    assert up.process.wait(SECONDS) == 1
    assert up.said() == f"HEADWAY_PORT is {port!r}; expected a number from 1 to 65535.\n"


def test_a_setting_that_cannot_be_understood_is_named_before_anything_starts(up: Up) -> None:
    up.start(HEADWAY_HIGH_SLOTS="four")
    assert up.process is not None
    assert up.process.wait(SECONDS) == 1
    assert "HEADWAY_HIGH_SLOTS is 'four'; expected a whole number.\n" in up.said()
    assert "Traceback" not in up.said()


def test_a_home_that_is_a_file_is_refused(up: Up) -> None:
    up.home.touch()
    up.start()
    assert up.process is not None
    assert up.process.wait(SECONDS) == 1
    assert f"HEADWAY_HOME {up.home} can't be used" in up.said()


def test_a_database_of_somebody_else_is_not_reset(up: Up) -> None:
    up.start("--reset", DATABASE_URL="postgresql:///theirs")
    assert up.process is not None
    assert up.process.wait(SECONDS) == 1
    assert "DATABASE_URL names another: empty that one yourself" in up.said()


def test_a_port_that_may_not_be_used_is_not_called_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(socket.socket):
        def bind(self, address: Any) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "socket", Closed)
    with pytest.raises(PortRefused, match=r"HEADWAY_PORT is 80; it can't be used: Permission denied\."):
        listen(80)


def test_a_taken_port_is_passed_over() -> None:
    taken = listen(0)
    port = taken.getsockname()[1]
    other = listen(port)
    assert other.getsockname()[1] != port
    assert isinstance(other, socket.socket)
    other.close()
    taken.close()
