"""Drains a worker: it claims nothing more until that is taken back, or it is stopped; what it carries goes on."""

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from runs import dispatch
from runs.models import Worker

log = structlog.get_logger(__name__)

ACTOR_LENGTH = 200


def drain(worker: Worker, *, by: str) -> bool:
    """Has the worker claim nothing more, at once; False if it drains already or is gone."""
    with transaction.atomic():
        drained = _live(worker).filter(draining_at__isnull=True)
        done = bool(drained.update(draining_at=Now(), drained_by=by[:ACTOR_LENGTH]))
        if done:
            _wake(worker)
            log.info("worker_drained", worker=worker.name, by=by)
    return done


def take_back(worker: Worker, *, by: str) -> bool:
    """Lets a draining worker claim again; False if it doesn't drain or is gone."""
    with transaction.atomic():
        draining = _live(worker).filter(draining_at__isnull=False)
        done = bool(draining.update(draining_at=None, drained_by=""))
        if done:
            _wake(worker)
            log.info("worker_takes_work_again", worker=worker.name, by=by)
    return done


def _live(worker: Worker) -> QuerySet[Worker]:
    return Worker.objects.filter(pk=worker.pk, lease_until__gt=Now(), stopping_at__isnull=True)


def _wake(worker: Worker) -> None:
    """Of a worker that drains the hints that it was given are lost, so those of others are woken by new ones."""
    for lane in worker.lanes:
        dispatch.hint_after_commit(lane)
