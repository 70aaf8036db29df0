"""What `/metrics` tells Prometheus: every metric with its help, and its samples read without counting ended runs.

Counters come from the totals that each ending moves, so they only grow and survive retention; lengths of lanes are
those of `runs.queues`. Triggers beyond the thousand most used are left to the totals by kind.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from django.conf import settings
from django.db import connection
from django.db.models import Count, Min, Sum

from jobs.models import Job
from notifications.models import Message
from runs import queues
from runs.models import Heartbeat, Tally
from runs.queues import Queue
from triggers.models import Source, Trigger

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
TRIGGERS: Final = 1000
SOURCES: Final = 1000
BEAT: Final = "beat:"
SWEEP: Final = "sweep"

_TOTALS: Final = """
    SELECT {keys}, status, sum(runs), sum(timed), sum(duration_seconds), sum(wait_seconds) FROM (
        SELECT job_id, trigger_id, trigger_kind, lane, status, runs, timed, duration_seconds, wait_seconds
        FROM runs_triggertally
        UNION ALL
        SELECT job_id, trigger_id, trigger_kind, lane, status, runs, timed, duration_seconds, wait_seconds
        FROM runs_tallydelta) ended
    {where} GROUP BY {keys}, status ORDER BY {keys}, status"""
_MOST_USED: Final = """
    WHERE trigger_id IN (
        SELECT trigger_id FROM runs_triggertally WHERE trigger_id IS NOT NULL
        GROUP BY trigger_id ORDER BY sum(runs) DESC, trigger_id LIMIT %s)"""
# In the order of the index that has them, as in `runs.queues`.
_PRIORITIES: Final = """
    SELECT l.name, q.priority, count(*) FROM runs_lane l CROSS JOIN LATERAL (
        SELECT priority FROM runs_run WHERE status = 'queued' AND lane >= l.name AND lane <= l.name
        ORDER BY lane, group_id, priority, id LIMIT %s) q
    WHERE l.name <> 'bulk' GROUP BY l.name, q.priority ORDER BY l.name, q.priority"""

Labels = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric and its samples: the end of their name ("" for a plain one), their labels, their value."""

    name: str
    kind: Literal["gauge", "counter", "summary"]
    help: str
    samples: list[tuple[str, Labels, float]] = field(default_factory=list)

    def add(self, value: float, end: str = "", **labels: Any) -> None:
        """One more sample."""
        self.samples.append((end, labels, value))

    def lines(self) -> Iterator[str]:
        """The metric in Prometheus' text format 0.0.4."""
        yield f"# HELP {self.name} {_escaped(self.help)}"
        yield f"# TYPE {self.name} {self.kind}"
        for end, labels, value in self.samples:
            told = ",".join(f'{name}="{_escaped(str(text), quotes=True)}"' for name, text in labels.items())
            yield (
                f"{self.name}{end}{{{told}}} {_number(value)}"
                if told
                else f"{self.name}{end} {_number(value)}"
            )


def text(now: datetime) -> str:
    """Everything, as Prometheus reads it."""
    return "".join(f"{line}\n" for metric in metrics(now) for line in metric.lines())


def metrics(now: datetime) -> Iterator[Metric]:
    """Every metric with its samples at `now`."""
    yield _info()
    yield from _of_lanes(queues.queues(now), now)
    yield from _of_kinds()
    yield from _of_triggers()
    yield from _of_the_clock(now)
    yield from _of_messages(now)
    yield from _of_sources(now)
    pruned = Metric("headway_runs_pruned_total", "counter", "Ended runs that retention deleted.")
    pruned.add(Tally.objects.aggregate(all=Sum("pruned"))["all"] or 0)
    yield pruned


def _info() -> Metric:
    info = Metric("headway_info", "gauge", "Always 1; the label says what is deployed.")
    info.add(1, commit=settings.COMMIT)
    return info


def _of_lanes(found: Iterable[Queue], now: datetime) -> Iterator[Metric]:
    size = Metric(
        "headway_queue_runs", "gauge", "Open runs of a lane: waiting, active (running), delayed (due later)."
    )
    by_priority = Metric(
        "headway_queue_priority_runs", "gauge", "Queued runs by priority, 1 (first) to 100 (last)."
    )
    oldest = Metric(
        "headway_queue_oldest_wait_seconds", "gauge", "How long the next runs of a lane have waited at most."
    )
    paused = Metric("headway_lane_paused", "gauge", "1 while a lane is paused.")
    workers = Metric("headway_workers", "gauge", "Live workers that serve a lane.")
    slots = Metric("headway_slots", "gauge", "How many runs of a lane may go on at a time.")
    for queue in found:
        lane, length = queue.lane.name, queue.length
        for state in ("waiting", "active", "delayed"):
            size.add(getattr(length, state), lane=lane, state=state)
        since = length.waiting_since
        oldest.add(max((now - since).total_seconds(), 0) if since else 0, lane=lane)
        paused.add(queue.lane.paused_at is not None, lane=lane)
        workers.add(len(queue.workers), lane=lane)
        slots.add(queue.slots, lane=lane)
        if lane == "bulk":  # it has one priority, and is the one that gets long
            by_priority.add(length.waiting, lane=lane, priority=100)
    for lane, priority, runs in _rows(_PRIORITIES, [queues.COUNTED + 1]):
        by_priority.add(runs, lane=lane, priority=priority)
    yield from (size, by_priority, oldest, paused, workers, slots)


def _of_kinds() -> Iterator[Metric]:
    ended = Metric("headway_runs_total", "counter", "Ended runs by trigger kind, lane and status.")
    took, waited = _times("headway_run", "runs, by trigger kind and lane")
    sums: dict[tuple[str, str], list[float]] = {}
    for kind, lane, status, runs, *times in _totals("trigger_kind, lane"):
        ended.add(runs, kind=kind, lane=lane, status=status)
        _add(sums.setdefault((kind, lane), [0, 0, 0]), times)
    for (kind, lane), times in sums.items():
        _tell(took, waited, times, kind=kind, lane=lane)
    yield from (ended, took, waited)


def _of_triggers() -> Iterator[Metric]:
    ended = Metric(
        "headway_trigger_runs_total", "counter", "Ended runs by trigger and status, of the 1000 most used."
    )
    took, waited = _times("headway_trigger", "a trigger's runs")
    rows = _totals("trigger_id", where=_MOST_USED, arguments=[TRIGGERS])
    names = _names({row[0] for row in rows})
    sums: dict[int, list[float]] = {}
    for trigger, status, runs, *times in rows:
        if trigger in names:
            ended.add(runs, **names[trigger], status=status)
            _add(sums.setdefault(trigger, [0, 0, 0]), times)
    for trigger, times in sums.items():
        _tell(took, waited, times, **names[trigger])
    yield from (ended, took, waited)


def _of_the_clock(now: datetime) -> Iterator[Metric]:
    """How late the clock and the sweep are; without a beat there is no sample of its age."""
    beats = dict(Heartbeat.objects.values_list("name", "at"))
    age = Metric("headway_beat_age_seconds", "gauge", "How long ago the last beat said that it lives.")
    if alive := [at for name, at in beats.items() if name.startswith(BEAT)]:
        age.add(max((now - max(alive)).total_seconds(), 0))
    number = Metric("headway_beats", "gauge", "Beats that said so within the last 15 seconds.")
    number.add(sum(now - at < timedelta(seconds=15) for at in alive))
    lag = Metric(
        "headway_schedule_lag_seconds", "gauge", "How long the longest overdue schedule has been due."
    )
    due = Trigger.objects.schedules().enabled().aggregate(first=Min("next_run_at"))["first"]
    lag.add(max((now - due).total_seconds(), 0) if due else 0)
    swept = Metric("headway_sweep_age_seconds", "gauge", "How long ago the last sweep began.")
    if SWEEP in beats:
        swept.add(max((now - beats[SWEEP]).total_seconds(), 0))
    yield from (age, number, lag, swept)


def _of_messages(now: datetime) -> Iterator[Metric]:
    """What is told: how much was given up lately, and how long what is due has been."""
    given_up = Metric(
        "headway_messages_given_up", "gauge", "Messages that were given up in the last 24 hours, by channel."
    )
    lately = Message.objects.filter(status=Message.Status.FAILED, ended_at__gt=now - timedelta(days=1))
    for name, count in (
        lately.values_list("channel__name").annotate(count=Count("pk")).order_by("channel__name")
    ):
        given_up.add(count, channel=name)
    late = Metric(
        "headway_message_lag_seconds", "gauge", "How long the message that is due longest has been due."
    )
    due = Message.objects.filter(status=Message.Status.DUE).aggregate(first=Min("due_at"))["first"]
    late.add(max((now - due).total_seconds(), 0) if due else 0)
    yield from (given_up, late)


def _of_sources(now: datetime) -> Iterator[Metric]:
    """How polling goes, of the enabled sources."""
    found = Metric("headway_source_found_total", "counter", "Things found in a source.")
    failing = Metric(
        "headway_source_failures", "gauge", "Looks at a source that failed since the last that did not."
    )
    age = Metric("headway_source_poll_age_seconds", "gauge", "How long ago a source was looked at.")
    lag = Metric("headway_source_lag_seconds", "gauge", "How long ago a source was read to its end.")
    for source in Source.objects.filter(enabled=True).order_by("pk")[:SOURCES]:
        labels = {"source": source.name, "kind": source.kind}
        found.add(source.found_count, **labels)
        failing.add(source.failures, **labels)
        if source.last_poll_at is not None:
            age.add(max((now - source.last_poll_at).total_seconds(), 0), **labels)
        if (behind := source.lag(now)) is not None:
            lag.add(behind.total_seconds(), **labels)
    yield from (found, failing, age, lag)


def _times(name: str, whose: str) -> tuple[Metric, Metric]:
    took = Metric(f"{name}_duration_seconds", "summary", f"From the last start to the end of {whose}.")
    waited = Metric(f"{name}_wait_seconds", "summary", f"From queued to started, of {whose}.")
    return took, waited


def _add(sums: list[float], times: Iterable[float]) -> None:
    sums[:] = [before + float(more) for before, more in zip(sums, times, strict=True)]


def _tell(took: Metric, waited: Metric, times: list[float], **labels: Any) -> None:
    timed, duration, wait = times
    for metric, seconds in ((took, duration), (waited, wait)):
        metric.add(seconds, "_sum", **labels)
        metric.add(timed, "_count", **labels)


def _names(ids: set[int]) -> dict[int, dict[str, str]]:
    """The labels of triggers that are still there."""
    slugs = dict(Job.objects.filter(triggers__in=ids).values_list("pk", "slug"))
    return {
        trigger.pk: {
            "job": slugs[trigger.job_id],
            "trigger": trigger.label,
            "trigger_id": str(trigger.pk),
            "kind": trigger.kind,
        }
        for trigger in Trigger.objects.filter(pk__in=ids)
        if trigger.job_id in slugs
    }


def _totals(keys: str, *, where: str = "", arguments: list[Any] | None = None) -> list[tuple[Any, ...]]:
    return _rows(_TOTALS.format(keys=keys, where=where), arguments or [])


def _rows(query: str, arguments: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, arguments)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _escaped(told: str, *, quotes: bool = False) -> str:
    told = told.replace("\\", r"\\").replace("\n", r"\n")
    return told.replace('"', r"\"") if quotes else told


def _number(value: float) -> str:
    """Whole numbers as such, others with all their digits."""
    value = float(value)
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(value)
