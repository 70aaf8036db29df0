"""Measures this checkout: `manage.py up` in a home of its own, with default settings, asked by HTTP where people do.

From trigger to start is from before `runs.launch.launch` is called to the start that the run's row has.
"""

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

from benchmarks.figures import HEADWAY, Figure, milliseconds, percentile
from config.children import Program, end, start
from config.port import listen

ROOT: Final = Path(__file__).resolve().parent.parent
PATIENCE: Final = 180.0
PAGES: Final = {
    "GET /": "/",
    "GET /runs/": "/runs/",
    "GET /jobs/": "/jobs/",
    "GET /api/runs": "/api/runs",
    "GET /api/runs?status=failed": "/api/runs?status=failed",
    "GET /api/runs?job=noop": "/api/runs?job=noop",
    "GET /api/campaigns": "/api/campaigns",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured: runs, probes of the latency, seconds between them, runs in the history."""

    bulk: int
    single: int
    probes: int
    history: int
    gap: float = 0.04


@dataclass(slots=True, kw_only=True)
class Site:
    """The site that is measured, ready."""

    process: subprocess.Popen[bytes]
    url: str
    first_page: float
    ready: float
    client: httpx2.Client


def measure(sizes: Sizes) -> list[Figure]:
    """All figures of Headway."""
    with _site() as site:
        figures = [
            _figure("make up, first page", site.first_page, "s", target=8),
            _figure("make up, all workers ready", site.ready, "s", target=12),
        ]
        _settle_down()
        for step in (_idle, _single, _creation, _bulk, _sleeping, _saturated, _pages):
            print(f"Headway: {step.__name__.strip('_')} …", flush=True)
            figures += step(site, sizes)
    return figures


def _figure(measure: str, value: float, unit: str, **fields: Any) -> Figure:
    return Figure(measure=measure, system=HEADWAY, value=value, unit=unit, **fields)


@contextmanager
def _site() -> Iterator[Site]:
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
        _until(lambda: _answers(f"{url}/admin/login/"), seconds=PATIENCE)
        first_page = time.monotonic() - began
        _until((home / "quickstart.json").exists, seconds=PATIENCE)
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


def _until(condition: Callable[[], bool], *, seconds: float, pause: float = 0.02) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError(f"{condition} did not come true within {seconds:g} s.")
        time.sleep(pause)


def _settle_down() -> None:
    """Lets what a start leaves to be done be done, and every slot have carried out a run."""
    for _ in range(30):
        _launch("noop")
        time.sleep(0.05)
    time.sleep(1)


# --- Runs ---------------------------------------------------------------------------------------------


def _launch(slug: str) -> int:
    from jobs.models import Job
    from runs import causes, launch

    return launch.launch(Job.objects.get(slug=slug), cause=causes.manual()).run.pk


def _probe(count: int, *, gap: float, while_: Callable[[], bool] = lambda: True) -> list[float]:
    """Launches runs one by one, in between nothing; returns how long each took to start, in seconds."""
    from runs.models import Run

    asked: dict[int, float] = {}
    while len(asked) < count and while_():
        at = time.time()
        asked[_launch("noop")] = at
        time.sleep(gap)
    runs = Run.objects.filter(pk__in=asked)
    _until(lambda: not runs.filter(started_at__isnull=True).exists(), seconds=PATIENCE)
    return [run.started_at.timestamp() - asked[run.pk] for run in runs if run.started_at]


def _idle(site: Site, sizes: Sizes) -> list[Figure]:
    waits = _probe(sizes.probes, gap=sizes.gap)
    return milliseconds("trigger to start, idle", waits, system=HEADWAY, p50=3, p99=6)


def _single(site: Site, sizes: Sizes) -> list[Figure]:
    """Runs of the lane high, which are claimed and settled one by one."""
    from django.db import transaction

    with transaction.atomic():
        ids = [_launch("noop") for _ in range(sizes.single)]
    rate = _rate(ids[0], ids[-1])
    return [
        _figure("tracked no-op runs, one by one", rate, "/s", target=1000, is_rate=True, note="lane high")
    ]


def _rate(first: int, last: int) -> float:
    """Runs a second, from the first start to the last end, when all have ended."""
    from django.db.models import Count, Max, Min

    from runs.models import Run

    runs = Run.objects.filter(pk__gte=first, pk__lte=last)
    _until(lambda: not runs.open().exists(), seconds=PATIENCE, pause=0.2)
    seen = runs.filter(status="succeeded").aggregate(Count("pk"), Min("started_at"), Max("finished_at"))
    return float(seen["pk__count"] / (seen["finished_at__max"] - seen["started_at__min"]).total_seconds())


# --- Campaigns ----------------------------------------------------------------------------------------


def _order(site: Site, job: str, recipients: int, parameters: dict[str, Any] | None = None) -> int:
    """Sends a campaign of so many recipients as NDJSON; returns its id."""
    given = json.dumps(parameters or {})
    body = "".join(f'{{"key": "user-{n}", "parameters": {given}}}\n' for n in range(recipients))
    answer = site.client.post(
        f"/api/campaigns?job={job}&name=bench",
        content=body,
        headers={"Content-Type": "application/x-ndjson"},
    )
    if not answer.is_success:
        raise RuntimeError(f"The campaign was refused: {answer.status_code} {answer.text[:500]}")
    return int(answer.json()["id"])


def _launched(campaign: int) -> bool:
    from django.db.models import F

    from runs.models import Campaign

    return Campaign.objects.filter(pk=campaign, launched__gte=F("total")).exists()


def _pause_bulk(*, paused: bool) -> None:
    from runs import lanes
    from runs.models import Lane

    lane = Lane.objects.get(name="bulk")
    if paused:
        lanes.pause(lane, by="benchmarks")
    else:
        lanes.resume(lane, by="benchmarks")


def _creation(site: Site, sizes: Sizes) -> list[Figure]:
    """From the request to the last run's row, while the lane is paused; each recipient's number is validated."""
    from runs import campaigns
    from runs.models import Campaign

    _pause_bulk(paused=True)
    began = time.monotonic()
    campaign = _order(site, "sleep", sizes.bulk, {"seconds": 0.005})
    _until(lambda: _launched(campaign), seconds=PATIENCE)
    seconds = time.monotonic() - began
    campaigns.cancel(Campaign.objects.get(pk=campaign), by="benchmarks")
    _until(lambda: Campaign.objects.get(pk=campaign).status == "cancelled", seconds=PATIENCE, pause=0.2)
    _pause_bulk(paused=False)
    target = 1.5 * sizes.bulk / 100_000
    return [_figure(f"a campaign of {sizes.bulk:,} recipients", seconds, "s", target=max(target, 0.5))]


def _bulk(site: Site, sizes: Sizes) -> list[Figure]:
    """The whole life cycle of a campaign's runs, all of them queued before the first one starts."""
    from django.db.models import Max, Min

    from runs.models import Run

    _pause_bulk(paused=True)
    campaign = _order(site, "noop", sizes.bulk)
    _until(lambda: _launched(campaign), seconds=PATIENCE)
    _pause_bulk(paused=False)
    ids = Run.objects.filter(campaign=campaign).aggregate(Min("pk"), Max("pk"))
    rate = _rate(ids["pk__min"], ids["pk__max"])
    return [_figure("tracked no-op runs, bulk", rate, "/s", target=15_000, is_rate=True, note="lane bulk")]


def _under(site: Site, sizes: Sizes, *, job: str, recipients: int, **parameters: Any) -> list[float]:
    """Probes while a campaign keeps the lane bulk busy, with one campaign after the other if need be."""
    from runs.models import Campaign, Run

    waits: list[float] = []
    until = time.monotonic() + PATIENCE
    while len(waits) < sizes.probes and time.monotonic() < until:
        campaign = _order(site, job, recipients, parameters)
        busy = Run.objects.open().filter(campaign=campaign)
        waits += _probe(sizes.probes - len(waits), gap=sizes.gap / 2, while_=busy.exists)
        from runs import campaigns

        if len(waits) >= sizes.probes and busy.exists():
            campaigns.cancel(Campaign.objects.get(pk=campaign), by="benchmarks")
        _until(lambda busy=busy: not busy.exists(), seconds=PATIENCE, pause=0.1)  # type: ignore[misc]
    return waits


def _sleeping(site: Site, sizes: Sizes) -> list[Figure]:
    waits = _under(site, sizes, job="sleep", recipients=sizes.bulk, seconds=0.005)
    return milliseconds("trigger to start, bulk sleeps 5 ms", waits, system=HEADWAY, p50=3, p99=6)


def _saturated(site: Site, sizes: Sizes) -> list[Figure]:
    waits = _under(site, sizes, job="noop", recipients=sizes.bulk * 2)
    return milliseconds("trigger to start, bulk saturates the CPUs", waits, system=HEADWAY, p50=6, p99=12)


# --- Pages --------------------------------------------------------------------------------------------


def _pages(site: Site, sizes: Sizes) -> list[Figure]:
    """The slowest of the lists' p95, as the client sees it, with a long history."""
    count = _make_history(sizes.history)
    slowest = {name: percentile([_get(site, path) for _ in range(20)], 95) for name, path in PAGES.items()}
    name = max(slowest, key=lambda name: slowest[name])
    measure = f"slowest list of {count:,} finished runs, p95"
    return [_figure(measure, slowest[name] * 1000, "ms", target=100, note=name)]


def _get(site: Site, path: str) -> float:
    began = time.perf_counter()
    site.client.get(path).raise_for_status()
    return time.perf_counter() - began


def _make_history(wanted: int) -> int:
    """Copies finished runs until there are so many; returns how many there are."""
    from django.db import connection

    from runs.models import Run

    columns = ", ".join(
        str(field.column)
        for field in Run._meta.concrete_fields
        if not field.primary_key and not field.generated
    )
    copy = f"""INSERT INTO runs_run ({columns}) SELECT {columns} FROM runs_run
        WHERE status IN ('succeeded', 'cancelled') AND campaign_id IS NOT NULL LIMIT %s"""
    count = Run.objects.count()
    with connection.cursor() as cursor:
        while count < wanted:
            cursor.execute(copy, [min(wanted - count, 50_000)])
            count += cursor.rowcount
        cursor.execute("ANALYZE runs_run")
    return count
