"""Decides what each trigger makes of a delivery: a run, nothing and why, or a place in a batch.

Each has a savepoint of its own: one that can't be evaluated never holds up another, and its entry says why.
"""

import contextlib
import hashlib
from typing import Any

import structlog
from django.db import OperationalError, transaction

from jobs.expectations import MASK
from jobs.parameters import InvalidParameters
from runs import batches, causes, launch
from runs.models import Run
from runs.plain import plain, plain_text
from runs.status import Status
from triggers import limits, mapping
from triggers.events import matching, payload, schemes
from triggers.events.base import Received, Told
from triggers.models import Batch, Delivery, Reaction, Trigger

log = structlog.get_logger(__name__)

Outcome = Reaction.Outcome


def react(trigger: Trigger, delivery: Delivery, told: Told, document: Any, *, by: str = "") -> Reaction:
    """What comes of one trigger; the entry is stored with its run, or without one and with the reason."""
    reaction = Reaction(trigger=trigger, delivery=delivery, by=by[:200], outcome=Outcome.SKIPPED)
    try:
        with transaction.atomic():
            read = payload.document(document, _details(delivery, told))
            why = matching.objection(trigger, told=told, document=read)
            if why:
                reaction.reason = plain_text(why)[:500]
                return _stored(reaction)
            if trigger.pk != delivery.trigger_id or by:
                limits.take_of_trigger(trigger)
            if trigger.debounce_seconds:
                _gather(trigger, reaction, read)
            else:
                _fire(reaction, [delivery], read, by=by)
    except OperationalError:
        raise  # the database, not the trigger: the sender tries again
    except Exception as error:
        _say_why(reaction, error)
    _stored(reaction)
    if reaction.batch is not None and batches.is_full(reaction.batch):
        _fire_batch(reaction.batch)
        reaction.refresh_from_db()
    return reaction


def _stored(reaction: Reaction) -> Reaction:
    reaction.save(force_insert=True)
    return reaction


def _say_why(reaction: Reaction, error: Exception) -> None:
    reaction.outcome, reaction.run_id, reaction.batch = Outcome.SKIPPED, None, None
    reaction.reason = plain_text(str(error))[:500]
    if not isinstance(
        error, launch.LaunchRefused | InvalidParameters | mapping.NotThere | limits.LimitReached
    ):
        log.error("trigger_not_evaluated", trigger_id=reaction.trigger_id, exc_info=error)
        reaction.reason = plain_text(f"{type(error).__name__}: {error}")[:500]


def _fire(reaction: Reaction, deliveries: list[Delivery], document: Any, *, by: str = "") -> None:
    """Launches the run of one delivery, or of several that were gathered; `reaction` is told which."""
    trigger = reaction.trigger
    cause = causes.event(trigger=trigger, deliveries=deliveries, by=by, parent=_parent(trigger, document))
    request = launch.Request(parameters=plain(matching.passed_on(trigger, document)))
    launched = launch.launch_or_skip(trigger.job, cause=cause, request=request)
    reaction.run_id = launched.run.pk
    if not launched.created:
        reaction.reason = (
            f"Run #{launched.run.pk} with the dedup key {launched.run.dedup_key!r} was still open."
        )
    elif launched.run.status == Status.SKIPPED:
        reaction.reason = launched.run.skip_reason
    else:
        reaction.outcome = Outcome.FIRED


def _gather(trigger: Trigger, reaction: Reaction, document: Any) -> None:
    key = ""
    if trigger.debounce_pointer:
        key = short(str(mapping.resolve(document, trigger.debounce_pointer)))
    reaction.batch = batches.add(trigger, key=plain_text(key), size=reaction.delivery.size)
    reaction.outcome = Outcome.PENDING
    reaction.reason = f"It waits for others, at most until {reaction.batch.due_at:%Y-%m-%d %H:%M:%S} UTC."


def _fire_batch(batch: Batch) -> bool:
    """Launches one run for all deliveries of the batch; False if another was first."""
    with transaction.atomic():
        if not batches.hold(batch):
            return False
        waiting = list(batch.reactions.select_related("delivery__trigger", "trigger__job").order_by("pk"))
        if waiting:
            last = Reaction(
                trigger=waiting[-1].trigger, delivery=waiting[-1].delivery, outcome=Outcome.SKIPPED
            )
            try:
                with transaction.atomic():
                    deliveries = [each.delivery for each in waiting]
                    _fire(last, deliveries, _gathered(deliveries))
            except OperationalError:
                raise
            except Exception as error:
                _say_why(last, error)
            told = {"outcome": last.outcome, "reason": last.reason, "run_id": last.run_id}
            Reaction.objects.filter(pk__in=[each.pk for each in waiting]).update(**told, batch=None)
        batch.delete()
    return True


def _gathered(deliveries: list[Delivery]) -> dict[str, Any]:
    """The document of several deliveries: that of the last one, and under `$` all payloads in their order."""
    read = [(each, *read_again(each)) for each in deliveries]
    last, told, document = read[-1]
    details = {**_details(last, told), "deliveries": [body for _, _, body in read], "count": len(read)}
    return payload.document(document, details)


def _details(delivery: Delivery, told: Told) -> dict[str, Any]:
    return {
        **told.details,
        "event": told.event,
        "delivery": delivery.pk,
        "key": delivery.key,
        "headers": {name: text for name, text in delivery.headers.items() if text != MASK},
    }


def _parent(trigger: Trigger, document: Any) -> Run | None:
    """The run of this site that caused the event, if the delivery tells one: so a loop is known as one.

    The header `Headway-Run` names it, as for calls of the API, or the place of the payload that the trigger names.
    """
    named = [document[payload.DOLLAR]["headers"].get("headway-run")]
    if trigger.parent_pointer:
        with contextlib.suppress(mapping.NotThere):  # an event that no run of ours caused
            named.append(mapping.resolve(document, trigger.parent_pointer))
    for text in named:
        if isinstance(text, str | int) and (run := Run.objects.named(str(text)).first()) is not None:
            return run
    return None


def read_again(delivery: Delivery) -> tuple[Told, Any]:
    """What a stored delivery says, read anew by its scheme."""
    address = delivery.trigger
    received = Received(headers=delivery.headers, body=bytes(delivery.body), at=delivery.received_at)
    document = payload.read(received)
    options = schemes.complete(address.scheme, address.scheme_options)
    return schemes.READERS[address.scheme].read(received, document, options=options), document


def fire_batches() -> int:
    """Launches what was gathered long enough, up to a batch of batches; returns how many. The sweep's part."""
    return sum(1 for batch in batches.due() if _fire_batch(batch))


def short(text: str) -> str:
    """`text`, or for a long one its hash: what is the same stays the same."""
    return (
        text if len(text) <= 200 else "sha256:" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    )
