"""Campaigns: the only writer of their status. Makes them of what was sent; starts, holds, ends and retries them.

Each move is one guarded UPDATE under the lock of the campaign's row. What takes long is done in portions by
`runs.tending`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any, Final

import structlog
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Max
from django.utils import timezone
from psycopg.errors import LockNotAvailable

from jobs.models import Job
from runs import causes, dispatch, launch, progress, recipients
from runs.idempotency import InFlight, KeyReused
from runs.launch import LaunchRefused
from runs.models import Campaign, CampaignStatus, ClaimGroup, Run
from runs.models.campaign import TENDED
from runs.plain import plain
from runs.streams import Line
from triggers.models import ApiKey

log = structlog.get_logger(__name__)

IDEMPOTENT_FOR: Final = timedelta(hours=24)
CANARY: Final = "the canary"
FAILURE_RATE: Final = "the failure rate"
Status = CampaignStatus


class CampaignRefused(LaunchRefused):
    """A campaign can't be made of this, or not do that in the state it is in."""


class InvalidRecipients(LaunchRefused):
    """Some recipients are invalid, so the campaign was kept as a draft and nothing was started."""

    code = "invalid_recipients"

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        valid = f"{campaign.total} valid" if campaign.total else "no valid"
        super().__init__(
            f"{campaign.invalid} of the recipients are invalid ({valid} ones): nothing was started."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a campaign is to be. Rates are of runs a second; the failure rate is a share, 0 to 1."""

    job: Job
    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    rate_per_second: float | None = None
    start_at: datetime | None = None
    stop_on_failure_rate: float | None = None
    canary: int | None = None
    window_from: time | None = None
    window_to: time | None = None
    window_zone: str = "UTC"
    is_draft: bool = False
    user: User | None = None
    api_key: ApiKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """What makes an order's repetition known: who sent which key, and a digest of all that was sent."""

    credential: str
    key: str
    digest: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """The campaign, and whether an earlier request with the same key had made it."""

    campaign: Campaign
    replayed: bool = False


def order(wanted: Order, lines: Iterable[Line], *, once: Once | None = None) -> Ordered:
    """Makes a campaign of `wanted` and the recipients in `lines`, and starts it unless it is to be a draft.

    Raises a LaunchRefused if the job can't be started or there is no recipient, what `lines` raises, KeyReused
    and InFlight; and InvalidRecipients, which has the draft.
    """
    launch.check(wanted.job)
    with transaction.atomic():
        campaign = _insert(wanted, once)
        if campaign is None:
            assert once is not None
            return Ordered(campaign=_repeated(once), replayed=True)
        recipients.stage(campaign, lines)
        if not campaign.total and not campaign.invalid:
            raise CampaignRefused("There is no recipient: nothing was started.")
        if once is not None:
            campaign.fingerprint = once.digest()
            campaign.save(update_fields=["fingerprint"])
        if not campaign.invalid and not wanted.is_draft:
            _begin(campaign)
    log.info("campaign_ordered", campaign_id=campaign.pk, total=campaign.total, invalid=campaign.invalid)
    if campaign.invalid:
        raise InvalidRecipients(campaign)
    return Ordered(campaign=campaign)


def pause(campaign: Campaign, *, by: str, reason: str = "") -> None:
    """Starts no more runs of it until somebody resumes it; what runs goes on. Raises CampaignRefused."""
    with _locked(campaign, Status.SCHEDULED, Status.EXPANDING, Status.RUNNING, verb="paused"):
        hold(campaign, by=by, reason=reason)


def hold(campaign: Campaign, *, by: str, reason: str) -> None:
    """Pauses a campaign whose row the caller has locked."""
    move(campaign, Status.PAUSED, paused_by=by[:200], paused_reason=plain(reason)[:500])


def resume(campaign: Campaign, *, by: str, without_invalid: bool = False) -> None:
    """Lets it go on; starts a draft, one with invalid recipients only `without_invalid`.

    Raises CampaignRefused, and for a draft a LaunchRefused if its job can't be started.
    """
    with _locked(campaign, Status.DRAFT, Status.PAUSED, verb="resumed"):
        if campaign.status == Status.DRAFT:
            _start_draft(campaign, without_invalid=without_invalid)
            return
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
        hint()
    log.info("campaign_resumed", campaign_id=campaign.pk, by=by)


def cancel(campaign: Campaign, *, by: str) -> None:
    """Ends what is open of it, in portions, and launches nothing more. Raises CampaignRefused."""
    able = (Status.DRAFT, Status.SCHEDULED, Status.EXPANDING, Status.RUNNING, Status.PAUSED)
    with _locked(campaign, *able, verb="cancelled"):
        if campaign.launched:
            move(campaign, Status.CANCELLING, cancelled_by=by[:200])
        else:
            move(campaign, Status.CANCELLED, cancelled_by=by[:200], finished_at=timezone.now())


def change(campaign: Campaign, *, by: str, **changes: Any) -> None:
    """Changes how it goes, from the next claim on: `rate_per_second`, `stop_on_failure_rate`, the window.

    Raises CampaignRefused for one that has ended.
    """
    able = (Status.DRAFT, Status.SCHEDULED, Status.EXPANDING, Status.RUNNING, Status.PAUSED)
    with _locked(campaign, *able, verb="changed"):
        Campaign.objects.filter(pk=campaign.pk).update(**changes)
        # What was used up at the old rate says nothing about the new one.
        ClaimGroup.objects.filter(campaign=campaign).update(paced_until=None)
        hint()
    campaign.refresh_from_db()
    log.info("campaign_changed", campaign_id=campaign.pk, by=by, changes=sorted(changes))


def retry_failed(campaign: Campaign, *, by: str) -> None:
    """Launches each failed run that was not retried yet once more. Raises LaunchRefused if there is none."""
    with _locked(campaign, Status.RUNNING, Status.DONE, verb="retried"):
        launch.check(campaign.job)
        failed = Run.objects.filter(campaign=campaign, status=Run.Status.FAILED, retries__isnull=True)
        newest = failed.aggregate(newest=Max("pk"))["newest"]
        if newest is None:
            raise CampaignRefused(f"No failed run of campaign #{campaign.pk} is left to be retried.")
        seen = progress.of_campaign(campaign)
        judged = {"judged_succeeded": seen.succeeded, "judged_failed": seen.failed}
        wanted = {"retry_upto": newest, "retried_by": by[:200], "finished_at": None, **judged}
        move(campaign, Status.RUNNING, **wanted)


def move(campaign: Campaign, to: CampaignStatus, **fields: Any) -> None:
    """Moves a campaign whose row the caller has locked; nobody else writes a campaign's status."""
    Campaign.objects.filter(pk=campaign.pk).update(status=to, **fields)
    if to in TENDED:
        dispatch.tend_after_commit(campaign.pk)
    log.info("campaign_moved", campaign_id=campaign.pk, was=campaign.status, status=to.value)
    for name, value in {"status": to, **fields}.items():
        setattr(campaign, name, value)


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


def _begin(campaign: Campaign) -> None:
    now = timezone.now()
    if campaign.start_at is not None and campaign.start_at > now:
        move(campaign, Status.SCHEDULED)
    else:
        move(campaign, Status.EXPANDING, started_at=now)


def _start_draft(campaign: Campaign, *, without_invalid: bool) -> None:
    launch.check(campaign.job)
    if not campaign.total:
        raise CampaignRefused(f"Campaign #{campaign.pk} has no valid recipient: there is nothing to start.")
    if campaign.invalid and not without_invalid:
        raise CampaignRefused(
            f"{campaign.invalid} recipients of campaign #{campaign.pk} are invalid: start it without them, or "
            "send a correct list."
        )
    _begin(campaign)


def _insert(wanted: Order, once: Once | None) -> Campaign | None:
    """The new campaign; None if its idempotency key is taken. Waits for whoever just inserts the same."""
    made = Campaign(
        job=wanted.job,
        name=plain(wanted.name)[:200],
        parameters=plain(dict(wanted.parameters)),
        cause=f"ordered by {causes.actor(user=wanted.user, api_key=wanted.api_key)}",
        created_by=wanted.user,
        api_key=wanted.api_key,
        rate_per_second=wanted.rate_per_second,
        start_at=wanted.start_at,
        stop_on_failure_rate=wanted.stop_on_failure_rate,
        canary=wanted.canary,
        window_from=wanted.window_from,
        window_to=wanted.window_to,
        window_zone=wanted.window_zone,
    )
    if once is not None:
        made.credential, made.idempotency_key = once.credential, once.key
        sent = Campaign.objects.filter(credential=once.credential, idempotency_key=once.key)
        sent.filter(created_at__lt=timezone.now() - IDEMPOTENT_FOR).update(idempotency_key=None)
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError as error:
        if once is None or "campaign_once_a_key" not in str(error):
            raise
        return None
    except OperationalError as error:
        if once is None or not isinstance(error.__cause__, LockNotAvailable):
            raise
        raise InFlight(f"A request with the Idempotency-Key {once.key!r} is still going on.") from None
    made.refresh_from_db(fields=["created_at"])
    return made


def _repeated(once: Once) -> Campaign:
    campaign = Campaign.objects.select_related("job").get(
        credential=once.credential, idempotency_key=once.key
    )
    if campaign.fingerprint != once.digest():
        raise KeyReused(
            f"The Idempotency-Key {once.key!r} was sent before with another body; nothing was started."
        )
    return campaign
