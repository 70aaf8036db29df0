"""Changes the priority of runs that have not started: at once, because a claim looks at nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import QuerySet

from jobs import priority as priorities
from runs import dispatch
from runs.models import Run, RunEvent
from runs.status import Status

ACTOR_LENGTH = 200
# A running run has its slot already; what comes behind it keeps the run's priority.
CHANGEABLE = (Status.SCHEDULED, Status.QUEUED, Status.WAITING)

_CHANGE = """
    UPDATE runs_run r SET priority = %s
    FROM (
        SELECT id, priority, lane FROM runs_run
        WHERE id = ANY(%s) AND status IN ('scheduled', 'queued', 'waiting') AND campaign_id IS NULL
          AND priority <> %s
        ORDER BY id FOR NO KEY UPDATE
    ) before
    WHERE r.id = before.id
    RETURNING r.id, r.status, before.priority, before.lane, r.lane"""


@dataclass(frozen=True, slots=True)
class Changed:
    """A run whose priority was changed, with what it was."""

    run_id: int
    status: str
    priority_before: int
    lane_before: str
    lane: str


def change(runs: QuerySet[Run], *, priority: int, by: str) -> Sequence[Changed]:
    """Gives those of `runs` that have not started the priority 1 (first) to 100 (last), and so its lane.

    Everything else of them stays. Runs of a campaign are left alone: they never leave the lane bulk
    (product.md, Which number wins). Returns the runs that were changed; the change is among their events.
    Raises InvalidPriority.
    """
    number = priorities.parse(priority)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_CHANGE, [number, list(runs.values_list("pk", flat=True)), number])
            changed = [Changed(*row) for row in cursor.fetchall()]
        RunEvent.objects.bulk_create(
            RunEvent(
                run_id=run.run_id,
                kind="reprioritised",
                actor=by[:ACTOR_LENGTH],
                detail={"from": run.priority_before, "to": number, "lane": run.lane},
            )
            for run in changed
        )
        if any(run.status == Status.QUEUED for run in changed):
            dispatch.hint_after_commit(priorities.lane(number))
    return changed


def refusal(run: Run) -> str | None:
    """Why the priority of `run` can't be changed, in a sentence; None if it can."""
    if run.campaign_id is not None:
        return f"Run #{run.pk} belongs to a campaign: its runs always stay in the lane bulk."
    if run.status not in CHANGEABLE:
        return f"Run #{run.pk} is {run.status}: only a run that has not started has a priority to change."
    return None
