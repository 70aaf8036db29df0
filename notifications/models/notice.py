"""Notice: that there is something to tell; and what must be remembered of what was told before."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from jobs.models import Job
from notifications.models.occasion import Occasion
from notifications.models.rule import Rule
from triggers.models import Trigger


class Notice(models.Model):
    """Something happened that a rule wants told; written in the transaction in which it happened (`outbox`).

    `once` names what happened, so that it can't be noted twice. `occasion` may also be `succeeded`: a success of a
    job whose last end was noted as failed, which makes the job recovered if it is the first one.
    `taken_at` is when messages were made of it (`runs.telling`). `run_id` is no foreign key: runs are pruned.
    """

    SUCCEEDED: ClassVar = "succeeded"

    occasion = models.CharField(max_length=20, choices=[*Occasion.choices, (SUCCEEDED, "A run succeeded")])
    once = models.CharField(max_length=80, unique=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="+")
    run_id = models.BigIntegerField(null=True)
    trigger = models.ForeignKey(Trigger, null=True, on_delete=models.CASCADE, related_name="+")
    detail = models.JSONField(default=dict, db_default={})
    at = models.DateTimeField(db_default=Now())
    taken_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["id"]
        default_permissions: ClassVar = ()
        indexes: ClassVar = [
            models.Index(name="notice_left", fields=["id"], condition=Q(taken_at=None)),
            # Asked by each settlement of a success, and by retention.
            models.Index(name="notice_failed", fields=["job"], condition=Q(taken_at=None, occasion="failed")),
            models.Index(name="notice_of_run", fields=["run_id"], condition=Q(taken_at=None)),
        ]

    def __str__(self) -> str:
        return self.once


class Failing(models.Model):
    """A job of which a failure was noted and no success since; deleted when its recovery is told."""

    job = models.OneToOneField(Job, on_delete=models.CASCADE, primary_key=True, related_name="+")
    run_id = models.BigIntegerField()
    since = models.DateTimeField()
    failures = models.PositiveIntegerField(default=1)

    class Meta:
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return f"job {self.job_id} since run {self.run_id}"


class Hush(models.Model):
    """What a rule told of a job last, and how much it has kept to itself since; until when it does."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="+", db_index=False)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="+")
    occasion = models.CharField(max_length=20, choices=Occasion)
    until = models.DateTimeField(db_index=True)
    kept = models.PositiveIntegerField(default=0)
    last = models.ForeignKey(Notice, null=True, on_delete=models.CASCADE, related_name="+")

    class Meta:
        default_permissions: ClassVar = ()
        constraints: ClassVar = [
            models.UniqueConstraint(name="hush_once", fields=["rule", "job", "occasion"]),
        ]

    def __str__(self) -> str:
        return f"{self.occasion} of job {self.job_id} until {self.until.isoformat()}"
