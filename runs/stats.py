"""Numbers of the last day, and what fails now: read from the tallies, never counted over runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from runs.histogram import Histogram

DAY = 24  # hours
# What `Ended` says of how waits and durations are spread.
SPREAD = ("wait_p50_seconds", "wait_p95_seconds", "duration_p50_seconds", "duration_p95_seconds")

# What a line of the tallies says of some ended runs, and how lines are added up; as `Ended.add` takes them.
_SAID = "status, runs, timed, duration_seconds, wait_seconds"
HOURLY = f"{_SAID}, waits, durations"
DELTA = f"{_SAID}, to_jsonb(waits) AS waits, to_jsonb(durations) AS durations"
SUMMED = r"""status, sum(runs), sum(timed), sum(duration_seconds), sum(wait_seconds),
        string_agg(waits::text, E'\n') FILTER (WHERE timed > 0),
        string_agg(durations::text, E'\n') FILTER (WHERE timed > 0)"""

_HOURS = f"""
    SELECT hour, {SUMMED} FROM (
        SELECT hour, {HOURLY} FROM runs_hourlytally WHERE hour >= %(since)s
        UNION ALL
        SELECT date_trunc('hour', last_run_at, 'UTC'), {DELTA} FROM runs_tallydelta WHERE last_run_at >= %(since)s
    ) ended GROUP BY hour, status"""

_LANES = f"""
    SELECT lane, {SUMMED} FROM (
        SELECT lane, {HOURLY} FROM runs_hourlytally WHERE hour >= %(since)s
        UNION ALL
        SELECT lane, {DELTA} FROM runs_tallydelta WHERE last_run_at >= %(since)s) ended
    GROUP BY lane, status"""

# The last ending of each job, from the base and what was not folded yet; of these, the failed ones.
_FAILING = """
    WITH last AS (
        SELECT DISTINCT ON (job_id) job_id, last_run_id, last_run_at, status FROM (
            SELECT job_id, last_run_id, last_run_at, last_run_status AS status FROM runs_tally
            WHERE last_run_id IS NOT NULL
            UNION ALL
            SELECT job_id, last_run_id, last_run_at, status FROM runs_tallydelta) ended
        ORDER BY job_id, last_run_at DESC, last_run_id DESC)
    SELECT j.id, j.slug, j.name, last.last_run_id, last.last_run_at, left(r.error->>'message', 300)
    FROM last JOIN jobs_job j ON j.id = last.job_id LEFT JOIN runs_run r ON r.id = last.last_run_id
    WHERE last.status = 'failed' AND j.status <> 'inactive'
    ORDER BY last.last_run_at DESC LIMIT %s"""


@dataclass(slots=True)
class Ended:
    """Runs that ended in some stretch of time: how many by status, and how long they waited and took."""

    counts: dict[str, int] = field(default_factory=dict)
    timed: int = 0
    duration_seconds: float = 0.0
    wait_seconds: float = 0.0
    waits: Histogram = field(default_factory=Histogram)
    durations: Histogram = field(default_factory=Histogram)

    @property
    def runs(self) -> int:
        """All of them."""
        return sum(self.counts.values())

    @property
    def failed(self) -> int:
        """Those that failed."""
        return self.counts.get("failed", 0)

    @property
    def skipped(self) -> int:
        """Those that never started."""
        return self.counts.get("skipped", 0)

    @property
    def success_rate(self) -> float | None:
        """Succeeded of those that succeeded or failed, 0 to 1; None if there are none."""
        judged = self.counts.get("succeeded", 0) + self.failed
        return self.counts.get("succeeded", 0) / judged if judged else None

    @property
    def average_wait_seconds(self) -> float | None:
        """The mean time in the queue of those that started; None if there are none."""
        return self.wait_seconds / self.timed if self.timed else None

    @property
    def average_duration_seconds(self) -> float | None:
        """The mean duration of those that started; None if there are none."""
        return self.duration_seconds / self.timed if self.timed else None

    @property
    def wait_p50_seconds(self) -> float | None:
        """The time that half of those that started waited at most; None if there are none."""
        return self.waits.quantile(0.5)

    @property
    def wait_p95_seconds(self) -> float | None:
        """The time that 95 % of those that started waited at most; None if there are none."""
        return self.waits.quantile(0.95)

    @property
    def duration_p50_seconds(self) -> float | None:
        """The time that half of those that started took at most; None if there are none."""
        return self.durations.quantile(0.5)

    @property
    def duration_p95_seconds(self) -> float | None:
        """The time that 95 % of those that started took at most; None if there are none."""
        return self.durations.quantile(0.95)

    def add(self, line: Sequence[Any]) -> None:
        """Adds a line of the tallies, summed as `SUMMED` says."""
        status, runs, timed, duration, wait, waits, durations = line
        self.counts[status] = self.counts.get(status, 0) + int(runs)
        self.timed += int(timed)
        self.duration_seconds += float(duration)
        self.wait_seconds += float(wait)
        self.waits.read(waits)
        self.durations.read(durations)

    def join(self, other: "Ended") -> None:
        """Adds what ended in another stretch."""
        for status, runs in other.counts.items():
            self.counts[status] = self.counts.get(status, 0) + runs
        self.timed += other.timed
        self.duration_seconds += other.duration_seconds
        self.wait_seconds += other.wait_seconds
        self.waits.join(other.waits)
        self.durations.join(other.durations)


@dataclass(frozen=True, slots=True)
class Day:
    """The current hour and the 23 before it, oldest first, and the same stretch of the day before."""

    hours: Mapping[datetime, Ended]
    total: Ended
    before: Ended


@dataclass(frozen=True, slots=True)
class Failing:
    """A job whose last run failed, with that run's error."""

    job_id: int
    slug: str
    name: str
    run_id: int
    at: datetime
    error: str | None


def last_day(now: datetime) -> Day:
    """What ended in the last day and the day before it, in one query."""
    this_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    begin = this_hour - timedelta(hours=DAY - 1)
    day = Day({begin + timedelta(hours=number): Ended() for number in range(DAY)}, Ended(), Ended())
    with connection.cursor() as cursor:
        cursor.execute(_HOURS, {"since": begin - timedelta(hours=DAY)})
        for hour, *line in cursor.fetchall():
            if hour in day.hours:
                day.hours[hour].add(line)
            (day.total if hour >= begin else day.before).add(line)
    return day


def of_lanes(now: datetime) -> dict[str, Ended]:
    """What ended in each lane in the current hour and the one before it, in one query."""
    since = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    lanes: dict[str, Ended] = {}
    with connection.cursor() as cursor:
        cursor.execute(_LANES, {"since": since})
        for lane, *line in cursor.fetchall():
            lanes.setdefault(lane, Ended()).add(line)
    return lanes


def failing(*, limit: int) -> Sequence[Failing]:
    """The jobs in use whose last ended run failed, the latest failure first, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(_FAILING, [limit])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return [Failing(*row) for row in rows]
