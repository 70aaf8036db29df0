"""How triggers were used in some stretch of time, how that went and when: read from the hourly tallies only."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection

from runs.stats import DELTA, HOURLY, SUMMED, Ended

HOUR: Final = timedelta(hours=1)
DAYS: Final = 7
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_ENDED: Final = f"""
    SELECT {{keys}}, {SUMMED} FROM (
        SELECT hour, job_id, trigger_id, trigger_kind, {HOURLY}
        FROM runs_hourlytally WHERE hour >= %(since)s AND hour < %(until)s {{only}}
        UNION ALL
        SELECT date_trunc('hour', last_run_at, 'UTC'), job_id, trigger_id, trigger_kind, {DELTA}
        FROM runs_tallydelta WHERE last_run_at >= %(since)s AND last_run_at < %(until)s {{only}}
    ) ended GROUP BY {{keys}}, status"""
# Summed up by the day in the database: a busy job has thousands of hours in three months.
_DAILY: Final = f"""
    SELECT date_trunc('day', hour AT TIME ZONE %(zone)s)::date AS day, {SUMMED} FROM (
        SELECT hour, {HOURLY} FROM runs_hourlytally
        WHERE hour >= %(since)s AND hour < %(until)s AND job_id = %(job)s
        UNION ALL
        SELECT last_run_at, {DELTA} FROM runs_tallydelta
        WHERE last_run_at >= %(since)s AND last_run_at < %(until)s AND job_id = %(job)s
    ) ended GROUP BY day, status"""
_OF_JOBS: Final = "AND job_id = ANY(%(jobs)s)"
_OF_TRIGGER: Final = "AND trigger_id = %(trigger)s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """From `since` to `until`, of these jobs or this trigger only if any are named."""

    since: datetime
    until: datetime
    jobs: Collection[int] | None = None
    trigger: int | None = None

    @property
    def days(self) -> int:
        """How many days it is long, at least one."""
        return max(round((self.until - self.since) / timedelta(days=1)), 1)


@dataclass(frozen=True, slots=True)
class Use:
    """The ended runs of a stretch, by the hour in which they ended and their trigger kind."""

    stretch: Stretch
    hours: Mapping[tuple[datetime, str], Ended] = field(default_factory=dict)

    @property
    def total(self) -> Ended:
        """All of them."""
        return together(self.hours.values())

    @property
    def kinds(self) -> dict[str, Ended]:
        """By trigger kind, the most used first."""
        found: dict[str, Ended] = {}
        for (_, kind), ended in self.hours.items():
            found.setdefault(kind, Ended()).join(ended)
        return dict(sorted(found.items(), key=lambda pair: -pair[1].runs))

    def by_day(self, zone: ZoneInfo) -> dict[datetime, dict[str, Ended]]:
        """Every day of the stretch by its midnight in `zone`, each by trigger kind."""
        days: dict[datetime, dict[str, Ended]] = {day: {} for day in self._days(zone)}
        for (hour, kind), ended in self.hours.items():
            days.setdefault(_midnight(hour, zone), {}).setdefault(kind, Ended()).join(ended)
        return days

    def by_weekday(self, zone: ZoneInfo) -> list[list[Ended]]:
        """Monday to Sunday, each by the hour of the day in `zone`."""
        week = [[Ended() for _ in range(24)] for _ in WEEKDAYS]
        for (hour, _), ended in self.hours.items():
            local = hour.astimezone(zone)
            week[local.weekday()][local.hour].join(ended)
        return week

    def _days(self, zone: ZoneInfo) -> Iterator[datetime]:
        day = _midnight(self.stretch.since, zone)
        while day < self.stretch.until:
            yield day
            # By the wall clock: a day on which the clocks change has not 24 hours.
            day = datetime.combine(day.date() + timedelta(days=1), day.timetz())


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerUse:
    """How one trigger was used; `trigger_id` is None for what somebody or a campaign started."""

    trigger_id: int | None
    job_id: int
    kind: str
    ended: Ended


def last_days(now: datetime, days: int, **only: Any) -> Stretch:
    """The `days` days up to now, in whole hours."""
    until = now.replace(minute=0, second=0, microsecond=0) + HOUR
    return Stretch(since=until - timedelta(days=days), until=until, **only)


def use(stretch: Stretch) -> Use:
    """The use of all triggers in the stretch, in one query."""
    hours: dict[tuple[datetime, str], Ended] = {}
    for hour, kind, *line in _rows(stretch, "hour, trigger_kind"):
        hours.setdefault((hour, kind), Ended()).add(line)
    return Use(stretch, hours)


def days(job_id: int, *, now: datetime, count: int, zone: ZoneInfo) -> dict[date, Ended]:
    """How the job's runs ended on each of the `count` days up to today by the clock of `zone`, in one query."""
    today = now.astimezone(zone).date()
    found = {today - timedelta(days=ago): Ended() for ago in reversed(range(count))}
    since = datetime.combine(min(found), time(), tzinfo=zone)
    values: dict[str, Any] = {"zone": zone.key, "since": since, "until": now + HOUR, "job": job_id}
    with connection.cursor() as cursor:
        cursor.execute(_DAILY, values)
        for day, *line in cursor.fetchall():
            found.setdefault(day, Ended()).add(line)
    return found


def triggers(stretch: Stretch, *, limit: int) -> list[TriggerUse]:
    """The `limit` triggers that were used most, the most used first, in one query."""
    found: dict[tuple[Any, ...], Ended] = {}
    for job_id, trigger_id, kind, *line in _rows(stretch, "job_id, trigger_id, trigger_kind"):
        found.setdefault((job_id, trigger_id, kind), Ended()).add(line)
    most = sorted(found.items(), key=lambda pair: (-pair[1].runs, pair[0][0], pair[0][1] or 0))[:limit]
    return [TriggerUse(trigger_id=key[1], job_id=key[0], kind=key[2], ended=ended) for key, ended in most]


def _rows(stretch: Stretch, keys: str) -> list[tuple[Any, ...]]:
    only = [_OF_JOBS] * (stretch.jobs is not None) + [_OF_TRIGGER] * (stretch.trigger is not None)
    values = {"since": stretch.since, "until": stretch.until, "trigger": stretch.trigger}
    with connection.cursor() as cursor:
        cursor.execute(
            _ENDED.format(keys=keys, only=" ".join(only)), {**values, "jobs": list(stretch.jobs or ())}
        )
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def together(parts: Iterable[Ended]) -> Ended:
    """All of `parts` as one."""
    total = Ended()
    for part in parts:
        total.join(part)
    return total


def _midnight(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
