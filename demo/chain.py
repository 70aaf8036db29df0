"""The demo's chain of jobs: ingest a real file, clean it, report on it; an alert and an audit beside it (story S2)."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Final

from demo.models import Batch
from jobs.executors import JobContext
from jobs.registry import job

FOLDER: Final = Path(__file__).parent / "penguins"
NUMBERS: Final = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")
BatchId = Annotated[int, {"title": "Batch", "minimum": 1}]
RunId = Annotated[int, {"title": "Run", "minimum": 1}]


class NothingToRead(Exception):
    """There is no such file or batch."""


class UnfitRow(ValueError):
    """A row of the file lacks something."""


@job("ingest", tags=("demo", "chain"))
def ingest(
    context: JobContext,
    source: Annotated[str, {"title": "Source", "pattern": "^[a-z0-9-]+[.]csv$"}] = "penguins.csv",
) -> dict[str, int]:
    """Reads a CSV file as it is into a new batch. Name a file that is not there to see what follows a failure."""
    path = FOLDER / source
    if not path.is_file():
        there = ", ".join(sorted(each.name for each in FOLDER.glob("*.csv")))
        raise NothingToRead(f"There is no file {source!r}; expected one of {there}.")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    batch = Batch.objects.create(stage=Batch.Stage.RAW, rows=rows)
    context.log(f"{source}: {len(rows)} rows, batch {batch.pk}")
    return {"batch": batch.pk, "rows": len(rows)}


@job("clean", tags=("demo", "chain"))
def clean(context: JobContext, batch: BatchId) -> dict[str, int]:
    """Makes a clean batch of a raw one: numbers are numbers, and rows that lack something are dropped."""
    kept: list[dict[str, Any]] = []
    raw = _batch(batch, Batch.Stage.RAW).rows
    for number, row in enumerate(raw, start=2):  # the file's first line is its head
        try:
            kept.append(measured(row))
        except UnfitRow as problem:
            context.log(f"line {number} dropped: {problem}", level="warning")
    made = Batch.objects.create(stage=Batch.Stage.CLEAN, rows=kept)
    return {"batch": made.pk, "rows": len(kept), "dropped": len(raw) - len(kept)}


@job("report", tags=("demo", "chain"))
def report(
    context: JobContext, batch: Annotated[int | None, {"title": "Batch", "minimum": 1}] = None
) -> dict[str, Any]:
    """Sums a clean batch up, by species; without a number, the latest one."""
    found = _batch(batch, Batch.Stage.CLEAN)
    summary = by_species(found.rows)
    for species, line in summary.items():
        context.log(f"{species}: {line['penguins']} penguins of {line['mean_mass_g']} g")
    return {"batch": found.pk, "penguins": len(found.rows), "species": summary}


@job("alert", tags=("demo", "chain"))
def alert(context: JobContext, job: str, run: RunId, message: str = "") -> dict[str, str]:
    """Says what went wrong, where somebody looks."""
    text = f"{job} #{run} failed: {message}"
    context.log(text, level="error")
    return {"alerted": text}


@job("audit", tags=("demo", "chain"))
def audit(context: JobContext, job: str, run: RunId, status: str) -> dict[str, str]:
    """Notes that a run has ended, however it did."""
    context.log(f"{job} #{run} ended: {status}")
    return {"audited": f"{job} #{run} {status}"}


def measured(row: Mapping[str, str]) -> dict[str, Any]:
    """The row with numbers in place of texts; raises UnfitRow naming the first thing that is missing."""
    found: dict[str, Any] = dict(row)
    for name in NUMBERS:
        try:
            found[name] = float(row[name])
        except (KeyError, ValueError):
            raise UnfitRow(f"{name} is {row.get(name)!r}, expected a number") from None
    if row.get("sex") not in {"female", "male"}:
        raise UnfitRow(f"sex is {row.get('sex')!r}, expected female or male")
    return found


def by_species(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """How many penguins there are of each species, and their mean mass and flipper length."""
    counts = Counter(row["species"] for row in rows)
    return {
        species: {
            "penguins": count,
            "mean_mass_g": round(fmean(row["body_mass_g"] for row in rows if row["species"] == species)),
            "mean_flipper_mm": round(
                fmean(row["flipper_length_mm"] for row in rows if row["species"] == species), 1
            ),
        }
        for species, count in sorted(counts.items())
    }


def _batch(number: int | None, stage: str) -> Batch:
    batches = Batch.objects.filter(stage=stage)
    found = batches.first() if number is None else batches.filter(pk=number).first()
    if found is None:
        wanted = f"batch {number}" if number else "batch"
        raise NothingToRead(f"There is no {stage} {wanted}.")
    return found
