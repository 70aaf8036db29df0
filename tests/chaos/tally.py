"""What a fault did: what was lost, what was done twice, whether that can be seen, and how soon work went on."""

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from runs.models import Run
from tests.chaos.arena import Arena

HEAD: Final = (
    "fault",
    "times",
    "submitted",
    "lost",
    "twice",
    "unnoticed",
    "zombies",
    "failed",
    "p50",
    "p99",
    "max",
)
WIDTHS: Final = (38, 6, 10, 6, 6, 10, 8, 7, 8, 8, 8)


@dataclass(kw_only=True)
class Row:
    """One line of the table. `recoveries` are seconds; `wrong` says in words what must not be."""

    fault: str
    times: int
    submitted: int
    lost: int = 0  # accepted, and neither ended nor really done
    twice: int = 0  # executed more than once
    unnoticed: int = 0  # executed more often than its attempts say
    zombies: int = 0  # ended with the result of a process that had lost the claim
    failed: int = 0  # ended as failed, with the reason
    recoveries: list[float] = field(default_factory=list)
    note: str = ""
    wrong: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether each zero is zero."""
        return not (self.lost or self.unnoticed or self.zombies or self.wrong)

    def must_recover_within(self, seconds: float, *, what: str = "the next attempt") -> None:
        """Wrong unless ninety-nine in a hundred recoveries took no longer."""
        slowest = percentile(self.recoveries, 99)
        if slowest is not None and slowest > seconds:
            self.wrong.append(
                f"{what} began p99 {slowest:.1f} s after the fault; expected {seconds:g} s at most"
            )

    def cells(self) -> list[str]:
        counts = (
            self.times,
            self.submitted,
            self.lost,
            self.twice,
            self.unnoticed,
            self.zombies,
            self.failed,
        )
        times = [_seconds(percentile(self.recoveries, share)) for share in (50, 99, 100)]
        return [self.fault, *map(str, counts), *times]


def head() -> str:
    """The names of the columns."""
    return _line(HEAD)


def lines_of(row: Row) -> str:
    """A row as text, with what it remarks and what was wrong."""
    remarks = [f"  {row.note}"] if row.note else []
    return "\n".join([_line(row.cells()), *remarks, *(f"  WRONG: {wrong}" for wrong in row.wrong)])


def count(arena: Arena, fault: str, *, expected: Collection[str] = ()) -> Row:
    """The row of a fault, after all runs of `arena` had time to end.

    Failed runs are only those that the engine gave up by its rules, such as after the third lost attempt:
    any other reason is wrong, unless it is `expected`.
    """
    runs = Run.objects.filter(pk__in=arena.runs).select_related("job").order_by("pk")
    done = arena.executions()
    row = Row(fault=fault, times=len(arena.faults), submitted=len(arena.runs))
    row.lost = len(set(arena.runs)) - len(runs)
    for run in runs:
        _count_run(row, run, done.get(run.pk, []))
        row.recoveries += _recoveries(run, arena.faults)
    unexpected = {str(run.failure_reason) for run in runs if run.status == "failed"} - {
        "poisoned",
        *expected,
    }
    row.wrong += [f"runs failed with the reason {reason!r}" for reason in sorted(unexpected)]
    row.wrong += [f"{name} ended by itself" for name in arena.dead()]
    return row


def _count_run(row: Row, run: Run, executions: Sequence[Mapping[str, Any]]) -> None:
    row.failed += run.status == "failed"
    row.twice += len(executions) > 1
    row.unnoticed += len(executions) > len(run.history())
    if not run.is_final or (run.status == "succeeded" and not executions):
        row.lost += 1
    pid = run.result.get("pid") if isinstance(run.result, dict) else None
    if run.status == "succeeded" and pid is not None and not run.worker.endswith(f":{pid}"):
        row.zombies += 1


def _recoveries(run: Run, faults: Sequence[tuple[float, float]]) -> list[float]:
    """From the fault that cost an attempt to the start of the next one."""
    history = run.history()
    found = []
    for lost, again in itertools.pairwise(history):
        before = [began for began, _ in faults if began <= _at(lost["finished_at"])]
        if lost["outcome"] == "lost" and again["started_at"] and before:
            found.append(_at(again["started_at"]) - max(before))
    return found


def after_faults(arena: Arena) -> list[float]:
    """From the end of each fault to the first start of a run after it: for faults that cost no attempt."""
    starts = Run.objects.filter(pk__in=arena.runs, started_at__isnull=False).values_list(
        "started_at", flat=True
    )
    begins = sorted(start.timestamp() for start in starts if start)
    firsts = [next((begin for begin in begins if begin > over), None) for _, over in arena.faults]
    return [first - over for first, (_, over) in zip(firsts, arena.faults, strict=True) if first is not None]


def until_new_work(arena: Arena) -> list[float]:
    """From the end of each fault to the start of the first run that was launched after it."""
    runs = Run.objects.filter(pk__in=arena.runs, started_at__isnull=False).order_by("created_at")
    times = [
        (created.timestamp(), started.timestamp())
        for created, started in runs.values_list("created_at", "started_at")
        if started is not None
    ]
    firsts = [
        (over, next((started for created, started in times if created > over), None))
        for _, over in arena.faults
    ]
    return [first - over for over, first in firsts if first is not None]


def percentile(values: Sequence[float], share: int) -> float | None:
    """The nearest-rank percentile; None of nothing."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * share / 100) - 1, 0)] if ordered else None


def _at(when: datetime | str) -> float:
    return (datetime.fromisoformat(when) if isinstance(when, str) else when).timestamp()


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"


def _line(cells: Sequence[str]) -> str:
    return "".join(
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    )
