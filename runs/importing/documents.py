"""Reads a file of old jobs and runs, JSON or YAML, and tells which of its rows is which."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from jobs.faults import Fault, pointer

JOBS_KEYS: Final = ("scheduled_jobs", "scheduled_job")
RUNS_KEYS: Final = ("runs", "job_runs", "scraping_jobs")
MIXED_KEY: Final = "jobs"  # definitions in one system's export, runs in another's
# What only runs have.
_RUN_FIELDS: Final = frozenset(
    {
        "job_id",
        "jobId",
        "trigger",
        "started_at",
        "startedAt",
        "completed_at",
        "completedAt",
        "original_job_id",
    }
)


class Unreadable(ValueError):
    """A file that is no JSON or YAML, or has no rows where they are expected."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of the file: where it stands, whether it tells of a run, and what it says."""

    place: str
    is_run: bool
    fields: Mapping[str, Any]


def read(path: Path) -> Any:
    """The file's content; raises Unreadable, naming the line, and OSError if there is no such file."""
    text = path.read_text(encoding="utf-8-sig")
    try:
        return json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise Unreadable(f"{path} can't be read: {error}") from None


def rows(document: Any, faults: list[Fault]) -> Iterator[Row]:
    """The document's rows; what is none is added to `faults`."""
    if isinstance(document, list):
        document = {"": document}
    if not isinstance(document, Mapping):
        expected = ", ".join((MIXED_KEY, *JOBS_KEYS, *RUNS_KEYS))
        raise Unreadable(
            f"The file is {document!r:.80}; expected a list of rows, or an object with {expected}."
        )
    for key, entries in document.items():
        yield from _entries(str(key), entries, faults)


def _entries(key: str, entries: Any, faults: list[Fault]) -> Iterator[Row]:
    if key not in {"", MIXED_KEY, *JOBS_KEYS, *RUNS_KEYS, "total", "total_runs"}:
        expected = ", ".join((MIXED_KEY, *JOBS_KEYS, *RUNS_KEYS))
        detail = f"{key!r} is unknown; expected one of {expected}."
        faults.append(Fault(pointer=pointer(key), code="unknown", detail=detail))
        return
    if key in {"total", "total_runs"}:  # beside the rows in an answer that was saved
        return
    single = isinstance(entries, Mapping)
    for index, entry in enumerate(
        [entries] if single else entries if isinstance(entries, list) else [entries]
    ):
        place = pointer(*filter(None, [key]), *([] if single else [index]))
        if isinstance(entry, Mapping):
            yield Row(place, _is_run(key, entry), entry)
        else:
            detail = f"The row is {entry!r:.80}; expected an object."
            faults.append(Fault(pointer=place, code="type", detail=detail))


def _is_run(key: str, entry: Mapping[str, Any]) -> bool:
    if key in JOBS_KEYS or key in RUNS_KEYS:
        return key in RUNS_KEYS
    return bool(_RUN_FIELDS & entry.keys())
