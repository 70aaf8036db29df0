"""Pauses and resumes a schedule: who stopped it, why, until when.

Its slots go to the ledger as skipped meanwhile (`triggers.schedules`). An end in time needs nobody to resume
the schedule, and neither end makes anything run at once: what comes next is the next future slot.
"""

from datetime import datetime

import structlog
from django.utils import timezone

from jobs.pausing import ACTOR_LENGTH, PauseRefused, check
from triggers.models import Kind, Trigger

log = structlog.get_logger(__name__)


def pause(trigger: Trigger, *, by: str, reason: str = "", until: datetime | None = None) -> None:
    """Pauses the schedule until `until` (None: until somebody resumes it); a pause it has is replaced.

    Raises PauseRefused for a trigger of another kind, an `until` that is over, and too long a reason.
    """
    now = timezone.now()
    if trigger.kind != Kind.SCHEDULE:
        raise PauseRefused(f"A trigger of kind {trigger.kind} can't be paused: disable it instead.")
    check(reason=reason, until=until, now=now)
    Trigger.objects.filter(pk=trigger.pk).update(
        paused_at=now,
        paused_by=by[:ACTOR_LENGTH],
        paused_reason=reason,
        paused_until=until,
        updated_at=now,
    )
    trigger.refresh_from_db()
    log.info(
        "schedule_paused", trigger_id=trigger.pk, by=by, reason=reason, until=until and until.isoformat()
    )


def resume(trigger: Trigger, *, by: str) -> None:
    """Ends the pause of the schedule at once; one that is not paused stays as it is."""
    changed = Trigger.objects.filter(pk=trigger.pk, paused_at__isnull=False).update(
        paused_at=None, paused_by="", paused_reason="", paused_until=None, updated_at=timezone.now()
    )
    trigger.refresh_from_db()
    if changed:
        log.info("schedule_resumed", trigger_id=trigger.pk, by=by)
