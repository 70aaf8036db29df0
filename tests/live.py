"""The whole product, started once for all tests that go through its doors: `manage.py up`, and HTTP.

Its PostgreSQL and Valkey are the session's, so that tests may kill them; its database is its own. Times that
are long in a deployment are short here.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import psycopg
import pytest
from django.db import connection

from config.children import Program, end, start
from config.port import listen
from tests.servers import Servers
from tests.site import QUICK

ROOT = Path(__file__).resolve().parent.parent
DATABASE = "live"
# For a machine that is busy with other things.
START_SECONDS, SECONDS = 180.0, 180.0
SLOTS = {"HEADWAY_HIGH_SLOTS": "2", "HEADWAY_DEFAULT_SLOTS": "1", "HEADWAY_BULK_SLOTS": "1"}
OPEN = {"scheduled", "queued", "running", "waiting"}

Answer = TypeVar("Answer")
Run = dict[str, Any]


@dataclass(kw_only=True)
class Live:
    """The running product, and what a stranger with its quickstart file can do to it."""

    home: Path
    log: Path
    database_url: str

    @property
    def quickstart(self) -> dict[str, Any]:
        """What `up` keeps for whoever wants to get in: address, login, key, process ids."""
        return dict(json.loads((self.home / "quickstart.json").read_text()))

    @cached_property
    def url(self) -> str:
        return str(self.quickstart["url"])

    @cached_property
    def key(self) -> str:
        return str(self.quickstart["api_key"])

    @cached_property
    def api(self) -> httpx2.Client:
        """A program that holds the key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx2.Client(base_url=f"{self.url}/api/", headers=headers, timeout=SECONDS)

    @cached_property
    def pages(self) -> httpx2.Client:
        """A person who has logged in."""
        client = httpx2.Client(base_url=self.url, timeout=SECONDS, follow_redirects=True)
        client.get("/admin/login/")
        found = self.quickstart
        answer = client.post(
            "/admin/login/",
            data={
                "username": found["admin_user"],
                "password": found["admin_password"],
                "csrfmiddlewaretoken": client.cookies["csrftoken"],
                "next": "/",
            },
        )
        assert answer.status_code == 200, answer.text
        return client

    def get(self, path: str, **query: Any) -> Any:
        """The JSON that the API answers."""
        answer = self.api.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def launch(self, job: str, parameters: dict[str, Any] | None = None, **body: Any) -> Run:
        """Launches a run by the job's remote trigger."""
        answer = self.api.post(f"jobs/{job}/trigger", json={"parameters": parameters or {}, **body})
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def run(self, run_id: int) -> Run:
        return dict(self.get(f"runs/{run_id}"))

    def ended(self, run: Run, *, seconds: float = SECONDS) -> Run:
        """The run when it has ended; fails if it does not."""
        until = time.monotonic() + seconds
        found = run
        while found["status"] in OPEN:
            assert time.monotonic() < until, f"still {found['status']}: {found}\n{self.said()}"
            found = dict(self.get(f"runs/{run['id']}", wait=5))
        return found

    def running(self, run: Run) -> Run:
        """The run when it is under way."""
        return self.until(lambda: self.run(run["id"]), lambda found: found["status"] == "running")

    def lines(self, run: Run) -> list[str]:
        """The run's whole log."""
        answer = self.api.get(f"runs/{run['id']}/logs", headers={"Accept": "text/plain"})
        assert answer.status_code == 200, answer.text
        return [line.partition(" ")[2] for line in answer.text.splitlines()]

    def until(
        self, ask: Callable[[], Answer], holds: Callable[[Answer], Any] = bool, *, seconds: float = SECONDS
    ) -> Answer:
        """What `ask` answers as soon as that `holds`; fails if it never does."""
        deadline = time.monotonic() + seconds
        while not holds(answer := ask()):
            assert time.monotonic() < deadline, f"the last answer was {answer!r}\n{self.said()}"
            time.sleep(0.1)
        return answer

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What only time would do otherwise, or what no page shows."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def make_due(self, job: str, parameters: dict[str, Any] | None = None) -> None:
        """Makes now the next slot of the job's schedule, as if it had been planned so."""
        self.sql(
            """UPDATE triggers_trigger SET next_slot = now(), next_run_at = now(), parameters = %s
               WHERE kind = 'schedule' AND job_id = (SELECT id FROM jobs_job WHERE slug = %s)""",
            json.dumps(parameters or {}),
            job,
        )

    def close(self) -> None:
        """Hangs up."""
        for name in ("api", "pages"):
            if name in self.__dict__:
                getattr(self, name).close()

    def said(self) -> str:
        """The last lines of the site's own log, for whoever must find out what went wrong."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])


@pytest.fixture(scope="session")
def live(servers: Servers, django_db_setup: None) -> Iterator[Live]:
    """The running product; what one test does to it, the others meet.

    Its database is migrated already: that `up` migrates an empty one is seen in tests/config/test_up.py.
    """
    connection.close()
    servers.copy_database(connection.settings_dict["NAME"], DATABASE)
    found = Live(
        home=servers.folder / "live",
        log=servers.folder / "live.log",
        database_url=f"postgresql://headway@/{DATABASE}?host={servers.postgres.sockets}",
    )
    process = _start(found, servers)
    yield found
    found.close()
    end(process, stop_signal=signal.SIGTERM, seconds=10)


def _start(found: Live, servers: Servers) -> subprocess.Popen[bytes]:
    listener = listen(0)
    port = listener.getsockname()[1]
    listener.close()
    environment = {
        **QUICK,
        **SLOTS,
        "DATABASE_URL": found.database_url,
        "BROKER_URL": f"{servers.valkey.url}?virtual_host=1",
        "HEADWAY_HOME": str(found.home),
        "HEADWAY_PORT": str(port),
        "PUBLIC_URL": "",
        # So that a test can be told something by a webhook.
        "HEADWAY_HTTP_PRIVATE_ALLOWED": "127.0.0.1,localhost",
    }
    program = Program(
        name="up", command=[sys.executable, "manage.py", "up"], directory=ROOT, environment=environment
    )
    with found.log.open("wb") as log:
        process = start(program, output=log)
    deadline = time.monotonic() + START_SECONDS
    while not (found.home / "quickstart.json").exists():
        assert process.poll() is None, found.said()
        assert time.monotonic() < deadline, found.said()
        time.sleep(0.1)
    return process


def kill(pids: Sequence[int]) -> None:
    """`kill -9`."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
