"""Run: one instance of a job, from launch to a final status."""

from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, Q, Value, When
from django.db.models.functions import Now

from jobs import priority as priorities
from jobs.models import Job
from runs.models.campaign import Campaign
from runs.models.lane import ClaimGroup
from runs.models.names import run_id, run_name
from runs.models.target import TARGET_LENGTH
from runs.models.trigger_kind import TriggerKind
from runs.models.worker import WorkerProcess
from runs.status import FINAL, MOVES, OPEN, FailureReason, Status
from triggers.models import ApiKey, Trigger

# What caused a run may be deleted before it (`runs.retention`): its number stays, as plain history.
_HISTORY: Any = {"on_delete": models.DO_NOTHING, "db_constraint": False, "db_index": False}
# Whether a job ended today, however many runs it had before (`runs.awaiting`). A campaign's pay nothing.
_ENDED = Q(campaign__isnull=True, finished_at__isnull=False)
# Those of campaigns are found by their recipients, which costs them nothing.
_FOR_TARGET = Q(target__isnull=False, campaign__isnull=True, status__in=OPEN)
_NOTABLE = Q(status__in=(Status.FAILED, Status.CANCELLED, Status.SKIPPED))
_ALLOWED_MOVES = ", ".join(f"'{old}>{new}'" for old, news in MOVES.items() for new in news)


class RunQuerySet(models.QuerySet["Run"]):
    """Adjectives for runs."""

    def open(self) -> Self:
        """Runs that have not ended."""
        return self.filter(status__in=OPEN)

    def final(self) -> Self:
        """Runs that have ended."""
        return self.filter(status__in=FINAL)

    def due(self, now: datetime) -> Self:
        """Scheduled and waiting runs whose time has come."""
        return self.filter(status__in=(Status.SCHEDULED, Status.WAITING), due_at__lte=now)

    def named(self, text: str) -> Self:
        """The run whose id or computed name is `text`, as a QuerySet of none or one."""
        number = run_id(text)
        found = self.none() if number is None else self.filter(pk=number)
        if text.isdigit():
            return found
        return found if any(run.name == text for run in found.select_related("job")) else self.none()


class Run(models.Model):
    """One instance of a job, from launch to a final status, and for ever who or what started it.

    `status` is written by `runs.lifecycle` only, rows are made by `runs.launch` only. `claim_token` grows
    with each claim and fences: who finishes must still hold it. `attempts` holds what came before the
    attempt that the row itself describes.
    """

    Status = Status
    FailureReason = FailureReason
    TriggerKind = TriggerKind

    # Whether these are there is checked once a statement (the trigger `has_group`): a constraint would check it
    # for each of a campaign's hundred thousand runs, which took a quarter of the time of making them.
    job = models.ForeignKey(
        Job, on_delete=models.PROTECT, related_name="runs", db_index=False, db_constraint=False
    )
    job_version = models.PositiveIntegerField(default=1)
    group = models.ForeignKey(
        ClaimGroup, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    status = models.CharField(max_length=10, choices=Status)
    priority = models.PositiveSmallIntegerField()
    lane = models.GeneratedField(
        expression=Case(
            When(priority__lte=priorities.HIGH_UNTIL, then=Value("high")),
            When(priority__lt=priorities.LAST, then=Value("default")),
            default=Value("bulk"),
        ),
        output_field=models.CharField(max_length=10),
        db_persist=True,
    )

    # Why it exists.
    trigger_kind = models.CharField(max_length=50, choices=TriggerKind, db_default=TriggerKind.MANUAL)
    trigger = models.ForeignKey(
        Trigger, null=True, on_delete=models.SET_NULL, related_name="runs", db_index=False
    )
    trigger_name = models.CharField(max_length=200, blank=True, default="")
    cause = models.CharField(max_length=500)
    slot = models.DateTimeField(null=True)
    api_key = models.ForeignKey(
        ApiKey, null=True, on_delete=models.SET_NULL, related_name="runs", db_index=False
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    parent = models.ForeignKey("self", null=True, related_name="children", **_HISTORY)
    root = models.ForeignKey("self", null=True, related_name="descendants", **_HISTORY)
    retry_of = models.ForeignKey("self", null=True, related_name="retries", **_HISTORY)
    # No constraint: checking it for each of a campaign's runs would cost more than making them.
    campaign = models.ForeignKey(
        Campaign,
        null=True,
        on_delete=models.DO_NOTHING,
        related_name="runs",
        db_index=False,
        db_constraint=False,
    )
    # How many runs caused by runs lie between it and the first one (`runs.launch` stops loops by it).
    hops = models.PositiveSmallIntegerField(default=0, db_default=0)
    context = models.JSONField(default=dict)

    # What it is given.
    parameters = models.JSONField(default=dict)
    target = models.CharField(max_length=TARGET_LENGTH, null=True)
    tags = ArrayField(models.CharField(max_length=60), default=list)
    metadata = models.JSONField(default=dict)
    dedup_key = models.CharField(max_length=200, null=True)
    # Whether it was launched while its job's dedup mode was to keep the last.
    keeps_last = models.BooleanField(default=False, db_default=False)
    concurrency_key = models.CharField(max_length=200, null=True)
    persistent = models.BooleanField(default=False)
    retain_for_seconds = models.PositiveBigIntegerField(null=True)

    # How it goes.
    attempt = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=1)
    failed_attempts = models.PositiveSmallIntegerField(default=0)
    lost_attempts = models.PositiveSmallIntegerField(default=0)
    attempts = models.JSONField(default=list)
    claim_token = models.BigIntegerField(null=True)
    process = models.ForeignKey(
        WorkerProcess, null=True, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False
    )
    worker = models.CharField(max_length=200, blank=True, default="")
    progress = models.JSONField(null=True)
    next_step = models.CharField(max_length=200, null=True)
    state = models.JSONField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    cancelled_by = models.CharField(max_length=200, blank=True, default="")

    # What came of it.
    result = models.JSONField(null=True)
    failure_reason = models.CharField(max_length=20, choices=FailureReason, null=True)
    error = models.JSONField(null=True)
    skip_reason = models.CharField(max_length=300, blank=True, default="")

    # When. `due_at` is when the sweep moves a scheduled or waiting run on.
    created_at = models.DateTimeField(db_default=Now())
    run_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    queued_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    # Outside engines (S3).
    engine = models.CharField(max_length=40, null=True)
    external_id = models.CharField(max_length=200, null=True)
    external_status = models.CharField(max_length=60, null=True)
    synced_at = models.DateTimeField(null=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        default_permissions: ClassVar = ("view", "delete")
        permissions: ClassVar = [
            ("cancel_run", "Can cancel run"),
            ("retry_run", "Can retry run"),
            ("prioritise_run", "Can change the priority of run"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(name="run_status_known", condition=Q(status__in=Status.values)),
            models.CheckConstraint(name="run_kind_known", condition=Q(trigger_kind__in=TriggerKind.values)),
            models.CheckConstraint(
                name="run_priority_range", condition=Q(priority__range=(priorities.FIRST, priorities.LAST))
            ),
            models.CheckConstraint(
                name="run_failed_has_reason",
                condition=Q(
                    status=Status.FAILED,
                    failure_reason__isnull=False,  # or NULL would pass: a CHECK refuses only what is false
                    failure_reason__in=FailureReason.values,
                )
                | (~Q(status=Status.FAILED) & Q(failure_reason__isnull=True)),
            ),
            models.CheckConstraint(
                name="run_final_has_end",
                condition=Q(status__in=FINAL, finished_at__isnull=False)
                | (~Q(status__in=FINAL) & Q(finished_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="run_running_has_claim",
                condition=~Q(status=Status.RUNNING)
                | Q(claim_token__isnull=False)
                | Q(external_id__isnull=False),
            ),
            models.CheckConstraint(
                name="run_scheduled_has_due",
                condition=~Q(status=Status.SCHEDULED) | Q(due_at__isnull=False),
            ),
            models.CheckConstraint(
                name="run_skipped_has_reason",
                condition=~Q(status=Status.SKIPPED) | ~Q(skip_reason=""),
            ),
            models.CheckConstraint(name="run_empty_is_null", condition=~Q(dedup_key="") & ~Q(target="")),
            # The dedup key: at most one open run for each job and key (product.md) …
            models.UniqueConstraint(
                name="run_dedup_alone",
                fields=["job", "dedup_key"],
                condition=Q(dedup_key__isnull=False, keeps_last=False, status__in=OPEN),
            ),
            # … or one that waits for its start and one that was started, which is one that ever was claimed.
            models.UniqueConstraint(
                name="run_dedup_waiting",
                fields=["job", "dedup_key"],
                condition=Q(
                    dedup_key__isnull=False, keeps_last=True, claim_token__isnull=True, status__in=OPEN
                ),
            ),
            models.UniqueConstraint(
                name="run_dedup_started",
                fields=["job", "dedup_key"],
                condition=Q(
                    dedup_key__isnull=False, keeps_last=True, claim_token__isnull=False, status__in=OPEN
                ),
            ),
            # A schedule fires once a slot, whatever the number of beats.
            models.UniqueConstraint(
                name="run_once_a_slot", fields=["trigger", "slot"], condition=Q(slot__isnull=False)
            ),
            # What follows a run follows it once, whoever looks and how often.
            models.UniqueConstraint(
                name="run_follows_once",
                fields=["trigger", "parent"],
                condition=Q(trigger_kind=TriggerKind.DEPENDENCY, parent__isnull=False),
            ),
        ]
        # Every change of status rewrites every index that has the row: few, partial, and none on JSON.
        indexes: ClassVar = [
            models.Index(
                name="run_queue",
                fields=["lane", "group", "priority", "id"],
                condition=Q(status=Status.QUEUED),
            ),
            models.Index(
                name="run_key_queue",
                fields=["group", "concurrency_key", "lane", "priority", "id"],
                condition=Q(status=Status.QUEUED, concurrency_key__isnull=False),
            ),
            models.Index(
                name="run_due", fields=["due_at"], condition=Q(status__in=(Status.SCHEDULED, Status.WAITING))
            ),
            models.Index(name="run_open_of_target", fields=["target"], condition=_FOR_TARGET),
            models.Index(name="run_active", fields=["job", "concurrency_key"], condition=Q(status="running")),
            # Ids ascend: pages that new rows are put behind are full, those that they are put before half empty.
            models.Index(name="run_of_job", fields=["job", "id"]),
            models.Index(name="run_created", fields=["created_at"]),
            models.Index(name="run_ended_of_job", fields=["job", "finished_at"], condition=_ENDED),
            models.Index(name="run_notable", fields=["status", "-id"], condition=_NOTABLE),
            models.Index(
                name="run_kind", fields=["trigger_kind", "-id"], condition=~Q(trigger_kind="campaign")
            ),
            models.Index(name="run_trigger", fields=["trigger", "-id"], condition=Q(trigger__isnull=False)),
            # Whether a schedule's run before is still open, however many it had.
            models.Index(
                name="run_open_of_trigger",
                fields=["trigger"],
                condition=Q(trigger__isnull=False, status__in=OPEN),
            ),
            models.Index(name="run_key", fields=["api_key", "-id"], condition=Q(api_key__isnull=False)),
            models.Index(name="run_by", fields=["created_by"], condition=Q(created_by__isnull=False)),
            models.Index(name="run_parent", fields=["parent"], condition=Q(parent__isnull=False)),
            models.Index(name="run_root", fields=["root", "-id"], condition=Q(root__isnull=False)),
            models.Index(name="run_retry_of", fields=["retry_of"], condition=Q(retry_of__isnull=False)),
            models.Index(
                name="run_retained",
                fields=["id"],
                condition=Q(persistent=False, retain_for_seconds__isnull=False),
            ),
            models.Index(
                name="run_of_campaign", fields=["campaign", "id"], condition=Q(campaign__isnull=False)
            ),
            models.Index(
                name="run_campaign_failed",
                fields=["campaign", "-id"],
                condition=Q(campaign__isnull=False, status=Status.FAILED),
            ),
        ]
        triggers: ClassVar = [
            # Which moves are refused is its condition, which costs a microsecond a row, and not its function,
            # which would cost fifteen.
            pgtrigger.Trigger(
                name="moves",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "(OLD.status IS DISTINCT FROM NEW.status"
                    f" AND OLD.status || '>' || NEW.status NOT IN ({_ALLOWED_MOVES}))"
                ),
                func="RAISE EXCEPTION 'A run cannot move from % to % (run %).', OLD.status, NEW.status, OLD.id;",
            ),
            # A group has a job by a constraint of its own, and can't go while it has runs (ClaimGroup). Locked, so
            # that nobody deletes it before these runs can be seen.
            pgtrigger.Trigger(
                name="has_group",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                referencing=pgtrigger.Referencing(new="made"),  # type: ignore[no-untyped-call]
                declare=[("one", "record")],
                func="""
                    FOR one IN SELECT DISTINCT m.job_id, m.group_id FROM made m LOOP
                        PERFORM FROM runs_claimgroup g
                        WHERE g.id = one.group_id AND g.job_id = one.job_id FOR KEY SHARE;
                        IF NOT FOUND THEN
                            RAISE foreign_key_violation USING MESSAGE =
                                format('There is no claim group %s of a job %s.', one.group_id, one.job_id);
                        END IF;
                    END LOOP;
                    RETURN NULL;""",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The computed name, which says by itself what kind of cause the run had (product.md, Run name)."""
        return run_name(
            kind=self.trigger_kind, slug=self.job.slug, created_at=self.created_at, number=self.pk
        )

    @property
    def is_final(self) -> bool:
        """Whether the run has ended; final is final."""
        return self.status in FINAL

    @property
    def is_cancelling(self) -> bool:
        """Whether a cancel was asked of a run that is still open."""
        return self.cancel_requested_at is not None and not self.is_final

    @property
    def wait(self) -> timedelta | None:
        """From the latest move into queued to the start."""
        if self.queued_at is None or self.started_at is None or self.started_at < self.queued_at:
            return None
        return self.started_at - self.queued_at

    @property
    def duration(self) -> timedelta | None:
        """From the start of the last attempt to the end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at

    @property
    def retry_at(self) -> datetime | None:
        """When the next attempt is due, while the run waits between two."""
        return self.due_at if self.status == Status.SCHEDULED and self.attempt else None

    @property
    def resume_at(self) -> datetime | None:
        """When a waiting run goes on."""
        return self.due_at if self.status == Status.WAITING else None

    def history(self) -> list[dict[str, Any]]:
        """All attempts, the oldest first; the last is what the row itself says.

        An attempt that was given back or lost is known by its start: its number is used again.
        """
        if self.started_at is None or self._is_recorded(self.started_at):
            return list(self.attempts)
        outcome = "running" if self.status == Status.RUNNING else self.failure_reason or self.status
        last = {
            "attempt": self.attempt,
            "outcome": outcome,
            "worker": self.worker,
            "queued_at": self.queued_at.isoformat() if self.queued_at else None,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
            "error": self.error,
        }
        return [*self.attempts, last]

    def _is_recorded(self, started_at: datetime) -> bool:
        """Whether the attempt that began then is among those that came before."""
        begun = self.attempts[-1].get("started_at") if self.attempts else None
        return begun is not None and datetime.fromisoformat(begun) == started_at
