"""Takes what comes to the address of an event trigger: verifies, remembers, and launches what it fires.

The delivery, its reactions and their runs are one transaction. The sender's id of a delivery is unique, so a
repetition waits for the first one and is given its answer.
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from runs import launch, reactions
from runs.plain import plain_text
from triggers import limits
from triggers.events import masking, matching, payload, schemes, secrets
from triggers.events.base import Received, Rejected, Told, Unreadable
from triggers.models import Delivery, Reaction, Trigger

Verdict, Outcome = Delivery.Verdict, Reaction.Outcome
# Whoever knows an address can send what is refused: so much of it is remembered within an hour, and no more.
REFUSED_AN_HOUR: Final = 100
HEADERS_KEPT: Final = 100
HEADER_LENGTH: Final = 500
FORGET_BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came of a message; `is_new` is false for a repetition of a delivery that was taken before."""

    delivery: Delivery
    answer: Mapping[str, Any]
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """What was found in a source, for the trigger `address`; a `fault` says why it has no payload."""

    address: Trigger
    source: str
    event: str
    key: str
    payload: Any = None
    fault: str = ""


def take(address: Trigger, received: Received, *, caller: str | None = None, is_test: bool = False) -> Taken:
    """Takes a message to `address`, a trigger with a scheme, and launches what it fires.

    Raises Rejected, Unreadable, `triggers.limits.LimitReached`, and `triggers.vault.VaultLocked`; what was refused
    is remembered as well.
    """
    scheme = schemes.READERS[address.scheme]
    options = schemes.complete(address.scheme, address.scheme_options)
    delivery = _delivery(
        address, received, caller=caller, is_test=is_test, token_header=options.get("header", "")
    )
    try:
        known = secrets.valid(address, now=received.at)
        scheme.verify(received, secrets=known, options=options)
        delivery.body = received.body
        delivery.verdict = Verdict.UNREADABLE
        document = payload.read(received)
    except (Rejected, Unreadable) as error:
        delivery.reason = plain_text(str(error))[:500]
        _remember_refused(delivery)
        raise
    told = scheme.read(received, document, options=options)
    delivery.event, delivery.key = plain_text(told.event)[:100], _key(told.key)
    if told.challenge is not None:
        delivery.verdict, delivery.answer = Verdict.CHALLENGE, {"challenge": plain_text(told.challenge)}
        delivery.save(force_insert=True)
        return Taken(delivery=delivery, answer=delivery.answer, is_new=True)
    try:
        return _accept(delivery, told, document)
    except limits.LimitReached as error:
        _remember_throttled(delivery, str(error))
        raise


def replay(delivery: Delivery, *, triggers: Iterable[Trigger], by: str) -> list[Reaction]:
    """Lets an accepted delivery fire once more those of `triggers` that hear of its address.

    Raises LaunchRefused for a delivery that was not accepted, and where none of them hears of it.
    """
    if delivery.verdict != Verdict.ACCEPTED:
        raise launch.LaunchRefused(
            f"Delivery {delivery.pk} is {delivery.verdict}: only one that was accepted can be replayed."
        )
    wanted = {trigger.pk for trigger in triggers}
    listeners = [each for each in matching.listeners(delivery.trigger) if each.pk in wanted]
    if not listeners:
        raise launch.LaunchRefused(f"None of these triggers hears of delivery {delivery.pk}.")
    told, document = reactions.read_again(delivery)
    with transaction.atomic():
        return [reactions.react(each, delivery, told, document, by=by) for each in listeners]


def put(found: Thing, *, at: datetime, is_test: bool = False) -> Taken:
    """Puts a thing that was found in a source into the inbox, and launches what it fires.

    A thing without a payload that can be read is remembered as unreadable. Raises `triggers.limits.LimitReached`.
    """
    body = b"" if found.fault else json.dumps(found.payload).encode()
    told = {"source": found.source, "event": found.event, "delivery": found.key}
    headers = {"content-type": "application/json"} | {f"headway-{name}": text for name, text in told.items()}
    received = Received(headers=headers, body=body, at=at)
    delivery = _delivery(found.address, received, caller=None, is_test=is_test, token_header="")
    delivery.headers = headers
    delivery.event, delivery.key = plain_text(found.event)[:100], _key(found.key)
    try:
        document = _readable(found, received)
    except Unreadable as error:
        delivery.verdict, delivery.reason = Verdict.UNREADABLE, plain_text(str(error))[:500]
        return _remember_once(delivery)
    delivery.body = body
    reader = schemes.READERS[found.address.scheme]
    return _accept(delivery, reader.read(received, document, options={}), document)


def _readable(found: Thing, received: Received) -> Any:
    if found.fault:
        raise Unreadable(found.fault)
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if len(received.body) > most:
        raise Unreadable(f"It has {len(received.body)} bytes; expected at most {most}.")
    return payload.read(received)


def _remember_once(delivery: Delivery) -> Taken:
    try:
        with transaction.atomic():
            delivery.save(force_insert=True)
    except IntegrityError as error:
        if "delivery_once_a_key" not in str(error):
            raise
        return _repeated(delivery)
    return Taken(delivery=delivery, answer={}, is_new=True)


def send_test(trigger: Trigger, document: Any = None) -> Taken:
    """Sends `document`, or a sample of the scheme, to the trigger's address, signed as its sender would sign it.

    What it fires is real. Raises what `take` raises, and LaunchRefused for a trigger without an address.
    """
    address = trigger.source or trigger
    if address.scheme == schemes.POLL:
        sample = schemes.READERS[schemes.POLL].sample if document is None else document
        key = f"test-{uuid.uuid4()}"
        thing = Thing(address=address, source="test", event="test", key=key, payload=sample)
        return put(thing, at=timezone.now(), is_test=True)
    known = secrets.valid(address, now=timezone.now()) if address.scheme else []
    if not known:
        raise launch.LaunchRefused(f"Trigger {trigger.pk} has no address with a valid secret to send to.")
    scheme = schemes.SCHEMES[address.scheme]
    body = json.dumps(scheme.sample if document is None else document).encode()
    options, now = schemes.complete(address.scheme, address.scheme_options), timezone.now()
    headers = scheme.sign(body, secret=known[0], key=f"test-{uuid.uuid4()}", at=now, options=options)
    named = {"content-type": "application/json"} | {name.lower(): text for name, text in headers.items()}
    return take(address, Received(headers=named, body=body, at=now), is_test=True)


def forget() -> int:
    """Drops deliveries that are older than the site keeps them, up to a batch; returns how many. The sweep's part."""
    end = timezone.now() - timedelta(days=settings.DELIVERY_DAYS)
    oldest = Delivery.objects.order_by("pk").values_list("pk", "received_at")[:FORGET_BATCH]
    old = [pk for pk, received_at in oldest if received_at < end]
    if old:
        Reaction.objects.filter(delivery__in=old).delete()
        Delivery.objects.filter(pk__in=old).delete()
    return len(old)


def _accept(delivery: Delivery, told: Told, document: Any) -> Taken:
    delivery.verdict = Verdict.ACCEPTED
    try:
        with transaction.atomic():
            delivery.save(force_insert=True)
            limits.take_of_trigger(delivery.trigger)
            listeners = matching.listeners(delivery.trigger)
            made = [reactions.react(each, delivery, told, document) for each in listeners]
            delivery.answer = answer_of(delivery, made)
            delivery.save(update_fields=["answer"])
    except IntegrityError as error:
        if delivery.key is None or "delivery_once_a_key" not in str(error):
            raise
        return _repeated(delivery)
    return Taken(delivery=delivery, answer=delivery.answer, is_new=True)


def _repeated(delivery: Delivery) -> Taken:
    known = Delivery.objects.filter(trigger=delivery.trigger, key=delivery.key)
    known.update(repeats=F("repeats") + 1)
    first = known.get()
    return Taken(delivery=first, answer=first.answer or {}, is_new=False)


def _delivery(
    address: Trigger, received: Received, *, caller: str | None, is_test: bool, token_header: str
) -> Delivery:
    kept = {
        name: plain_text(text)[:HEADER_LENGTH] for name, text in [*received.headers.items()][:HEADERS_KEPT]
    }
    return Delivery(
        trigger=address,
        verdict=Verdict.REFUSED,
        address=caller,
        headers=masking.headers(kept, also=token_header),
        size=len(received.body),
        is_test=is_test,
        received_at=received.at,
    )


def _remember_refused(delivery: Delivery) -> None:
    same = Delivery.objects.filter(trigger=delivery.trigger, verdict=Verdict.REFUSED).order_by("-pk")
    newest = same.values_list("received_at", flat=True)[REFUSED_AN_HOUR - 1 : REFUSED_AN_HOUR]
    if delivery.verdict == Verdict.REFUSED and any(
        at > delivery.received_at - timedelta(hours=1) for at in newest
    ):
        return
    delivery.save(force_insert=True)


def _remember_throttled(delivery: Delivery, reason: str) -> None:
    """One too many may come again under its id, and start something then: so that is not kept."""
    delivery.pk = delivery.key = delivery.answer = None
    delivery.verdict, delivery.reason, delivery.body = Verdict.REFUSED, plain_text(reason)[:500], b""
    _remember_refused(delivery)


def _key(text: str | None) -> str | None:
    return reactions.short(plain_text(text)) if text else None


def answer_of(delivery: Delivery, made: list[Reaction]) -> dict[str, Any]:
    """What the sender is told, and told again for a repetition."""
    told: dict[str, list[dict[str, Any]]] = {outcome: [] for outcome in Outcome.values}
    for reaction in made:
        entry = {"trigger": reaction.trigger_id, "job": reaction.trigger.job.slug, "run": reaction.run_id}
        told[reaction.outcome].append({**entry, "reason": reaction.reason or None})
    return {
        "delivery": delivery.pk,
        "runs": told[Outcome.FIRED],
        "skipped": told[Outcome.SKIPPED],
        "waiting": told[Outcome.PENDING],
    }
