"""Dedup: what becomes of a launch that meets an open run of its job and dedup key, by the job's mode.

The database allows one open run in all; where the mode is to keep the last, one that waits for its start and one
that was started. A run was started if it ever was claimed: its later tries are no new starts.
"""

from collections.abc import Sequence

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from jobs.models import DedupMode
from runs import insertion, lifecycle
from runs.models import Deadline, Run, RunLabel
from runs.status import Status
from triggers.models import ApiKey

REPLACED_BY = "a later launch"


def insert(run: Run, *, labels: Sequence[RunLabel], deadlines: Sequence[Deadline]) -> Run | None:
    """Inserts `run` and what belongs to it; returns the open run that is the answer in its place, if there is one.

    The run that was met may end, start or be replaced by another between our failed insert and our look for it,
    so both are tried again until one of them holds.
    """
    mode = DedupMode(run.job.dedup_mode)
    run.keeps_last = run.dedup_key is not None and mode == DedupMode.KEEP_LAST
    if run.keeps_last and run.status == Status.QUEUED:
        # Whether the one before it was started is only known once this one keeps others from starting.
        run.status, run.queued_at = Status.SCHEDULED, None
    insert = _inserted_keeping_last if run.keeps_last else insertion.insert
    while not insert(run, labels=labels, deadlines=deadlines):
        met = _met(run)
        if met is None:
            continue
        if mode == DedupMode.RETURN_EXISTING:
            return met
        if not lifecycle.replace(met.pk, by=REPLACED_BY) and mode == DedupMode.REPLACE_QUEUED:
            return met
    return None


def _inserted_keeping_last(run: Run, *, labels: Sequence[RunLabel], deadlines: Sequence[Deadline]) -> bool:
    """As `insertion.insert`, and queues the run in the same moment if no run of its key was started."""
    is_due = run.status == Status.SCHEDULED and run.run_at is None
    run.group = insertion.group_of(run.job)
    try:
        with transaction.atomic():
            if is_due:
                run.due_at = Now()  # by the database's clock, as `enqueue` compares it
            run.save(force_insert=True)
            if is_due:
                lifecycle.enqueue(only=run.pk)
                run.refresh_from_db(fields=["status", "queued_at", "due_at"])
            RunLabel.objects.bulk_create(labels)
            Deadline.objects.bulk_create(deadlines)
            if run.api_key_id is not None:
                ApiKey.objects.filter(pk=run.api_key_id).update(launches=F("launches") + 1)
    except IntegrityError as error:
        if "run_dedup_" not in str(error):
            raise
        return False
    return True


def _met(run: Run) -> Run | None:
    """The open run that kept `run` from being inserted, if it still does."""
    same = Run.objects.open().filter(job=run.job, dedup_key=run.dedup_key, keeps_last=run.keeps_last)
    return same.filter(claim_token__isnull=True).first() if run.keeps_last else same.first()
