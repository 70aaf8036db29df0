"""Pauses and resumes a lane: while it is paused, nothing of it is claimed; what runs goes on."""

import structlog
from django.db import transaction
from django.utils import timezone

from runs import dispatch
from runs.models import Lane

log = structlog.get_logger(__name__)

REASON_LENGTH = 500
ACTOR_LENGTH = 200


class InvalidReason(ValueError):
    """A reason that is too long."""


def pause(lane: Lane, *, by: str, reason: str = "") -> None:
    """Keeps the lane's runs from starting until somebody resumes it. Raises InvalidReason."""
    if len(reason) > REASON_LENGTH:
        raise InvalidReason(f"The reason has {len(reason)} characters: expected at most {REASON_LENGTH}.")
    Lane.objects.filter(pk=lane.pk).update(
        paused_at=timezone.now(), paused_by=by[:ACTOR_LENGTH], paused_reason=reason
    )
    lane.refresh_from_db()
    log.info("lane_paused", lane=lane.name, by=by, reason=reason)


def resume(lane: Lane, *, by: str) -> None:
    """Lets the lane's runs start again, and wakes its workers once this is committed."""
    with transaction.atomic():
        Lane.objects.filter(pk=lane.pk).update(paused_at=None, paused_by="", paused_reason="")
        dispatch.hint_after_commit(lane.name)
    lane.refresh_from_db()
    log.info("lane_resumed", lane=lane.name, by=by)
