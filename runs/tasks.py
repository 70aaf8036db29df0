"""The Celery tasks: one a purpose, and none with state worth saving."""

from celery import shared_task

from runs import execution, tending, workers
from runs.dispatch import TASK, TEND


@shared_task(name=TASK, ignore_result=True)
def work(lane: str) -> None:
    """A hint that `lane` has work: this slot carries out what may start, best first, until there is none.

    A slot that serves nothing but the lane high then stays, and waits for the next hint itself.
    """
    execution.drain(lane)
    if workers.lanes == (lane,) == ("high",):
        execution.stay(lane)


@shared_task(name=TEND, ignore_result=True)
def tend(campaign: int) -> None:
    """A hint that a campaign is to be expanded, cancelled or retried: this slot does some portions of that."""
    tending.carry_on(campaign)
