"""Says of a run that is not there whether retention deleted it, as far as that can be known."""

from django.db import connection

from jobs.models import Job
from runs import retention
from runs.models import Recipient, Tally
from runs.models.names import run_id


class RunDeleted(Exception):
    """Retention deleted the run; the message says so, and after how long."""


def check(ref: str) -> None:
    """Raises RunDeleted if `ref`, the id or name of a run that is not there, was one that was deleted.

    A name tells the job, whose deleted runs are counted. A number alone tells no more than that it was given out;
    where nothing was ever deleted it never became a run.
    """
    number = run_id(ref)
    if number is None or not _is_given(number) or Recipient.objects.filter(run_id=number).exists():
        return
    pruned = Tally.objects.filter(pruned__gt=0).order_by("-pruned_at").select_related("job")
    job = None if ref.isdigit() else Job.objects.filter(slug=_slug(ref)).first()
    newest = (pruned if ref.isdigit() else pruned.filter(job=job)).first()
    if newest is None:
        return
    kept = f": runs of {job.name} are kept {retention.words(job)}" if job else ""
    raise RunDeleted(
        f"Run #{number} was deleted by retention{kept}. The last were deleted on {newest.pruned_at:%Y-%m-%d}."
    )


def _slug(name: str) -> str:
    """The job in a run's name (`runs.models.names`)."""
    return "_".join(name.split("_")[1:-2])


def _is_given(number: int) -> bool:
    """Whether the number was given to a run, or kept for one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT is_called AND %s <= last_value FROM runs_run_id_seq", [number])
        return number > 0 and bool(cursor.fetchone()[0])
