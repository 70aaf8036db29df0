"""The Celery tasks: one a purpose, and none with state worth saving."""

from celery import shared_task

from runs import execution
from runs.dispatch import TASK


@shared_task(name=TASK, ignore_result=True)
def work(lane: str) -> None:
    """A hint that `lane` has work: this slot carries out what may start, best first, until there is none."""
    execution.drain(lane)
