"""The site that is measured: `manage.py up` in a home of its own, with default settings, and ways to it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import psutil

from benchmarks.figures import HEADWAY, Figure
from config.children import Program, end, start
from config.port import listen

ROOT: Final = Path(__file__).resolve().parent.parent
PATIENCE: Final = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured: runs, probes of the latency, seconds between them, runs in the history, schedules."""

    bulk: int
    single: int
    probes: int
    history: int
    schedules: int
    gap: float = 0.04


@dataclass(slots=True, kw_only=True)
class Site:
    """The site that is measured, ready."""

    process: subprocess.Popen[bytes]
    url: str
    first_page: float
    ready: float
    client: httpx2.Client

    def cpu_seconds(self) -> float:
        """What all processes of the site have used so far."""
        used = 0.0
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            used += times.user + times.system
        return used


@contextmanager
def site() -> Iterator[Site]:
    """`manage.py up` on a fresh home; this process is let in to its database as the checkout's commands are."""
    home = Path(tempfile.mkdtemp(prefix="headway-bench-"))
    with listen(0) as listener:
        port = listener.getsockname()[1]
    # Nothing of the caller's own site or settings.
    for name in [name for name in os.environ if name.startswith("HEADWAY_")]:
        del os.environ[name]
    for name in ("DATABASE_URL", "BROKER_URL", "SECRET_KEY", "PUBLIC_URL", "DEBUG"):
        os.environ.pop(name, None)
    os.environ |= {"HEADWAY_HOME": str(home), "DJANGO_SETTINGS_MODULE": "config.settings"}
    command = [sys.executable, "manage.py", "up"]
    began = time.monotonic()
    environment = {"HEADWAY_PORT": str(port)}
    program = Program(name="up", command=command, directory=ROOT, environment=environment)
    with (home / "up.log").open("wb") as log:
        process = start(program, output=log)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: _answers(f"{url}/admin/login/"))
        first_page = time.monotonic() - began
        until((home / "quickstart.json").exists)
        ready = time.monotonic() - began
        os.environ["HEADWAY_LOG_LEVEL"] = "WARNING"  # of this process only
        import django

        django.setup()
        yield Site(process=process, url=url, first_page=first_page, ready=ready, client=_client(home, url))
    finally:
        end(process, stop_signal=signal.SIGTERM, seconds=30)
        shutil.rmtree(home, ignore_errors=True)


def _client(home: Path, url: str) -> httpx2.Client:
    """Somebody who is logged in and has a key; the key is sent to the API only."""
    access = json.loads((home / "quickstart.json").read_text())
    client = httpx2.Client(base_url=url, timeout=PATIENCE, follow_redirects=True)
    client.get("/admin/login/")
    token = client.cookies["csrftoken"]
    login = {
        "username": access["admin_user"],
        "password": access["admin_password"],
        "csrfmiddlewaretoken": token,
    }
    client.post("/admin/login/", data={**login, "next": "/"}).raise_for_status()
    client.headers["Authorization"] = f"Bearer {access['api_key']}"
    return client


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=30).status_code == 200
    except httpx2.HTTPError:
        return False


def until(condition: Callable[[], bool], *, seconds: float = PATIENCE, pause: float = 0.02) -> None:
    """Waits until `condition` is true; raises RuntimeError if that takes longer than `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{condition} did not come true within {seconds:g} s.")
        time.sleep(pause)


def figure(measure: str, value: float, unit: str, **fields: Any) -> Figure:
    """A figure of Headway's."""
    return Figure(measure=measure, system=HEADWAY, value=value, unit=unit, **fields)
