"""Launches what follows an ended run, derived from the database and exactly once for each trigger and ended run.

The statement that ends a run leaves an `Ending` if anything watches its job (`runs.moves`). One transaction takes
it, looks at each trigger in a savepoint of its own, enters what came of it in the ledger (`Following`) and
deletes the Ending. Whoever dies before that leaves the Ending to the sweep. A dependent that fails, or can't be
launched, never touches the run it follows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from jobs import parameters
from jobs.models import Job
from jobs.parameters import InvalidParameters
from runs import causes, firing, launch, lifecycle
from runs.models import Ending, Following, Run
from runs.moves import Moved
from runs.status import Status
from triggers import dependencies, mapping
from triggers.ledger import Entry
from triggers.models import Needs, Trigger

log = structlog.get_logger(__name__)

BATCH = 100
Outcome = Following.Outcome


class SecretPassedOn(ValueError):
    """A mapping would show a secret of the upstream run as an ordinary parameter of the dependent."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What came of the end of a run: an entry for each dependency, and the slots that had waited for it.

    Of slots that still wait the entry says for what.
    """

    dependencies: Sequence[Following] = ()
    slots: Sequence[Entry] = ()


def follow(run_id: int) -> Followed:
    """Follows one ended run; returns what came of it, which is nothing if there was nothing left to do."""
    with transaction.atomic():
        mine = Ending.objects.select_for_update(skip_locked=True).filter(pk=run_id)
        if not list(mine):
            return Followed()  # nothing watches its job, or another was first
        run = Run.objects.select_related("job").filter(pk=run_id).first()
        followed = Followed()
        if run:
            entries = [_follow(trigger, run) for trigger in dependencies.of(run.job)]
            followed = Followed(entries, firing.release_after(run.job))
        mine.delete()
    return followed


def follow_moved(moved: Iterable[Moved]) -> None:
    """Follows what has just ended; what the database refuses now is left to the sweep, and no error is raised."""
    for run in moved:
        if not run.followed:
            continue
        try:
            follow(run.id)
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            log.warning("not_followed_yet", run_id=run.id, error=str(error).strip())


def follow_left_over() -> int:
    """Follows what nobody has, the oldest first, up to a batch; returns how many. The sweep's part."""
    ids = list(Ending.objects.order_by("at").values_list("pk", flat=True)[:BATCH])
    for run_id in ids:
        try:
            follow(run_id)
        except OperationalError:
            Ending.objects.filter(pk=run_id).update(at=Now())  # not before the others again
            raise
    return len(ids)


def expire() -> int:
    """Gives up ends that waited for their trigger's other upstreams longer than its window; returns how many."""
    window = F("trigger__window_minutes") * timedelta(minutes=1)
    old = Following.objects.filter(outcome=Outcome.PENDING, ended_at__lt=Now() - window)
    reason = "The other upstreams did not end as wanted within the window."
    ids = old.values_list("pk", flat=True)[:BATCH]
    return Following.objects.filter(pk__in=list(ids)).update(outcome=Outcome.SKIPPED, reason=reason)


def complete(
    run: Run, *, status: str, result: Any, error: Mapping[str, Any] | None, by: str
) -> Followed | None:
    """Ends a run as the program that carries it out reports, and follows it in the same transaction.

    Returns what came of it, or None if the run was neither queued, running nor waiting.
    """
    with transaction.atomic():
        if not lifecycle.complete(run.pk, status=status, result=result, error=error, by=by):
            return None
        return follow(run.pk)


def _follow(trigger: Trigger, run: Run) -> Following:
    """What comes of one trigger; the entry is stored with it, or without it if it can't be evaluated."""
    assert run.finished_at is not None  # by a constraint of the table
    entry = Following(
        trigger=trigger, upstream_id=run.pk, job=run.job, status=run.status, ended_at=run.finished_at
    )
    entry.outcome, entry.reason = Outcome.SKIPPED, dependencies.objection(trigger, status=run.status) or ""
    if not entry.reason:
        try:
            with transaction.atomic():
                _fire(trigger, run, entry)
        except OperationalError:
            raise  # the database, not the trigger: the whole run is followed again
        except (launch.LaunchRefused, InvalidParameters, mapping.NotThere, SecretPassedOn) as error:
            entry.reason = str(error)[:500]
        except Exception as error:  # one trigger that can't be evaluated must not hold up the others
            log.exception("trigger_not_evaluated", trigger_id=trigger.pk, run_id=run.pk)
            entry.reason = f"{type(error).__name__}: {error}"[:500]
    entry.save(force_insert=True)
    return entry


def _fire(trigger: Trigger, run: Run, entry: Following) -> None:
    """Launches the dependent, unless `run` is not enough for it yet; `entry` is told which."""
    endings = [run]
    if trigger.needs == Needs.ALL:
        used, missing = _gather(trigger, run)
        if missing:
            entry.outcome, entry.reason = Outcome.PENDING, f"It waits for {', '.join(missing)}."[:500]
            return
        found = Run.objects.select_related("job").in_bulk([other.upstream_id for other in used])
        endings = [*sorted(found.values(), key=lambda other: (other.finished_at, other.pk)), run]
    launched = _launch(trigger, endings)
    entry.run_id = launched.run.pk
    if not launched.created:
        entry.reason = f"Run #{launched.run.pk} with the dedup key {launched.run.dedup_key!r} was still open."
    elif launched.run.status == Status.SKIPPED:
        entry.reason = launched.run.skip_reason
    else:
        entry.outcome = Outcome.FIRED
    if trigger.needs == Needs.ALL:
        _use(used, entry)


def _launch(trigger: Trigger, endings: list[Run]) -> launch.Launched:
    last = endings[-1]
    run_at = None
    if trigger.delay_minutes and last.finished_at is not None:
        run_at = last.finished_at + timedelta(minutes=trigger.delay_minutes)
    return launch.launch_or_skip(
        trigger.job,
        cause=causes.dependency(trigger=trigger, endings=endings),
        request=launch.Request(parameters=passed_on(trigger, endings), run_at=run_at),
    )


def _gather(trigger: Trigger, run: Run) -> tuple[list[Following], list[str]]:
    """The pending ends that make a set with `run`, and the slugs of upstreams that are still missing.

    Of each upstream the latest end counts, and each end is used once. The lock on the trigger makes one
    ending after the other be looked at: the last one of the set sees all the others.
    """
    Trigger.objects.select_for_update(no_key=True).get(pk=trigger.pk)
    pending = Following.objects.filter(trigger=trigger, outcome=Outcome.PENDING)
    reason = f"A later end of {run.job.slug}, #{run.pk}, took its place."
    pending.filter(job=run.job).update(outcome=Outcome.SKIPPED, reason=reason)
    window = timedelta(minutes=trigger.window_minutes)
    others = pending.filter(ended_at__gte=run.finished_at - window) if run.finished_at else pending.none()
    latest = {entry.job_id: entry for entry in others.order_by("ended_at", "id")}
    wanted = dict(Job.objects.filter(dependents=trigger).exclude(pk=run.job_id).values_list("pk", "slug"))
    used = [entry for job_id, entry in latest.items() if job_id in wanted]
    return used, [slug for job_id, slug in wanted.items() if job_id not in latest]


def _use(used: Iterable[Following], entry: Following) -> None:
    """The ends that were waiting share the fate of the one that completed them."""
    Following.objects.filter(pk__in=[other.pk for other in used]).update(
        outcome=entry.outcome, reason=entry.reason, run_id=entry.run_id
    )


def passed_on(trigger: Trigger, endings: list[Run]) -> dict[str, Any]:
    """The parameters that the trigger's mapping takes from the upstream runs.

    Raises `triggers.mapping.NotThere`, and SecretPassedOn.
    """
    document = _document(endings, masked=False)
    found = mapping.apply(trigger.mapping, document)
    shown = mapping.apply(trigger.mapping, _document(endings, masked=True))
    for name, value in found.items():
        if value != shown[name] and not parameters.is_secret(trigger.job.schema, (name,)):
            raise SecretPassedOn(
                f"Parameter {name!r}: {trigger.mapping[name]!r} holds a secret of the upstream run, "
                f"but {trigger.job.slug!r} would show it."
            )
    return found


def _document(endings: list[Run], *, masked: bool) -> dict[str, Any]:
    """What a mapping may point into: the last upstream run, and under `upstreams` each one by its job's slug."""
    told = {run.job.slug: _told(run, masked=masked) for run in endings}
    return {**told[endings[-1].job.slug], "upstreams": told}


def _told(run: Run, *, masked: bool) -> dict[str, Any]:
    given = parameters.mask(run.job.schema, run.parameters) if masked else run.parameters
    return {
        "run": run.pk,
        "job": run.job.slug,
        "status": run.status,
        "failure_reason": run.failure_reason,
        "result": run.result,
        "error": run.error,
        "parameters": given,
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
    }
