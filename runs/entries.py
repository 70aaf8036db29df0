"""Launches jobs for entries of django-celery-beat that an operator made: the one task such an entry may name.

An entry is sent through the broker by one of the beats (`runs.sending`), and has neither slots nor a ledger; a
schedule has both (docs/schedules.md).
"""

from collections.abc import Mapping
from typing import Any, Final

from jobs import parameters as job_parameters
from jobs.models import Job
from runs import causes, launch
from runs.models import Run

TASK: Final = "runs.launch_job"
ARGUMENTS: Final = frozenset({"job", "parameters"})


class InvalidEntry(ValueError):
    """An entry's arguments can't launch a job; the message is a sentence for whoever wrote them."""


def check(arguments: object) -> Job:
    """The job that the entry's keyword arguments name; raises InvalidEntry if they would launch nothing."""
    if not isinstance(arguments, dict):
        raise InvalidEntry(f"The keyword arguments are {arguments!r}: expected an object.")
    if unknown := sorted(set(arguments) - ARGUMENTS):
        raise InvalidEntry(f"{unknown[0]!r} is no argument of {TASK}: expected job and parameters.")
    slug, given = arguments.get("job"), arguments.get("parameters", {})
    job = Job.objects.filter(slug=slug).first() if isinstance(slug, str) else None
    if job is None:
        raise InvalidEntry(f'There is no job {slug!r}: expected a job\'s slug, as in {{"job": "report"}}.')
    if not isinstance(given, dict):
        raise InvalidEntry(f"The parameters are {given!r}: expected an object.")
    faults = job_parameters.faults(job.schema, job_parameters.merge(job.defaults, given))
    if faults:
        raise InvalidEntry(f"The parameters do not fit the job {slug!r}: {faults[0].detail}")
    return job


def run(arguments: Mapping[str, Any], *, entry: str) -> Run:
    """Launches the job for the entry of that name; where the job can't start, a skipped run says why.

    Raises InvalidEntry.
    """
    job = check(arguments)
    request = launch.Request(parameters=arguments.get("parameters", {}))
    return launch.launch_or_skip(job, cause=causes.entry(entry), request=request).run
