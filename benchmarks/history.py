"""Whether anything gets slower with the runs that have ended, and how slow lists and pages are then."""

import time
from collections.abc import Callable
from typing import Any, Final
from unittest.mock import patch

from benchmarks.campaigns import order
from benchmarks.figures import Figure, percentile
from benchmarks.latency import job, launch, probe
from benchmarks.site import Site, Sizes, figure, until

LISTS: Final = (
    "/",
    "/runs/",
    "/jobs/",
    "/campaigns/",
    "/api/runs",
    "/api/runs?status=failed",
    "/api/runs?job=noop",
    "/api/campaigns",
)
SMALL: Final = 1_000
TIMES: Final = 25
# Half as slow again counts as no slower: so much differs between two measurements of the same.
NO_SLOWER: Final = 1.5


def growth(site: Site, sizes: Sizes) -> list[Figure]:
    """How many times longer each act takes with a long history than with a short one, and what lists take then."""
    acts = _acts(site)
    for act in acts.values():
        act()
    before = {name: act() for name, act in acts.items()}
    count = _make_history(sizes.history)
    after = {name: act() for name, act in acts.items()}
    told = f"with {count:,} finished runs against {SMALL:,}"
    figures = [
        figure(
            f"{name}, {told}",
            after[name] / before[name],
            "x",
            target=NO_SLOWER,
            note=f"{before[name] * 1000:.1f} → {after[name] * 1000:.1f} ms",
        )
        for name in acts
    ]
    slowest = {path: percentile([_get(site, path) for _ in range(TIMES)], 95) for path in LISTS}
    path = max(slowest, key=lambda path: slowest[path])
    measure = f"slowest list or page of {count:,} finished runs, p95"
    statements = {path: _statements(site, path) for path in _pages()}
    most = max(statements, key=lambda path: statements[path])
    return [
        *figures,
        figure(measure, slowest[path] * 1000, "ms", target=100, note=path),
        figure("statements of a page, most", statements[most], "", target=12, note=most),
    ]


def _acts(site: Site) -> dict[str, Callable[[], float]]:
    """What is compared, each with what it takes, p50, in seconds."""
    run, campaign = _some(site)

    def getting(path: str) -> Callable[[], float]:
        return lambda: percentile([_get(site, path) for _ in range(TIMES)], 50)

    return {
        "launch": lambda: percentile([_launch() for _ in range(TIMES)], 50),
        "launch to start (claim)": lambda: percentile(probe(TIMES, gap=0.04), 50),
        "GET /runs/": getting("/runs/"),
        "GET /api/runs": getting("/api/runs"),
        "GET /runs/<id>/": getting(f"/runs/{run}/"),
        "GET /api/runs/<id>": getting(f"/api/runs/{run}"),
        "GET /campaigns/<id>/": getting(f"/campaigns/{campaign}/"),
    }


def _some(site: Site) -> tuple[int, int]:
    """A run and a campaign to be looked at, after all but a short history is gone."""
    from django.db import connection

    from runs.models import Run

    campaign = order(site, "noop", SMALL)
    own = Run.objects.open().filter(campaign=campaign)
    until(lambda: not own.exists())
    with connection.cursor() as cursor:
        # As it is deleted by the site: what belongs to a run goes before it.
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(
            "CREATE TEMP TABLE gone AS SELECT id FROM runs_run WHERE campaign_id <> %s", [campaign]
        )
        for table in ("runs_runlabel", "runs_logchunk", "runs_runevent", "runs_deadline"):
            cursor.execute(f"DELETE FROM {table} WHERE run_id IN (SELECT id FROM gone)")
        cursor.execute("DELETE FROM runs_run WHERE id IN (SELECT id FROM gone)")
    _vacuum()
    newest = Run.objects.filter(campaign=campaign).order_by("-pk").values_list("pk", flat=True)
    return newest[0], campaign


def _vacuum() -> None:
    """What autovacuum does when it comes to it."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) runs_run")


def _launch() -> float:
    noop = job("noop")
    began = time.perf_counter()
    launch(noop)
    return time.perf_counter() - began


def _get(site: Site, path: str) -> float:
    began = time.perf_counter()
    site.client.get(path).raise_for_status()
    return time.perf_counter() - began


def _pages() -> tuple[str, ...]:
    from runs.models import Run

    newest = Run.objects.order_by("-pk").values_list("pk", flat=True)[0]
    return (*LISTS, f"/runs/{newest}/", f"/api/runs/{newest}", "/jobs/noop/", "/queues/")


def _statements(site: Site, path: str) -> int:
    """How many statements the address costs, asked in this process, by whatever way they go to the database."""
    import psycopg
    from django.contrib.auth.models import User
    from django.test import Client, override_settings

    client, seen = Client(), 0
    client.force_login(User.objects.filter(is_superuser=True)[0])
    execute = psycopg.Cursor.execute

    def counted(cursor: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal seen
        seen += 1
        return execute(cursor, *arguments, **options)

    with override_settings(ALLOWED_HOSTS=["testserver"]):
        client.get(path)  # what is kept from then on
        with patch.object(psycopg.Cursor, "execute", counted):
            answer = client.get(path)
    if answer.status_code != 200:
        raise RuntimeError(f"{path} was answered with {answer.status_code}.")
    return seen


def _make_history(wanted: int) -> int:
    """Copies the finished runs of a campaign until there are so many; returns how many there are."""
    from django.db import connection

    from runs.models import Run

    columns = ", ".join(
        str(field.column)
        for field in Run._meta.concrete_fields
        if not field.primary_key and not field.generated
    )
    copy = f"""INSERT INTO runs_run ({columns}) SELECT {columns} FROM (
            SELECT {columns} FROM runs_run WHERE status = 'succeeded' AND campaign_id IS NOT NULL LIMIT 1000) r
        CROSS JOIN generate_series(1, %s) LIMIT %s"""
    count = Run.objects.count()
    with connection.cursor() as cursor:
        while count < wanted:
            cursor.execute(copy, [200, min(wanted - count, 200_000)])
            count += cursor.rowcount
    _vacuum()
    return count
