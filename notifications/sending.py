"""Sends what is due: claims a message, enters the attempt, carries it, and enters what came of it.

Nothing is held while a message is on its way, neither a transaction nor a lock. Whoever dies before the attempt
is entered has sent nothing; whoever dies after it leaves an attempt without an end, which the next one enters as
`unknown` before it sends again: so a message is sent once, or visibly more often, and under the same id.
"""

import random
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from notifications import channels
from notifications.carriers import CARRIERS
from notifications.carriers.base import NotCarried
from notifications.models import Channel, Hush, Message, Notice, Sending
from notifications.models.message import TEST
from triggers.vault import VaultLocked

log = structlog.get_logger(__name__)

# How long after each failed attempt the next one follows, in seconds; behind the last one it is given up.
DELAYS: Final = (5, 60, 300, 1800, 7200, 18_000, 36_000)
JITTER: Final = 0.2
LONGEST_RETRY_AFTER: Final = 36_000.0
FORGET_BATCH: Final = 500
ERROR_LENGTH: Final = 500
Status, Outcome = Message.Status, Sending.Outcome


class NotResendable(Exception):
    """A message that is not to be sent again; the sentence says why."""


def send_next() -> bool:
    """Sends the message that has been due the longest; False if there is none to be claimed."""
    sending = claim()
    if sending is None:
        return False
    carry(sending)
    return True


def claim() -> Sending | None:
    """Claims the message that has been due the longest, of a channel that nobody sends to right now.

    So a channel that hangs holds up one sender and no other channel.
    """
    with transaction.atomic():
        now = timezone.now()
        due = Message.objects.filter(status=Status.DUE, due_at__lte=now)
        busy = due.filter(channel=OuterRef("channel"), claimed_until__gt=now)
        free = due.filter(Q(claimed_until=None) | Q(claimed_until__lte=now)).exclude(Exists(busy))
        mine = free.select_for_update(of=("self",), skip_locked=True).select_related("channel")
        message = mine.order_by("due_at", "id").first()
        if message is None:
            return None
        lease = timedelta(seconds=CARRIERS[message.channel.kind].lease_seconds)
        message.claimed_until, message.attempts = now + lease, message.attempts + 1
        message.save(update_fields=["claimed_until", "attempts"])
        left = message.sendings.filter(outcome=Outcome.BEGUN)
        left.update(outcome=Outcome.UNKNOWN, error="Its sender died: it may have arrived.")
        return Sending.objects.create(message=message, number=message.attempts)


def carry(sending: Sending) -> None:
    """Carries a claimed message and enters what came of it."""
    message, channel = sending.message, sending.message.channel
    try:
        if not channel.is_enabled:
            raise NotCarried("The channel is disabled.", permanent=True)
        status = CARRIERS[channel.kind].carry(message, secret=channels.secret_of(channel))
    except NotCarried as error:
        _end(sending, error)
    except VaultLocked as error:
        _end(sending, NotCarried(str(error)))
    except Exception as error:  # of ours: an attempt that fails like another, and no reason to end the sender
        log.exception("message_not_carried", message_id=message.pk)
        _end(sending, NotCarried(f"{type(error).__name__} within Headway; its log says more."))
    else:
        _end(sending, None, status=status)


def _end(sending: Sending, error: NotCarried | None, *, status: int | None = None) -> None:
    """Enters the end of an attempt; the message is moved unless another has claimed it meanwhile."""
    message = sending.message
    done = {
        "outcome": Outcome.FAILED if error else Outcome.SENT,
        "status_code": error.status if error else status,
        "error": str(error).replace("\0", "")[:ERROR_LENGTH] if error else "",
        "ended_at": Now(),
    }
    due_at = None if error is None else _next(message, error)
    ended = Status.SENT if error is None else Status.FAILED
    moved = {"status": ended, "due_at": None, "ended_at": Now()} if due_at is None else {"due_at": due_at}
    with transaction.atomic():
        Sending.objects.filter(pk=sending.pk).update(**done)
        mine = Message.objects.filter(pk=message.pk, status=Status.DUE, attempts=message.attempts)
        mine.update(claimed_until=None, **moved)
    log.info("message_sent" if error is None else "message_not_sent", message_id=message.pk, **_told(error))


def _told(error: NotCarried | None) -> dict[str, str]:
    return {} if error is None else {"error": str(error)}


def _next(message: Message, error: NotCarried) -> datetime | None:
    """When to try again; None: never, it is given up."""
    tries = message.attempts - message.attempts_before
    if error.permanent or tries > len(DELAYS):
        return None
    delay = DELAYS[tries - 1] * random.uniform(1 - JITTER, 1 + JITTER)
    if error.retry_after is not None:
        delay = max(delay, min(error.retry_after, LONGEST_RETRY_AFTER))
    return timezone.now() + timedelta(seconds=delay)


def send_test(channel: Channel, *, by: str) -> Message:
    """Makes a message that says nothing but that the channel works; it goes the way of all others."""
    sentence = f"{by} sent this to see whether the channel {channel.name} works. It does."
    payload = {
        "type": TEST,
        "timestamp": timezone.now().isoformat(),
        "data": {"channel": channel.name, "sentence": sentence},
    }
    return Message.objects.create(
        channel=channel,
        occasion=TEST,
        subject=f"Test of {channel.name}",
        text=sentence,
        payload=payload,
        by=by[:200],
    )


def resend(message: Message, *, by: str) -> None:
    """Has a message sent again, whatever became of it; raises NotResendable if it is still going to be."""
    again = Message.objects.filter(pk=message.pk).exclude(status=Status.DUE)
    changed = again.update(
        status=Status.DUE,
        due_at=Now(),
        ended_at=None,
        claimed_until=None,
        by=by[:200],
        attempts_before=F("attempts"),
    )
    if not changed:
        raise NotResendable(f"Message {message.pk} is due: it will be sent without being asked to.")


def forget() -> int:
    """Drops what was told longer ago than the site remembers, up to a batch; returns how many. The sweep's part."""
    end = timezone.now() - timedelta(days=settings.NOTIFICATION_DAYS)
    oldest = Message.objects.order_by("pk").values_list("pk", "created_at", "status")[:FORGET_BATCH]
    old = [pk for pk, created_at, status in oldest if created_at < end and status != Status.DUE]
    Sending.objects.filter(message__in=old).delete()
    Message.objects.filter(pk__in=old).delete()
    told = Notice.objects.order_by("pk").values_list("pk", "at", "taken_at")[:FORGET_BATCH]
    gone = [pk for pk, at, taken_at in told if at < end and taken_at is not None]
    # A message that is still due, and what a rule keeps to itself, need theirs.
    needed = Message.objects.filter(notice__in=gone).values_list("notice_id", flat=True)
    kept = {*needed, *Hush.objects.filter(last__in=gone).values_list("last_id", flat=True)}
    Notice.objects.filter(pk__in=set(gone) - kept).delete()
    return len(old)
