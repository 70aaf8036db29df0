"""Counters of ended runs; `runs.tallies` reads and folds them."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from jobs.models import Job


class Tally(models.Model):
    """How often each job's runs ended how, up to the last fold; `TallyDelta` has what came since."""

    job = models.OneToOneField(Job, primary_key=True, on_delete=models.CASCADE, related_name="tally")
    succeeded = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    cancelled = models.BigIntegerField(default=0)
    skipped = models.BigIntegerField(default=0)
    duration_seconds = models.FloatField(default=0)
    timed = models.BigIntegerField(default=0)
    last_run_id = models.BigIntegerField(null=True)
    last_run_at = models.DateTimeField(null=True)
    last_run_status = models.CharField(max_length=10, null=True)
    # What retention took away of them (`runs.retention`); they stay counted.
    pruned = models.BigIntegerField(default=0, db_default=0)
    pruned_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"tally of job {self.job_id}"


class TallyDelta(models.Model):
    """Ended runs, appended in the statement that ends them, so that no counter is a row all settles wait for."""

    job_id = models.BigIntegerField()
    trigger_id = models.BigIntegerField(null=True)
    campaign_id = models.BigIntegerField(null=True)
    trigger_kind = models.CharField(max_length=50)
    lane = models.CharField(max_length=10)
    status = models.CharField(max_length=10)
    runs = models.IntegerField()
    timed = models.IntegerField()
    duration_seconds = models.FloatField()
    wait_seconds = models.FloatField()
    # The buckets of how long each that had started waited and took (`runs.histogram`).
    waits = ArrayField(models.SmallIntegerField(), default=list, db_default=[])
    durations = ArrayField(models.SmallIntegerField(), default=list, db_default=[])
    last_run_id = models.BigIntegerField()
    last_run_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.runs} {self.status} of job {self.job_id}"


class HourlyTally(models.Model):
    """The ended runs of one hour by job, trigger, kind, lane and status: what charts and statistics read."""

    hour = models.DateTimeField()
    job_id = models.BigIntegerField()
    trigger_id = models.BigIntegerField(null=True)
    trigger_kind = models.CharField(max_length=50)
    lane = models.CharField(max_length=10)
    status = models.CharField(max_length=10)
    runs = models.BigIntegerField()
    timed = models.BigIntegerField()
    duration_seconds = models.FloatField()
    wait_seconds = models.FloatField()
    # How many of those that had started waited and took so long: counts by bucket (`runs.histogram`).
    waits = models.JSONField(default=dict, db_default={})
    durations = models.JSONField(default=dict, db_default={})

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="hourlytally_once",
                fields=["hour", "job_id", "trigger_id", "trigger_kind", "lane", "status"],
                nulls_distinct=False,
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                name="hourlytally_trigger",
                fields=["trigger_id", "hour"],
                condition=Q(trigger_id__isnull=False),
            ),
            models.Index(name="hourlytally_job", fields=["job_id", "hour"]),
        ]

    def __str__(self) -> str:
        return f"{self.hour.isoformat()}: {self.runs} {self.status} of job {self.job_id}"


class TriggerTally(models.Model):
    """The ended runs of each trigger, kind and lane since the site began: counters that only grow."""

    job_id = models.BigIntegerField()
    trigger_id = models.BigIntegerField(null=True)
    trigger_kind = models.CharField(max_length=50)
    lane = models.CharField(max_length=10)
    status = models.CharField(max_length=10)
    runs = models.BigIntegerField()
    timed = models.BigIntegerField()
    duration_seconds = models.FloatField()
    wait_seconds = models.FloatField()
    last_run_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="triggertally_once",
                fields=["trigger_id", "job_id", "trigger_kind", "lane", "status"],
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.runs} {self.status} of job {self.job_id} by {self.trigger_kind}"
