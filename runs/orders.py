"""Orders: makes campaigns of what was sent, or of the recipients of another one.

The recipients are checked before anything starts. With a key of the sender's, the same order twice is one campaign.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import partial
from typing import Any, Final

import structlog
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone
from psycopg.errors import LockNotAvailable

from jobs.models import Job
from runs import campaigns, causes, launch, recipients, streams
from runs.campaigns import CampaignRefused
from runs.idempotency import InFlight, KeyReused
from runs.launch import LaunchRefused
from runs.models import Campaign, CampaignAct, CampaignStatus
from runs.plain import plain
from runs.streams import Line
from triggers.models import ApiKey

log = structlog.get_logger(__name__)

IDEMPOTENT_FOR: Final = timedelta(hours=24)


class InvalidRecipients(LaunchRefused):
    """Some recipients are invalid, so the campaign was kept as a draft and nothing was started."""

    code = "invalid_recipients"

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        valid = f"{campaign.total} valid" if campaign.total else "none valid"
        super().__init__(
            f"{campaign.invalid} of the recipients {'is' if campaign.invalid == 1 else 'are'} invalid "
            f"({valid}): nothing was started."
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
            campaign = _repeated(once)
            if campaign.invalid and campaign.status == CampaignStatus.DRAFT:
                raise InvalidRecipients(campaign)
            return Ordered(campaign=campaign, replayed=True)
        recipients.stage(campaign, lines)
        if not campaign.total and not campaign.invalid:
            raise CampaignRefused("There is no recipient: nothing was started.")
        if once is not None:
            campaign.fingerprint = once.digest()
            campaign.save(update_fields=["fingerprint"])
        by = causes.actor(user=wanted.user, api_key=wanted.api_key)
        campaigns.note(campaign, CampaignAct.ORDERED, by=by, detail=_counted(campaign))
        if not campaign.invalid and not wanted.is_draft:
            campaigns.begin(campaign)
    log.info("campaign_ordered", campaign_id=campaign.pk, total=campaign.total, invalid=campaign.invalid)
    if campaign.invalid:
        raise InvalidRecipients(campaign)
    return Ordered(campaign=campaign)


def _counted(campaign: Campaign) -> str:
    counts = ((campaign.invalid, "invalid"), (campaign.duplicates, "named more than once"))
    return ", ".join(
        [f"{campaign.total} recipients", *(f"{count} {word}" for count, word in counts if count)]
    )


def duplicate(campaign: Campaign, *, user: User | None = None, api_key: ApiKey | None = None) -> Campaign:
    """A draft with the recipients and settings of `campaign`, all checked against the job as it is now.

    Its hours, rates and canary are kept, when it was to start is not. Raises what `order` raises, but for invalid
    recipients: they are in the draft.
    """
    wanted = Order(
        job=campaign.job,
        name=f"{campaign.name[:180]} (copy)",
        parameters=campaign.parameters,
        rate_per_second=campaign.rate_per_second,
        stop_on_failure_rate=campaign.stop_on_failure_rate,
        canary=campaign.canary,
        window_from=campaign.window_from,
        window_to=campaign.window_to,
        window_zone=campaign.window_zone,
        is_draft=True,
        user=user,
        api_key=api_key,
    )
    # Not read from the database while they are copied into it, which takes the connection.
    try:
        return order(wanted, streams.Spooled(partial(_as_ndjson, campaign))).campaign
    except InvalidRecipients as error:
        return error.campaign


def _as_ndjson(campaign: Campaign) -> Iterator[str]:
    valid = campaign.recipients.filter(fault__isnull=True).order_by("run_id")
    for key, given, active in valid.values_list("key", "parameters", "is_active").iterator(chunk_size=1000):
        yield json.dumps({"key": key, "parameters": given, "active": active}) + "\n"


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
