"""Lane and ClaimGroup: what queued runs are held back by together."""

from typing import ClassVar

import pgtrigger
from django.db import models
from django.db.models import Q

from jobs import priority as priorities
from jobs.models import Job
from runs.models.campaign import Campaign
from runs.models.target import TARGET_LENGTH


class Lane(models.Model):
    """A priority class with a Celery queue of its own, and whether it may start work."""

    name = models.CharField(max_length=10, primary_key=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=200, blank=True, default="")
    paused_reason = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="lane_known", condition=Q(name__in=priorities.LANES)),
        ]

    def __str__(self) -> str:
        return self.name


class LanePace(models.Model):
    """How many runs were launched and ended in a lane in the minute that begins `at` (`runs.throughput`).

    `waits` are those of the ended ones that had started: counts by bucket (`runs.histogram`).
    """

    lane = models.CharField(max_length=10)
    at = models.DateTimeField()
    launched = models.BigIntegerField(default=0)
    ended = models.BigIntegerField(default=0)
    waits = models.JSONField(default=dict, db_default={})

    class Meta:
        default_permissions: ClassVar = ()
        constraints: ClassVar = [models.UniqueConstraint(name="lanepace_once", fields=["at", "lane"])]

    def __str__(self) -> str:
        return f"pace of lane {self.lane} at {self.at.isoformat()}"


class ClaimGroup(models.Model):
    """Runs that are held back together: one for each job, and one for each campaign.

    A claim looks at the head of each group that has queued runs, so that a hundred thousand runs of a
    paused or limited job cost it one look and never stand before the others. Runs whose concurrency key is
    taken are put aside into a second group (`is_held`), until a run of their key ends (`runs.holding`); those
    for a target that was paused are in one of that `target` (`runs.targets`).
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="+")
    is_held = models.BooleanField(default=False, db_default=False)
    campaign = models.ForeignKey(Campaign, null=True, on_delete=models.CASCADE, related_name="+")
    target = models.CharField(max_length=TARGET_LENGTH, null=True)
    # Until when the permits of a campaign's rate are used up (GCRA: its theoretical arrival time).
    paced_until = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="claimgroup_once", fields=["job", "is_held", "campaign", "target"], nulls_distinct=False
            ),
        ]
        triggers: ClassVar = [
            # The other half of the trigger `has_group` of Run, which stands for a constraint.
            pgtrigger.Trigger(
                name="has_no_runs",
                when=pgtrigger.Before,
                operation=pgtrigger.Delete,
                func="""
                    IF EXISTS (SELECT FROM runs_run r WHERE r.job_id = OLD.job_id AND r.group_id = OLD.id) THEN
                        RAISE foreign_key_violation USING MESSAGE =
                            format('There are runs of the claim group %s of the job %s.', OLD.id, OLD.job_id);
                    END IF;
                    RETURN OLD;""",
            ),
        ]

    def __str__(self) -> str:
        return f"group {self.pk} of job {self.job_id}"


class JobStart(models.Model):
    """A start of a job that may start only so often; kept for as long as it counts."""

    job = models.ForeignKey(
        Job, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    at = models.DateTimeField()

    class Meta:
        default_permissions: ClassVar = ()
        indexes: ClassVar = [models.Index(name="jobstart_newest", fields=["job", "-at"])]

    def __str__(self) -> str:
        return f"start of job {self.job_id}"
