"""The causes a run can have, each with the sentence that says so for ever (product.md, promise 1)."""

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import User

from runs.launch import Cause
from runs.models import Run, TriggerKind
from runs.plain import plain
from triggers import dependencies
from triggers.events import inbox
from triggers.models import ApiKey, Delivery, Trigger


def actor(*, user: User | None, api_key: ApiKey | None) -> str:
    """How a sentence names who acts: the key if there is one, else the person."""
    if api_key is not None:
        return f"API key {api_key.name} (hw_{api_key.public_id})"
    return user.get_username() if user is not None else "the command line"


def manual(
    *, user: User | None = None, api_key: ApiKey | None = None, parameters_of: Trigger | None = None
) -> Cause:
    """Somebody asked for this one run, by a button or by `…/run`, or as a trigger would start it."""
    how = f" with the parameters of {parameters_of.label}" if parameters_of else ""
    return Cause(
        kind=TriggerKind.MANUAL,
        sentence=f"Started by hand by {actor(user=user, api_key=api_key)}{how}",
        user=user,
        api_key=api_key,
    )


def remote(*, trigger: Trigger, user: User | None = None, api_key: ApiKey | None = None) -> Cause:
    """A program called the job's remote trigger."""
    return Cause(
        kind=TriggerKind.REMOTE,
        sentence=f"Started from outside by {actor(user=user, api_key=api_key)}",
        trigger=trigger,
        user=user,
        api_key=api_key,
    )


def dependency(*, trigger: Trigger, endings: Sequence[Run]) -> Cause:
    """The runs that `trigger` watches ended as it wants; the last of `endings` is the one that it waited for."""
    told = " and ".join(f"{run.job.slug} #{run.pk} {dependencies.ended(run.status)}" for run in endings)
    upstream = [{"run": run.pk, "job": run.job.slug, "status": run.status} for run in endings]
    return Cause(
        kind=TriggerKind.DEPENDENCY,
        sentence=f"After {told}",
        trigger=trigger,
        parent=endings[-1],
        context={"upstream": upstream},
    )


def event(
    *, trigger: Trigger, deliveries: Sequence[Delivery], by: str = "", parent: Run | None = None
) -> Cause:
    """A message, or several gathered ones, came to the address that `trigger` hears of; `by` replayed it."""
    last = deliveries[-1]
    name = f" {last.event}" if last.event else ""
    what = f"Event{name} at {last.trigger.label}, delivery {last.pk}"
    if len(deliveries) > 1:
        what = f"{len(deliveries)} events at {last.trigger.label}, deliveries {deliveries[0].pk} to {last.pk}"
    told = {
        "event": last.event,
        "delivery": last.pk,
        "deliveries": [each.pk for each in deliveries[:100]],
        "payload": plain(inbox.excerpt(last)),
    }
    return Cause(
        kind=TriggerKind.EVENT,
        sentence=f"{what}{f', replayed by {by}' if by else ''}",
        trigger=trigger,
        parent=parent,
        context=told,
    )


def entry(name: str) -> Cause:
    """An entry of django-celery-beat came due, which an operator made past the schedules."""
    return Cause(
        kind=TriggerKind.SCHEDULE,
        sentence=f"Started by the scheduler's entry {name}",
        context={"beat_entry": name},
    )


def retry(
    run: Run, *, changed: bool = False, user: User | None = None, api_key: ApiKey | None = None
) -> Cause:
    """Somebody asked for `run` once more: a new run of kind manual, without trigger or slot.

    `changed` says that it was given other parameters.
    """
    context: dict[str, Any] = dict(run.context)
    what = f"Re-run of #{run.pk} with other parameters" if changed else f"Retry of #{run.pk}"
    return Cause(
        kind=TriggerKind.MANUAL,
        sentence=f"{what} by {actor(user=user, api_key=api_key)}",
        user=user,
        api_key=api_key,
        retry_of=run,
        context=context,
    )
