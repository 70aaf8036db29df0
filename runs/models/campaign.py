"""Campaign: one order to run a job for many recipients at bulk priority; and what is counted of it."""

from collections.abc import Mapping
from typing import ClassVar, Final

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Now

from jobs.models import Job
from triggers.models import ApiKey

KEY_LENGTH: Final = 200
SLOWEST, FASTEST = 0.001, 1_000_000.0  # runs a second


class CampaignStatus(models.TextChoices):
    """Where a campaign stands. Each is explained by when it arises and who moves it on."""

    # Made with `draft`, or with invalid recipients; resume starts it.
    DRAFT = "draft"
    # To be started later (`start_at`); the sweep expands it when due.
    SCHEDULED = "scheduled"
    # Runs are being made of its recipients, a portion at a time; those made may start already.
    EXPANDING = "expanding"
    # Every recipient (of the canary: the first ones) has a run, and some are open.
    RUNNING = "running"
    # Nothing starts: somebody paused it, its canary has ended, or too much of it failed. Resume moves it on.
    PAUSED = "paused"
    # What is open is being cancelled, a portion at a time.
    CANCELLING = "cancelling"
    # Every run has ended. Retrying the failed ones opens it again.
    DONE = "done"
    # Somebody cancelled it, and nothing of it is open.
    CANCELLED = "cancelled"


Status = CampaignStatus
CAMPAIGN_MOVES: Final[Mapping[Status, tuple[Status, ...]]] = {
    Status.DRAFT: (Status.SCHEDULED, Status.EXPANDING, Status.CANCELLED),
    Status.SCHEDULED: (Status.EXPANDING, Status.PAUSED, Status.CANCELLED),
    Status.EXPANDING: (Status.RUNNING, Status.PAUSED, Status.CANCELLING),
    Status.RUNNING: (Status.PAUSED, Status.CANCELLING, Status.DONE),
    Status.PAUSED: (Status.SCHEDULED, Status.EXPANDING, Status.RUNNING, Status.CANCELLING, Status.CANCELLED),
    Status.CANCELLING: (Status.CANCELLED,),
    Status.DONE: (Status.RUNNING,),
}
# What the sweep has to look after.
TENDED: Final = (Status.SCHEDULED, Status.EXPANDING, Status.RUNNING, Status.CANCELLING)
# What was started or will be by the clock, and has not ended.
OPEN: Final = (*TENDED, Status.PAUSED)
_ALLOWED: Final = ", ".join(
    f"'{old.value}>{new.value}'" for old, news in CAMPAIGN_MOVES.items() for new in news
)


class Campaign(models.Model):
    """One order to run a job for many recipients.

    `status` is written by `runs.campaigns` only. `expanded_upto` is the last recipient that has a run, and
    `recipients_upto` the last that there is; both are run ids, which recipients get when they are staged.
    Rates are of runs a second; the failure rate is a share, 0 to 1.
    """

    Status = CampaignStatus

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="campaigns")
    name = models.CharField(max_length=200)
    parameters = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=CampaignStatus, default=CampaignStatus.DRAFT)
    cause = models.CharField(max_length=500)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.SET_NULL, related_name="+")

    # How it is to go.
    rate_per_second = models.FloatField(null=True)
    start_at = models.DateTimeField(null=True)
    stop_on_failure_rate = models.FloatField(null=True)
    canary = models.PositiveIntegerField(null=True)
    window_from = models.TimeField(null=True)
    window_to = models.TimeField(null=True)
    window_zone = models.CharField(max_length=60, default="UTC")

    # How far it is.
    total = models.PositiveBigIntegerField(default=0)
    invalid = models.PositiveBigIntegerField(default=0)
    duplicates = models.PositiveBigIntegerField(default=0)
    launched = models.PositiveBigIntegerField(default=0)
    retried = models.PositiveBigIntegerField(default=0)
    # How many of both are in the pace of the lane (`runs.throughput`).
    counted = models.PositiveBigIntegerField(default=0, db_default=0)
    recipients_from = models.BigIntegerField(default=0)
    recipients_upto = models.BigIntegerField(default=0)
    expanded_upto = models.BigIntegerField(default=0)
    # The failed runs up to this one (of them, if some are named, only those) are being retried, by whom.
    retry_upto = models.BigIntegerField(null=True)
    retry_only = ArrayField(models.BigIntegerField(), null=True)
    retried_by = models.CharField(max_length=200, blank=True, default="")
    # Whether somebody let it go on behind its canary, and what was judged when somebody last let it go on.
    is_canary_passed = models.BooleanField(default=False)
    judged_succeeded = models.BigIntegerField(default=0)
    judged_failed = models.BigIntegerField(default=0)
    paused_by = models.CharField(max_length=200, blank=True, default="")
    paused_reason = models.CharField(max_length=500, blank=True, default="")
    cancelled_by = models.CharField(max_length=200, blank=True, default="")

    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    # The request that made it, so that its repetition gets the same answer (docs/api.md, Idempotency).
    credential = models.CharField(max_length=60, blank=True, default="")
    idempotency_key = models.CharField(max_length=255, null=True)
    fingerprint = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["-id"]
        default_permissions: ClassVar = ("view",)
        constraints: ClassVar = [
            models.CheckConstraint(
                name="campaign_status_known", condition=Q(status__in=CampaignStatus.values)
            ),
            models.CheckConstraint(
                name="campaign_rate_range", condition=Q(rate_per_second__range=(SLOWEST, FASTEST))
            ),
            models.CheckConstraint(
                name="campaign_failure_rate_range",
                condition=Q(stop_on_failure_rate__gt=0, stop_on_failure_rate__lte=1),
            ),
            models.CheckConstraint(name="campaign_canary_positive", condition=Q(canary__gt=0)),
            models.CheckConstraint(
                name="campaign_window_whole",
                condition=Q(window_from__isnull=True, window_to__isnull=True)
                | (Q(window_from__isnull=False, window_to__isnull=False) & ~Q(window_from=F("window_to"))),
            ),
            models.CheckConstraint(
                name="campaign_expanded_in_range",
                condition=Q(launched__lte=F("total"), expanded_upto__lte=F("recipients_upto")),
            ),
            models.UniqueConstraint(
                name="campaign_once_a_key",
                fields=["credential", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="campaign_open", fields=["status"], condition=Q(status__in=OPEN)),
            models.Index(name="campaign_paced", fields=["id"], condition=Q(rate_per_second__isnull=False)),
            models.Index(
                name="campaign_grown", fields=["id"], condition=Q(counted__lt=F("launched") + F("retried"))
            ),
        ]
        triggers: ClassVar = [
            pgtrigger.Trigger(
                name="moves",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "(OLD.status IS DISTINCT FROM NEW.status"
                    f" AND OLD.status || '>' || NEW.status NOT IN ({_ALLOWED}))"
                ),
                func="RAISE EXCEPTION 'A campaign cannot move from % to % (campaign %).', "
                "OLD.status, NEW.status, OLD.id;",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_final(self) -> bool:
        """Whether it has ended; retrying failed runs may open a done one again."""
        return self.status in (CampaignStatus.DONE, CampaignStatus.CANCELLED)

    @property
    def window(self) -> str:
        """The hours in which its runs may start, such as "09:00–17:00 Europe/Berlin"; "" for any."""
        if self.window_from is None or self.window_to is None:
            return ""
        return f"{self.window_from:%H:%M}–{self.window_to:%H:%M} {self.window_zone}"


class Recipient(models.Model):
    """One recipient of a campaign, or one line of what was sent that could be none (`fault`).

    Its run's id is drawn when it is staged: so a portion that was made already can't be made again, and
    whoever looks for a recipient's run needs no index. `line` counts from 1 as a person would in the file.
    """

    run_id = models.BigIntegerField(
        primary_key=True, db_default=Func(Value("runs_run_id_seq"), function="nextval")
    )
    # Checking a constraint would take as long as copying a hundred thousand recipients in.
    campaign = models.ForeignKey(
        Campaign, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="recipients"
    )
    line = models.PositiveIntegerField()
    key = models.CharField(max_length=KEY_LENGTH, db_collation="C")
    parameters = models.JSONField(default=dict)
    is_active = models.BooleanField(default=True)
    dedup_key = models.CharField(max_length=200, null=True)
    concurrency_key = models.CharField(max_length=200, null=True)
    fault = models.JSONField(null=True)

    class Meta:
        ordering: ClassVar = ["run_id"]
        default_permissions: ClassVar = ()
        indexes: ClassVar = [
            models.Index(name="recipient_key", fields=["campaign", "key", "run_id"]),
            models.Index(
                name="recipient_fault", fields=["campaign", "run_id"], condition=Q(fault__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.key


class CampaignTally(models.Model):
    """How many runs of a campaign ended how, up to the last fold; `TallyDelta` has what came since."""

    campaign = models.OneToOneField(
        Campaign, primary_key=True, on_delete=models.CASCADE, related_name="tally"
    )
    succeeded = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    cancelled = models.BigIntegerField(default=0)
    skipped = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"tally of campaign {self.campaign_id}"


class CampaignPace(models.Model):
    """The ended runs of a campaign in ten seconds that begin `at`: what its picture and its ETA are made of."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="+", db_index=False)
    at = models.DateTimeField()
    succeeded = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    other = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="campaignpace_once", fields=["campaign", "at"]),
        ]

    def __str__(self) -> str:
        return f"pace of campaign {self.campaign_id} at {self.at.isoformat()}"


class ResultSum(models.Model):
    """The sum of a numeric field over results of a campaign's runs.

    Rows are appended by the statement that ends runs; the sweep folds them into one row a field. What counts
    is the sum over all rows.
    """

    campaign_id = models.BigIntegerField(db_index=True)
    field = models.CharField(max_length=60)
    sum = models.FloatField()
    runs = models.BigIntegerField()
    is_folded = models.BooleanField(db_default=False)

    class Meta:
        default_permissions: ClassVar = ()
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="resultsum_once", fields=["campaign_id", "field"], condition=Q(is_folded=True)
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="resultsum_new", fields=["id"], condition=Q(is_folded=False)),
        ]

    def __str__(self) -> str:
        return f"{self.field} of campaign {self.campaign_id}"
