"""The Celery tasks: one a purpose, and none with state worth saving."""

from typing import Any

import structlog
from celery import Task, shared_task

from runs import entries, execution, tending, workers
from runs.dispatch import TASK, TEND

log = structlog.get_logger(__name__)


@shared_task(name=TASK, ignore_result=True)
def work(lane: str) -> None:
    """A hint that `lane` has work: this slot carries out what may start, best first, until there is none.

    A slot that serves nothing but the lane high then stays, and waits for the next hint itself.
    """
    execution.serve(lane)
    if workers.lanes == (lane,) == ("high",):
        execution.stay(lane)


@shared_task(name=TEND, ignore_result=True)
def tend(campaign: int) -> None:
    """A hint that a campaign is to be expanded, cancelled or retried: this slot does some portions of that."""
    tending.carry_on(campaign)


@shared_task(name=entries.TASK, bind=True, ignore_result=True)
def launch_job(self: Task, **arguments: Any) -> None:
    """Launches a job for an entry of the scheduler; the run says which one, by the name that beat sends along."""
    entry = (self.request.headers or {}).get("periodic_task_name") or "without a name"
    try:
        entries.run(arguments, entry=entry)
    except entries.InvalidEntry as error:
        log.error("entry_launched_nothing", entry=entry, error=str(error))
