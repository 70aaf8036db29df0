"""Dedup: what becomes of a launch that meets an open run of its job and dedup key, by the job's mode.

The database allows one open run in all; where the mode is to keep the last, one that waits for its start and one
that was started. A run was started if it ever was claimed: its later tries are no new starts.
"""

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from jobs.models import DedupMode
from runs import lifecycle
from runs.models import Run
from runs.status import Status

REPLACED_BY = "a later launch"


def insert(run: Run) -> Run | None:
    """Inserts `run`; returns the open run that is the answer in its place, if there is one.

    The run that was met may end, start or be replaced by another between our failed insert and our look for it,
    so both are tried again until one of them holds.
    """
    mode = DedupMode(run.job.dedup_mode)
    run.keeps_last = run.dedup_key is not None and mode == DedupMode.KEEP_LAST
    if run.keeps_last and run.status == Status.QUEUED:
        # Whether the one before it was started is only known once this one keeps others from starting.
        run.status, run.queued_at = Status.SCHEDULED, None
    while not _inserted(run):
        met = _met(run)
        if met is None:
            continue
        if mode == DedupMode.RETURN_EXISTING:
            return met
        if not lifecycle.replace(met.pk, by=REPLACED_BY) and mode == DedupMode.REPLACE_QUEUED:
            return met
    return None


def _inserted(run: Run) -> bool:
    is_due = run.status == Status.SCHEDULED and run.run_at is None
    try:
        with transaction.atomic():
            if is_due:
                run.due_at = Now()  # by the database's clock, as `enqueue` compares it
            run.save(force_insert=True)
            if is_due:
                lifecycle.enqueue(only=run.pk)
                run.refresh_from_db(fields=["status", "queued_at", "due_at"])
    except IntegrityError as error:
        if run.dedup_key is None or "run_dedup_" not in str(error):
            raise
        return False
    return True


def _met(run: Run) -> Run | None:
    """The open run that kept `run` from being inserted, if it still does."""
    same = Run.objects.open().filter(job=run.job, dedup_key=run.dedup_key, keeps_last=run.keeps_last)
    return same.filter(claim_token__isnull=True).first() if run.keeps_last else same.first()
