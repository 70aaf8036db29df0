"""Tends campaigns: does what their status asks for, a portion at a time, each in one transaction of its own.

Done right after an order for some seconds by who ordered, then by a slot of the lane bulk that was told of it
(`dispatch.tend_after_commit`), one portion after the other; and by every sweep, for what nobody was told of.
"""

import time
from collections.abc import Collection, Iterator
from typing import Final

import structlog
from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from jobs.models import Job
from runs import campaigns, dispatch, launch, levels, lifecycle, progress
from runs.models import Campaign, CampaignStatus, ClaimGroup, Run
from runs.models.campaign import TENDED
from runs.progress import Progress

log = structlog.get_logger(__name__)

PORTION: Final = 10_000
CANCEL_PORTION: Final = 5_000
# How long an order is carried out before it is answered.
AT_ONCE_SECONDS: Final = 3.0
# How long a slot tends before it looks what else there is to be done.
TURN_SECONDS: Final = 1.0
SWEEP_SECONDS: Final = 1.0
# A failure rate of fewer runs says nothing.
JUDGED_AT_LEAST: Final = 20
Status = CampaignStatus


def at_once(campaign: Campaign, *, seconds: float = AT_ONCE_SECONDS) -> None:
    """Carries a fresh order out as far as that goes in `seconds`; a fault of the database is left to the sweep.

    Waits for whoever tends it already, so that what is answered is as far as it can be.
    """
    until = time.monotonic() + seconds
    try:
        while _step(campaign.pk, wait=True) and time.monotonic() < until:
            pass
    except DatabaseError as error:
        log.warning("campaign_left_to_the_sweep", campaign_id=campaign.pk, error=str(error).strip())
    campaign.refresh_from_db()


def carry_on(number: int, *, seconds: float = TURN_SECONDS) -> None:
    """Tends a campaign for `seconds`; has it tended again if there is more to be done at once."""
    until = time.monotonic() + seconds
    while _step(number):
        if time.monotonic() > until:
            dispatch.tend_after_commit(number)
            break


def tend(*, seconds: float = SWEEP_SECONDS) -> None:
    """Does for all campaigns what is to be done, in turns, for about `seconds`."""
    until = time.monotonic() + seconds
    waiting = list(Campaign.objects.filter(status__in=TENDED).order_by("pk").values_list("pk", flat=True))
    while waiting:
        waiting = [number for number in waiting if _step(number)]
        if time.monotonic() > until:
            break


def wake(lanes: Collection[str]) -> None:
    """Wakes slots of `lanes` if a campaign or a job has a rate: permits come with time, and nobody else says so."""
    paced = Campaign.objects.filter(rate_per_second__isnull=False, status__in=TENDED)
    if "bulk" in lanes and paced.exists():
        dispatch.top_up("bulk", dispatch.most_hints("bulk"))
    rated = list(Job.objects.filter(max_starts__isnull=False).values_list("pk", flat=True))
    if not rated:
        return
    waiting = levels.waiting(rated, most=max(map(dispatch.most_hints, lanes), default=0))
    for lane in waiting.keys() & set(lanes):
        dispatch.top_up(lane, waiting[lane])


def _step(number: int, *, wait: bool = False) -> bool:
    """Does one portion of what the campaign's status asks for; says whether to look again at once.

    A campaign that another tends right now is passed over, unless this is to `wait`.
    """
    with transaction.atomic():
        rows = Campaign.objects.select_for_update(skip_locked=not wait, no_key=True, of=("self",))
        campaign = rows.select_related("job").filter(pk=number).first()
        if campaign is None:
            return False
        match campaign.status:
            case Status.SCHEDULED:
                return _start_when_due(campaign)
            case Status.EXPANDING:
                return _expand(campaign)
            case Status.RUNNING:
                return _retry(campaign) if campaign.retry_upto is not None else _judge(campaign)
            case Status.CANCELLING:
                return _cancel(campaign)
    return False


def _start_when_due(campaign: Campaign) -> bool:
    if campaign.start_at is not None and campaign.start_at > timezone.now():
        return False
    campaigns.begin(campaign)
    return True


def _expand(campaign: Campaign) -> bool:
    """Makes a portion of runs; of a campaign with a canary, no more than that at first."""
    upto, is_last = _reach(campaign)
    if upto > campaign.expanded_upto:
        launch.launch_recipients(campaign, upto=upto)
    if is_last:
        campaigns.move(campaign, Status.RUNNING)
    return True


def _reach(campaign: Campaign) -> tuple[int, bool]:
    """The last recipient of the next portion, by its run's id, and whether that is the last portion for now."""
    end = campaign.recipients_upto
    upto = min(campaign.expanded_upto + PORTION, end)
    if campaign.canary is None or campaign.is_canary_passed:
        return upto, upto >= end
    left = campaign.canary - campaign.launched
    ahead = campaign.recipients.filter(
        run_id__gt=campaign.expanded_upto, run_id__lte=upto, fault__isnull=True
    )
    ids = list(ahead.order_by("run_id").values_list("run_id", flat=True)[: max(left, 0)])
    if len(ids) < left:
        return upto, upto >= end
    return max(ids, default=campaign.expanded_upto), True


def _retry(campaign: Campaign) -> bool:
    if not launch.retry_recipients(campaign, limit=PORTION):
        Campaign.objects.filter(pk=campaign.pk).update(retry_upto=None, retry_only=None)
    return True


def _judge(campaign: Campaign) -> bool:
    """Ends a campaign whose runs have ended, and pauses one whose canary has, or of which too much failed."""
    seen = progress.of_campaign(campaign)
    if not seen.open and campaign.launched >= campaign.total:
        campaigns.end(campaign, Status.DONE)
    elif reason := _too_much_failed(campaign, seen):
        campaigns.hold(campaign, by=campaigns.FAILURE_RATE, reason=reason)
    elif not seen.open:
        reason = (
            f"The first {campaign.launched} runs have ended: {seen.succeeded} succeeded, {seen.failed} failed. "
            f"Go on with the other {campaign.total - campaign.launched}?"
        )
        campaigns.hold(campaign, by=campaigns.CANARY, reason=reason)
    return False


def _too_much_failed(campaign: Campaign, seen: Progress) -> str:
    """Why it is to stop; "" if not. What was judged when somebody last let it go on does not count."""
    most = campaign.stop_on_failure_rate
    failed = seen.failed - campaign.judged_failed
    judged = failed + seen.succeeded - campaign.judged_succeeded
    if most is None or judged < JUDGED_AT_LEAST or failed / judged <= most:
        return ""
    return f"{failed} of {judged} runs failed, which is more than {most:.1%}."


def _cancel(campaign: Campaign) -> bool:
    for runs in _open_runs(campaign):
        if lifecycle.cancel(runs[:CANCEL_PORTION], by=campaign.cancelled_by):
            return True
    if not progress.of_campaign(campaign).open:
        campaigns.end(campaign, Status.CANCELLED)
    return False


def _open_runs(campaign: Campaign) -> Iterator[QuerySet[Run]]:
    """What is left to be cancelled, by the index that finds it."""
    own = Run.objects.filter(campaign=campaign)
    # Each group by itself: runs of one come out of run_queue in order, and a portion of a million costs what it has.
    # Joined to their groups they are all read and sorted, for each portion once more.
    for group in ClaimGroup.objects.filter(campaign=campaign).order_by("pk"):
        yield own.filter(status=Run.Status.QUEUED, lane="bulk", group=group).order_by("priority", "pk")
    yield own.filter(status__in=(Run.Status.SCHEDULED, Run.Status.WAITING)).order_by("due_at")
    yield own.filter(status=Run.Status.RUNNING, job=campaign.job, cancel_requested_at__isnull=True).order_by(
        "pk"
    )
