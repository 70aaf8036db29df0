"""Pauses and resumes a target: what a run is for, such as a recipient, a page or a customer (product.md, Target).

While a target is paused its runs wait in claim groups of their own, which `runs_gate` keeps closed: so each is looked
at once, and a hundred thousand of them never stand before the others. Those of campaigns are skipped. Whoever launches
for a target and whoever pauses one go one after the other, by a lock of their own, so that none slips through; what
comes back from a worker in the very moment of the pause the sweep puts aside.
"""

from datetime import datetime
from typing import Any, Final

import structlog
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from jobs import pausing
from jobs.pausing import PauseRefused
from runs import dispatch, lifecycle
from runs.models import ClaimGroup, Lane, PausedTarget
from runs.models.target import TARGET_LENGTH
from runs.plain import plain
from runs.statements import together

log = structlog.get_logger(__name__)

_LOCK: Final = (
    4_827_302  # of PostgreSQL's advisory locks, the one of those who launch for a target or pause one
)
_ENTER: Final = "SELECT pg_advisory_xact_lock_shared(%s::bigint)"
_PAUSED: Final = """
    SELECT EXISTS (SELECT 1 FROM runs_pausedtarget t WHERE t.name = %s::text
        AND (t.paused_until IS NULL OR t.paused_until > clock_timestamp())) AS paused"""
# The open runs for paused targets (or for one) that are not in a group of theirs yet. A campaign's runs have the ids of
# its recipients, which are found by their keys; and those that were launched once more are found by the runs before.
# Who is being settled or claimed right now is left to the sweep: nobody waits here for anybody.
_ASTRAY: Final = """
    WITH RECURSIVE paused AS (
        SELECT t.name FROM runs_pausedtarget t
        WHERE (t.paused_until IS NULL OR t.paused_until > clock_timestamp())
          AND (%(name)s::text IS NULL OR t.name = %(name)s::text)),
    aimed AS (
        SELECT p.name, recipient.run_id AS id
        FROM paused p CROSS JOIN runs_campaign c
        JOIN runs_recipient recipient ON recipient.campaign_id = c.id AND recipient.key = p.name COLLATE "C"
            AND recipient.fault IS NULL AND recipient.run_id <= c.expanded_upto
        WHERE c.status IN ('expanding', 'running', 'paused', 'cancelling')
        UNION ALL
        SELECT aimed.name, again.id FROM aimed JOIN runs_run again ON again.retry_of_id = aimed.id),
    found AS (
        SELECT r.id FROM paused p JOIN runs_run r ON r.target = p.name
        WHERE r.target IS NOT NULL AND r.campaign_id IS NULL
          AND r.status IN ('scheduled', 'queued', 'running', 'waiting')
        UNION
        SELECT aimed.id FROM aimed)
    SELECT r.id, r.job_id, r.campaign_id, r.target FROM found
    JOIN runs_run r ON r.id = found.id
    JOIN runs_claimgroup g ON g.id = r.group_id
    WHERE r.status || '' IN ('scheduled', 'queued', 'running', 'waiting') AND r.target IS NOT NULL
      AND g.target IS DISTINCT FROM r.target
    ORDER BY r.id FOR NO KEY UPDATE OF r SKIP LOCKED"""
_ASIDE: Final = """
    UPDATE runs_run r SET group_id = g.id
    FROM runs_claimgroup g
    WHERE r.id = ANY(%s) AND g.job_id = r.job_id AND NOT g.is_held AND g.target = r.target
      AND g.campaign_id IS NOT DISTINCT FROM r.campaign_id"""


def current() -> "QuerySet[PausedTarget]":
    """The targets that are paused now."""
    return PausedTarget.objects.filter(Q(paused_until__isnull=True) | Q(paused_until__gt=timezone.now()))


def pause(name: str, *, by: str, reason: str = "", until: datetime | None = None) -> PausedTarget:
    """Lets nothing start for the target until somebody resumes it, or `until`; what runs goes on.

    One that is paused already gets the new reason and end. Raises PauseRefused for a name that no target can have,
    an `until` that is over, and too long a reason.
    """
    now = timezone.now()
    _check(name)
    pausing.check(reason=reason, until=until, now=now)
    fields = {
        "paused_at": now,
        "paused_by": by[: pausing.ACTOR_LENGTH],
        "paused_reason": plain(reason),
        "paused_until": until,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        paused, _ = PausedTarget.objects.update_or_create(name=name, defaults=fields)
        put_aside(name)
        lifecycle.skip_aimed()
    log.info("target_paused", target=name, by=by, reason=reason)
    return paused


def _check(name: str) -> None:
    if not name or len(name) > TARGET_LENGTH:
        raise PauseRefused(f"The target has {len(name)} characters: expected 1 to {TARGET_LENGTH}.")
    if "\0" in name:
        raise PauseRefused(f"The target {name!r} holds U+0000, which no text has.")


def resume(name: str, *, by: str) -> None:
    """Lets the target's runs start again, and wakes the lanes once this is committed.

    Raises PauseRefused for one that is not paused.
    """
    with transaction.atomic():
        # Locked, so that of two who resume it one is told that it was not paused.
        paused = current().select_for_update().filter(name=name).first()
        if paused is None:
            raise PauseRefused(f"The target {name!r} is not paused.")
        paused.delete()
        for lane in Lane.objects.filter(paused_at__isnull=True):
            dispatch.hint_after_commit(lane.name)
    log.info("target_resumed", target=name, by=by)


def enter(name: str) -> bool:
    """Says whether the target is paused, and keeps that so until the transaction ends."""
    _, (row,) = together((_ENTER, [_LOCK]), (_PAUSED, [name]))
    return bool(row["paused"])


def enter_many() -> None:
    """Keeps every target paused or not, as it is, until the transaction ends."""
    together((_ENTER, [_LOCK]))


def put_aside(name: str | None = None) -> int:
    """Puts the open runs for the paused target, or for all of them, into groups of their own; returns how many."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ASTRAY, {"name": name})
        astray: list[tuple[Any, ...]] = cursor.fetchall()
        if not astray:
            return 0
        groups = {(job, campaign, target) for _, job, campaign, target in astray}
        ClaimGroup.objects.bulk_create(
            [ClaimGroup(job_id=job, campaign_id=campaign, target=target) for job, campaign, target in groups],
            ignore_conflicts=True,
        )
        cursor.execute(_ASIDE, [[number for number, *_ in astray]])
    return len(astray)


def tend() -> None:
    """For the sweep: ends pauses whose time has passed, and puts aside and skips what came since."""
    if PausedTarget.objects.exists():
        PausedTarget.objects.filter(paused_until__lte=timezone.now()).delete()
        put_aside()
        lifecycle.skip_aimed()
