"""Every way in which a run comes to its end, for tests of what happens then."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from jobs.executors import Cancelled, Failed, Succeeded
from jobs.models import Job
from runs import lifecycle
from runs.models import Run, Worker
from tests.factories import claim_one, make_run, make_slot

ERROR = Failed(reason="error", type="ValueError", message="no", traceback="")


def settle_succeeded(run: Run) -> None:
    lifecycle.settle([(claim_one(make_slot()), Succeeded(result={"rows": 3}))])


def settle_failed(run: Run) -> None:
    lifecycle.settle([(claim_one(make_slot()), ERROR)])


def settle_cancelled(run: Run) -> None:
    claimed = claim_one(make_slot())
    lifecycle.cancel(Run.objects.filter(pk=run.pk), by="ada")
    lifecycle.settle([(claimed, Cancelled())])


def cancel_queued(run: Run) -> None:
    lifecycle.cancel(Run.objects.filter(pk=run.pk), by="ada")


def rescue_failed(run: Run) -> None:
    Job.objects.filter(pk=run.job_id).update(on_lost="fail")
    claim_one(make_slot())
    lose_workers()
    lifecycle.rescue()


def rescue_cancelled(run: Run) -> None:
    claim_one(make_slot())
    lifecycle.cancel(Run.objects.filter(pk=run.pk), by="ada")
    lose_workers()
    lifecycle.rescue()


def skip_inactive(run: Run) -> None:
    Job.objects.filter(pk=run.job_id).update(status="inactive")
    lifecycle.skip()


def complete_succeeded(run: Run) -> None:
    lifecycle.complete(run.pk, status="succeeded", result={"rows": 3}, error=None, by="ada")


def complete_failed(run: Run) -> None:
    lifecycle.complete(run.pk, status="failed", result=None, error={"message": "no"}, by="ada")


def lose_workers() -> None:
    Worker.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


WAYS: dict[str, tuple[str, Callable[[Run], None]]] = {
    way.__name__: (status, way)
    for status, ways in {
        "succeeded": (settle_succeeded, complete_succeeded),
        "failed": (settle_failed, rescue_failed, complete_failed),
        "cancelled": (settle_cancelled, cancel_queued, rescue_cancelled),
        "skipped": (skip_inactive,),
    }.items()
    for way in ways
}


def ended_run(job: Job, way: Callable[[Run], None] = settle_succeeded, **request: Any) -> Run:
    """A run of `job` that came to its end in this way, and was not followed yet."""
    run = make_run(job, **request)
    way(run)
    return Run.objects.select_related("job").get(pk=run.pk)
