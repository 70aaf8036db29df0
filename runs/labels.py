"""Labels: the words that a run can be searched by: its tags, its metadata, and its plain parameters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jobs import parameters as job_parameters
from jobs.models import Job
from runs.models import Run, RunLabel

LABEL_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class Word:
    """One label: of a tag without a key, else with that of the metadata or the parameter."""

    kind: str
    key: str
    value: str


def of(run: Run) -> list[RunLabel]:
    """What the run can be searched by."""
    found = words(run.job, parameters=run.parameters, tags=run.tags, metadata=run.metadata)
    return [RunLabel(run=run, kind=word.kind, key=word.key, value=word.value) for word in found]


def words(
    job: Job, *, parameters: Mapping[str, Any], tags: Iterable[str], metadata: Mapping[str, Any]
) -> list[Word]:
    """What a run of `job` with these can be searched by; secrets are no search words."""
    found = [Word("tag", "", tag[:LABEL_LENGTH]) for tag in tags]
    shown = job_parameters.mask(job.schema, parameters) if parameters else parameters
    for kind, pairs in (("metadata", metadata), ("parameter", shown)):
        found += [
            Word(kind, key[:100], label_text(value))
            for key, value in pairs.items()
            if isinstance(value, str | int | float)
        ]
    return found


def label_text(value: str | int | float) -> str:
    """How a value is written as a label, and how a filter must write it to find it."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text[:LABEL_LENGTH]
