"""Makes messages of notices: whom a rule tells what, how often, and what it keeps to itself for a while.

One sweep at a time takes what was noted (`notifications.outbox`), the oldest first, and enters messages for each
channel in one transaction: whoever dies meanwhile leaves all of it to the next one. Sending is no part of it.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.utils import timezone

from notifications.models import Channel, Failing, Hush, Message, Notice, Occasion, Rule
from runs import tidings

log = structlog.get_logger(__name__)

BATCH: Final = 200
# More of one occasion than that, taken together, is one message: a storm is told once.
SINGLY: Final = 5
_LOCK: Final = 4_827_301  # of PostgreSQL's advisory locks, the one of those who take notices


@dataclass(frozen=True, slots=True)
class _Match:
    """A notice that a channel is to be told of, and the rule that says so."""

    notice: Notice
    rule: Rule


def take() -> int:
    """Takes up to a batch of notices; returns how many. The sweep's part."""
    with transaction.atomic():
        if not _alone():
            return 0
        now = timezone.now()
        _tell_kept(now)
        left = Notice.objects.filter(taken_at=None).select_related("job", "trigger").order_by("pk")
        notices = list(left[:BATCH])
        wanted = [notice for notice in notices if _settled(notice)]
        _tell(wanted, now)
        Notice.objects.filter(pk__in=[notice.pk for notice in notices]).update(taken_at=now)
    return len(notices)


def _alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _settled(notice: Notice) -> bool:
    """Keeps the account of who fails; False for a success that is nobody's recovery, which is dropped."""
    if notice.occasion == Occasion.FAILED:
        assert notice.run_id is not None
        first = {"run_id": notice.run_id, "since": notice.at}
        _, is_new = Failing.objects.get_or_create(job_id=notice.job_id, defaults=first)
        if not is_new:
            Failing.objects.filter(job_id=notice.job_id).update(failures=F("failures") + 1)
        return True
    if notice.occasion != Notice.SUCCEEDED:
        return True
    failing = Failing.objects.filter(job_id=notice.job_id).first()
    if failing is None:
        return False
    since = failing.since.isoformat(sep=" ", timespec="seconds")
    notice.occasion = Occasion.RECOVERED
    notice.detail = {"run": failing.run_id, "since": since, "failures": failing.failures}
    notice.save(update_fields=["occasion", "detail"])
    failing.delete()
    return True


def _tell(notices: Iterable[Notice], now: datetime) -> None:
    """Enters a message for each channel and notice, or one for many of them."""
    told: dict[tuple[Channel, str], list[_Match]] = defaultdict(list)
    known: dict[tuple[str, int | None], list[Rule]] = {}  # a storm is of few jobs
    for notice in notices:
        what = (notice.occasion, notice.job_id)
        if what not in known:
            rules = Rule.objects.wanting(Occasion(notice.occasion), job=notice.job)
            known[what] = list(rules.filter(channel__is_enabled=True).select_related("channel"))
        speaking: dict[Channel, list[Rule]] = defaultdict(list)
        for rule in known[what]:
            speaking[rule.channel].append(rule)
        for channel, own in speaking.items():
            speak = [_may_speak(rule, notice, now) for rule in own]  # each of them keeps its own count
            if any(speak):
                told[channel, notice.occasion].append(_Match(notice, own[0]))
    for (channel, _), matches in told.items():
        if len(matches) > SINGLY:
            _enter(channel, matches)
            continue
        for match in matches:
            _enter(channel, [match])


def _may_speak(rule: Rule, notice: Notice, now: datetime) -> bool:
    """Whether the rule tells of it now; else it keeps count, and tells when its quiet time is over."""
    if not rule.quiet_minutes:
        return True
    until = now + timedelta(minutes=rule.quiet_minutes)
    what = {"rule": rule, "job": notice.job, "occasion": notice.occasion}
    hush, is_new = Hush.objects.get_or_create(**what, defaults={"until": until})
    if not is_new:
        Hush.objects.filter(pk=hush.pk).update(kept=F("kept") + 1, last=notice)
    return is_new


def _tell_kept(now: datetime) -> None:
    """Ends the quiet times that are over: what was kept meanwhile is one message, and a new quiet time."""
    over = Hush.objects.filter(until__lte=now).select_related(
        "rule__channel", "last__job", "last__trigger", "job"
    )
    for hush in over.order_by("until")[:BATCH]:
        rule = hush.rule
        if hush.last is None or not (rule.is_enabled and rule.channel.is_enabled):
            hush.delete()
            continue
        _enter(rule.channel, [_Match(hush.last, rule)], others=hush.kept - 1)
        hush.until, hush.kept, hush.last = now + timedelta(minutes=rule.quiet_minutes), 0, None
        hush.save(update_fields=["until", "kept", "last"])


def _enter(channel: Channel, matches: list[_Match], *, others: int = 0) -> None:
    """Enters one message; what can't be worded is logged, and does not hold up the others."""
    last = matches[-1]
    try:
        with transaction.atomic():
            many = [match.notice for match in matches]
            said = tidings.of_many(many) if len(many) > 1 else tidings.tiding(last.notice, others=others)
            message = Message(
                channel=channel,
                rule=last.rule,
                notice=last.notice,
                occasion=last.notice.occasion,
                job=last.notice.job,
                run_id=last.notice.run_id,
                others=others + len(many) - 1,
                subject=said.subject,
                text=said.text,
                payload=said.payload,
            )
            # A channel that another rule has told of it already is not told again.
            Message.objects.bulk_create([message], ignore_conflicts=True)
    except DatabaseError:
        raise
    except Exception:
        log.exception("notice_not_worded", notice_id=last.notice.pk)
