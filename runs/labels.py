"""Labels: the words that a run can be searched by: its tags, its metadata, and its plain parameters."""

from typing import Final

from jobs import parameters as job_parameters
from runs.models import Run, RunLabel

LABEL_LENGTH: Final = 200


def of(run: Run) -> list[RunLabel]:
    """What the run can be searched by; secrets are no search words."""
    shown = job_parameters.mask(run.job.schema, run.parameters)
    labels = [RunLabel(run=run, kind="tag", key="", value=tag[:LABEL_LENGTH]) for tag in run.tags]
    for kind, pairs in (("metadata", run.metadata), ("parameter", shown)):
        labels += [
            RunLabel(run=run, kind=kind, key=key[:100], value=label_text(value))
            for key, value in pairs.items()
            if isinstance(value, str | int | float)
        ]
    return labels


def label_text(value: str | int | float) -> str:
    """How a value is written as a label, and how a filter must write it to find it."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text[:LABEL_LENGTH]
