"""Ending and Following: the intent to launch what follows an ended run, and what became of it."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from jobs.models import Job
from triggers.models import Trigger


class Ending(models.Model):
    """An ended run whose dependents have not been looked at yet.

    Written by the statement that ends the run, if its job is the upstream of anything, and deleted by the
    transaction that follows it (`runs.followers`): whoever dies in between leaves the row to the sweep.
    """

    run_id = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"end of run {self.run_id}"


class Following(models.Model):
    """One ended run and one dependency trigger that watches its job: the run it led to, or why none.

    `upstream_id` and `run_id` are no foreign keys, because pruning runs must not rewrite what happened.
    """

    class Outcome(models.TextChoices):
        FIRED = "fired"
        SKIPPED = "skipped"
        PENDING = "pending"  # it waits for the trigger's other upstreams

    trigger = models.ForeignKey(Trigger, on_delete=models.CASCADE, related_name="followings", db_index=False)
    upstream_id = models.BigIntegerField(db_index=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="+", db_index=False)
    status = models.CharField(max_length=10)
    ended_at = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=Outcome)
    reason = models.CharField(max_length=500, blank=True, default="")
    run_id = models.BigIntegerField(null=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(name="following_once", fields=["trigger", "upstream_id"]),
            models.CheckConstraint(
                name="following_outcome_known",
                condition=Q(outcome="fired", run_id__isnull=False)
                | (Q(outcome__in=("skipped", "pending")) & ~Q(reason="")),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="following_history", fields=["trigger", "-id"]),
            models.Index(name="following_job", fields=["job"]),
            models.Index(
                name="following_pending", fields=["trigger", "ended_at"], condition=Q(outcome="pending")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.outcome} after run {self.upstream_id}"
