"""Campaigns: the only writer of their status. Starts, holds, ends and retries them, and notes who did so.

Each move is one guarded UPDATE under the lock of the campaign's row. What takes long is done in portions by
`runs.tending`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from notifications import outbox
from notifications.models import Occasion
from runs import dispatch, error_groups, failures, launch, progress
from runs.launch import LaunchRefused
from runs.models import Campaign, CampaignAct, CampaignEvent, CampaignStatus, ClaimGroup, Run
from runs.models.campaign import TENDED
from runs.plain import plain

log = structlog.get_logger(__name__)

CANARY: Final = "the canary"
FAILURE_RATE: Final = "the failure rate"
# Which fields of a campaign can be changed while it goes, and what people call them.
_CHANGED: Final = {
    "rate_per_second": "runs a second",
    "stop_on_failure_rate": "stop at a failure rate",
    "window_from": "from",
    "window_to": "to",
    "window_zone": "zone",
}
Status = CampaignStatus


class CampaignRefused(LaunchRefused):
    """A campaign can't be made of this, or not do that in the state it is in."""


def pause(campaign: Campaign, *, by: str, reason: str = "") -> None:
    """Starts no more runs of it until somebody resumes it; what runs goes on. Raises CampaignRefused."""
    with _locked(campaign, Status.SCHEDULED, Status.EXPANDING, Status.RUNNING, verb="paused"):
        hold(campaign, by=by, reason=reason)


def hold(campaign: Campaign, *, by: str, reason: str) -> None:
    """Pauses a campaign whose row the caller has locked."""
    move(campaign, Status.PAUSED, paused_by=by[:200], paused_reason=plain(reason)[:500])
    note(campaign, CampaignAct.PAUSED, by=by, detail=plain(reason))
    if by in (FAILURE_RATE, CANARY):
        _tell(campaign, Occasion.CAMPAIGN_STOPPED, plain(reason))


def resume(campaign: Campaign, *, by: str, without_invalid: bool = False, first: int | None = None) -> None:
    """Lets it go on; behind its canary, that is the answer to its question. Starts a draft.

    A draft with invalid recipients starts only `without_invalid`; with `first`, for so many recipients, and then it
    asks. Raises CampaignRefused, and for a draft a LaunchRefused if its job can't be started.
    """
    with _locked(campaign, Status.DRAFT, Status.PAUSED, verb="resumed"):
        if campaign.status == Status.PAUSED:
            _go_on(campaign, by=by)
            return
        _check_draft(campaign, without_invalid=without_invalid)
        if first is not None:
            Campaign.objects.filter(pk=campaign.pk).update(canary=first)
            campaign.canary = first
        begin(campaign, by=by)


def _check_draft(campaign: Campaign, *, without_invalid: bool) -> None:
    launch.check(campaign.job)
    if not campaign.total:
        raise CampaignRefused(f"Campaign #{campaign.pk} has no valid recipient: there is nothing to start.")
    if campaign.invalid and not without_invalid:
        raise CampaignRefused(
            f"{campaign.invalid} recipients of campaign #{campaign.pk} are invalid: start it without them, or "
            "send a correct list."
        )


def _go_on(campaign: Campaign, *, by: str) -> None:
    seen = progress.of_campaign(campaign)
    passed = campaign.is_canary_passed or campaign.paused_by == CANARY
    is_early = campaign.start_at is not None and campaign.start_at > timezone.now()
    whole = campaign.launched == campaign.total
    on = Status.SCHEDULED if is_early and not campaign.launched else Status.EXPANDING
    move(
        campaign,
        Status.RUNNING if whole else on,
        paused_by="",
        paused_reason="",
        is_canary_passed=passed,
        judged_succeeded=seen.succeeded,
        judged_failed=seen.failed,
        started_at=campaign.started_at or timezone.now(),
    )
    note(campaign, CampaignAct.RESUMED, by=by)
    hint()


def cancel(campaign: Campaign, *, by: str) -> None:
    """Ends what is open of it, in portions, and launches nothing more. Raises CampaignRefused."""
    able = (Status.DRAFT, Status.SCHEDULED, Status.EXPANDING, Status.RUNNING, Status.PAUSED)
    with _locked(campaign, *able, verb="cancelled"):
        note(campaign, CampaignAct.CANCELLED, by=by)
        if campaign.launched:
            move(campaign, Status.CANCELLING, cancelled_by=by[:200])
        else:
            move(campaign, Status.CANCELLED, cancelled_by=by[:200], finished_at=timezone.now())
            note(campaign, CampaignAct.ENDED, detail=Status.CANCELLED.value)


def change(campaign: Campaign, *, by: str, **changes: Any) -> None:
    """Changes how it goes, from the next claim on: `rate_per_second`, `stop_on_failure_rate`, the window.

    Raises CampaignRefused for one that has ended.
    """
    able = (Status.DRAFT, Status.SCHEDULED, Status.EXPANDING, Status.RUNNING, Status.PAUSED)
    with _locked(campaign, *able, verb="changed"):
        words = [
            f"{_CHANGED[name]}: {_shown(getattr(campaign, name))} → {_shown(value)}"
            for name, value in changes.items()
            if value != getattr(campaign, name)
        ]
        Campaign.objects.filter(pk=campaign.pk).update(**changes)
        note(campaign, CampaignAct.CHANGED, by=by, detail=", ".join(words))
        # What was used up at the old rate says nothing about the new one.
        ClaimGroup.objects.filter(campaign=campaign).update(paced_until=None)
        hint()
    campaign.refresh_from_db()


def retry_failed(campaign: Campaign, *, by: str, group: str | None = None) -> None:
    """Launches each failed run that was not retried yet once more; of one `group` of errors, its newest.

    Raises LaunchRefused if there is none.
    """
    with _locked(campaign, Status.RUNNING, Status.DONE, verb="retried"):
        launch.check(campaign.job)
        failed = Run.objects.filter(campaign=campaign, status=Run.Status.FAILED).values_list("pk")
        only = None if group is None else error_groups.left_in(campaign, group)
        newest = next(failures.left(failed), (None,))[0] if only is None else max(only, default=None)
        if newest is None:
            which = "" if group is None else f" with an error of the group {group!r}"
            raise CampaignRefused(f"No failed run of campaign #{campaign.pk}{which} is left to be retried.")
        seen = progress.of_campaign(campaign)
        judged = {"judged_succeeded": seen.succeeded, "judged_failed": seen.failed}
        wanted = {"retry_upto": newest, "retry_only": only, "retried_by": by[:200], "finished_at": None}
        move(campaign, Status.RUNNING, **wanted, **judged)
        what = "all that failed" if only is None else f"{len(only)} with an error of the group {group}"
        note(campaign, CampaignAct.RETRIED, by=by, detail=what)


def move(campaign: Campaign, to: CampaignStatus, **fields: Any) -> None:
    """Moves a campaign whose row the caller has locked; nobody else writes a campaign's status."""
    Campaign.objects.filter(pk=campaign.pk).update(status=to, **fields)
    if to in TENDED:
        dispatch.tend_after_commit(campaign.pk)
    log.info("campaign_moved", campaign_id=campaign.pk, was=campaign.status, status=to.value)
    for name, value in {"status": to, **fields}.items():
        setattr(campaign, name, value)


def note(campaign: Campaign, act: CampaignAct, *, by: str = "", detail: str = "") -> None:
    """Adds to the campaign's timeline; without `by` it is what the campaign does by itself."""
    CampaignEvent.objects.create(campaign=campaign, act=act, actor=by[:200], detail=detail[:500])


def end(campaign: Campaign, status: CampaignStatus) -> None:
    """Ends a campaign, of which nothing is open, whose row the caller has locked."""
    move(campaign, status, finished_at=timezone.now())
    note(campaign, CampaignAct.ENDED, detail=status.value)
    if status == Status.DONE:
        seen = progress.of_campaign(campaign)
        _tell(campaign, Occasion.CAMPAIGN_DONE, f"{seen.succeeded} runs succeeded, {seen.failed} failed.")


def _tell(campaign: Campaign, occasion: Occasion, detail: str) -> None:
    newest = campaign.events.aggregate(newest=Max("pk"))["newest"]
    told = {"campaign": campaign.pk, "detail": detail}
    once = f"{campaign.pk}:{newest}"
    outbox.note(outbox.Note(occasion=occasion, once=once, job=campaign.job, detail=told))


def begin(campaign: Campaign, *, by: str = "") -> None:
    """Starts a campaign whose row the caller has locked, or has it started when it is due."""
    now = timezone.now()
    if campaign.start_at is not None and campaign.start_at > now:
        move(campaign, Status.SCHEDULED)
        if by:
            note(campaign, CampaignAct.STARTED, by=by, detail="for later")
        return
    move(campaign, Status.EXPANDING, started_at=now)
    if by or campaign.start_at is not None:
        first = f"the first {campaign.canary}" if campaign.canary else ""
        note(campaign, CampaignAct.STARTED, by=by, detail=first)


def _shown(value: Any) -> str:
    """A setting as the timeline says it."""
    return "none" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)


def hint() -> None:
    """Wakes the slots of the lane once this is committed."""
    transaction.on_commit(lambda: dispatch.top_up("bulk", dispatch.most_hints("bulk")), robust=True)


@contextmanager
def _locked(campaign: Campaign, *able: CampaignStatus, verb: str) -> Iterator[None]:
    """Locks the row and reads it anew; raises CampaignRefused unless its status is one of `able`."""
    with transaction.atomic():
        Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)
        campaign.refresh_from_db()
        if campaign.status not in able:
            expected = ", ".join(able)
            raise CampaignRefused(
                f"Campaign #{campaign.pk} is {campaign.status}: only one that is {expected} can be {verb}."
            )
        yield
