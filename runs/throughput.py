"""How many runs come into each lane and leave it, minute by minute, and how long those that left had waited.

What ended is known from the tallies (`runs.tallies`), what was launched for campaigns from their own counters. All
other launches have ids that grow, so the sweep goes on behind the last run that it saw: each run is looked at once in
its life, and no page ever counts any. A launch whose transaction took longer than `SETTLED` may be missed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from jobs.priority import LANES
from runs.histogram import Histogram
from runs.models import Heartbeat, LanePace, Run

NAME: Final = "launches"
MINUTES: Final = 30
# Launches are looked at when they are so old: whose ids were drawn before theirs are committed by then.
SETTLED: Final = timedelta(seconds=5)
LIMIT: Final = 20_000  # runs in one sweep
KEPT: Final = timedelta(days=30)

# An index holds the campaigns that have launched something since, and no others. One that is just being expanded is
# locked, and counted by the next sweep.
_CAMPAIGNS: Final = """
    WITH grown AS MATERIALIZED (
        SELECT id, launched + retried AS runs, counted FROM runs_campaign
        WHERE launched + retried > counted ORDER BY id FOR NO KEY UPDATE SKIP LOCKED),
    noted AS (
        UPDATE runs_campaign c SET counted = grown.runs FROM grown WHERE c.id = grown.id)
    SELECT coalesce(sum(runs - counted), 0) FROM grown"""
# Nothing behind a run that is too young is looked at, so that none of them is passed over.
_COUNT: Final = """
    WITH looked AS MATERIALIZED (
        SELECT id, lane, campaign_id, created_at FROM runs_run WHERE id > %(after)s ORDER BY id LIMIT %(limit)s),
    settled AS MATERIALIZED (
        SELECT * FROM looked
        WHERE id < coalesce((SELECT min(id) FROM looked WHERE created_at > %(until)s), 9223372036854775807)),
    launched AS (
        SELECT lane, date_trunc('minute', created_at, 'UTC') AS at, count(*) AS runs
        FROM settled WHERE campaign_id IS NULL GROUP BY 1, 2
        UNION ALL
        SELECT 'bulk', date_trunc('minute', %(now)s::timestamptz, 'UTC'), %(campaigns)s::bigint
        WHERE %(campaigns)s::bigint > 0),
    noted AS (
        INSERT INTO runs_lanepace AS l (lane, at, launched, ended)
        SELECT lane, at, sum(runs), 0 FROM launched GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (at, lane) DO UPDATE SET launched = l.launched + excluded.launched)
    SELECT max(id) FROM settled"""
_PACES: Final = """
    SELECT lane, at, sum(launched), sum(ended) FROM (
        SELECT lane, at, launched, ended FROM runs_lanepace WHERE at >= %(since)s
        UNION ALL
        SELECT lane, date_trunc('minute', last_run_at, 'UTC'), 0, runs FROM runs_tallydelta
        WHERE last_run_at >= %(since)s) counted
    GROUP BY lane, at"""

# Whole hours, the minutes before and behind them, and what was not folded yet.
_WAITS: Final = r"""
    SELECT string_agg(waits::text, E'\n') FROM (
        SELECT waits FROM runs_hourlytally
        WHERE lane = %(lane)s AND hour >= %(first)s AND hour < %(last)s AND timed > 0
        UNION ALL
        SELECT waits FROM runs_lanepace
        WHERE lane = %(lane)s AND at >= %(since)s AND at < %(until)s AND NOT (at >= %(first)s AND at < %(last)s)
        UNION ALL
        SELECT to_jsonb(waits) FROM runs_tallydelta
        WHERE lane = %(lane)s AND last_run_at >= %(since)s AND last_run_at < %(until)s AND timed > 0) ended"""


@dataclass(frozen=True, slots=True)
class Paces:
    """A lane's launched and ended runs in each of the last `MINUTES` minutes, the current one at the end."""

    launched: list[int]
    ended: list[int]


def count(now: datetime) -> None:
    """Counts what was launched since it last did. Nobody waits for another who does."""
    with transaction.atomic(), connection.cursor() as cursor:
        Heartbeat.objects.bulk_create([Heartbeat(name=NAME, at=now)], ignore_conflicts=True)
        state = Heartbeat.objects.select_for_update(skip_locked=True).filter(name=NAME).first()
        if state is None:
            return
        state.detail = (
            _counted(cursor, state.detail, now) if "after" in state.detail else _from_now_on(cursor)
        )
        state.at = now
        state.save(update_fields=["at", "detail"])
    LanePace.objects.filter(at__lt=now - KEPT).delete()


def _from_now_on(cursor: Any) -> dict[str, int]:
    """Where the first count of a site begins: behind what was launched before."""
    newest = Run.objects.order_by("-pk").values_list("pk", flat=True).first()
    _for_campaigns(cursor)
    return {"after": newest or 0}


def _for_campaigns(cursor: Any) -> int:
    """How many runs were launched for campaigns since this was asked last."""
    cursor.execute(_CAMPAIGNS)
    return int(cursor.fetchone()[0])


def _counted(cursor: Any, before: Mapping[str, int], now: datetime) -> dict[str, int]:
    """Notes what was launched since `before`, and says where to go on."""
    cursor.execute(
        _COUNT,
        {
            "after": before["after"],
            "limit": LIMIT,
            "until": now - SETTLED,
            "now": now,
            "campaigns": _for_campaigns(cursor),
        },
    )
    return {"after": int(cursor.fetchone()[0] or before["after"])}


def of_lanes(now: datetime) -> dict[str, Paces]:
    """The paces of each lane, in one query."""
    since = _minute(now) - timedelta(minutes=MINUTES - 1)
    found = {lane: Paces([0] * MINUTES, [0] * MINUTES) for lane in LANES}
    with connection.cursor() as cursor:
        cursor.execute(_PACES, {"since": since})
        for lane, at, launched, ended in cursor.fetchall():
            number = (at - since) // timedelta(minutes=1)
            if 0 <= number < MINUTES:
                found[lane].launched[number] += int(launched)
                found[lane].ended[number] += int(ended)
    return found


def waits(lane: str, *, since: datetime, until: datetime) -> Histogram:
    """How long the runs of the lane that ended between two times had waited, in one query.

    Known by the minute, so both times are brought to one: `since` down, `until` up; for minutes that are older than
    `KEPT` nothing is known, but for whole hours.
    """
    since, until = _minute(since), _minute(until) + timedelta(minutes=1)
    first = since.replace(minute=0) + timedelta(hours=bool(since.minute))
    last = max(first, until.replace(minute=0))
    found = Histogram()
    with connection.cursor() as cursor:
        cursor.execute(_WAITS, {"lane": lane, "since": since, "until": until, "first": first, "last": last})
        found.read(cursor.fetchone()[0])
    return found


def _minute(at: datetime) -> datetime:
    """The minute that `at` lies in."""
    return at.astimezone(UTC).replace(second=0, microsecond=0)
