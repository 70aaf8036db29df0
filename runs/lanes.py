"""Pauses and resumes a lane: while it is paused, nothing of it is claimed; what runs goes on."""

import structlog
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from runs import bulk, dispatch
from runs.launch import LaunchRefused
from runs.models import BulkOperation, Lane, Run
from runs.status import Status
from triggers.models import ApiKey

log = structlog.get_logger(__name__)

REASON_LENGTH = 500
ACTOR_LENGTH = 200


class InvalidReason(ValueError):
    """A reason that is too long."""


class NotConfirmed(LaunchRefused):
    """A purge whose confirmation is not the lane's name."""


def purge(lane: Lane, *, confirmed: str, user: User | None, api_key: ApiKey | None = None) -> BulkOperation:
    """Has all that waits in the lane now cancelled, in the background; what comes later is not touched.

    Raises NotConfirmed unless `confirmed` is the lane's name, and `runs.bulk.BulkRefused`.
    """
    if confirmed.strip() != lane.name:
        raise NotConfirmed(
            f"{confirmed.strip()!r} is not the lane's name: expected {lane.name!r}. Nothing was done."
        )
    waiting = Run.objects.filter(status=Status.QUEUED, lane=lane.name)
    words = f"all that waits in the lane {lane}"
    return bulk.order(waiting, act=BulkOperation.Act.CANCEL, words=words, user=user, api_key=api_key)


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
