"""Worker, its slots, and the heartbeats of processes that there need be only one of."""

import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class Worker(models.Model):
    """A Celery worker process, and the lease by which all its runs are believed alive.

    One row a worker, renewed by its heartbeat process: a run's lease is its worker's, so that renewing
    rewrites no run. A worker whose lease has passed gets a new row, never its old one back.
    """

    node = models.UUIDField(default=uuid.uuid4)
    name = models.CharField(max_length=200)
    hostname = models.CharField(max_length=200)
    pid = models.IntegerField()
    lanes = ArrayField(models.CharField(max_length=10))
    concurrency = models.PositiveIntegerField()
    commit = models.CharField(max_length=60, blank=True, default="")
    started_at = models.DateTimeField(db_default=Now())
    heartbeat_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField()
    ready_at = models.DateTimeField(null=True)
    stopping_at = models.DateTimeField(null=True)
    # Since when, and by whose wish, it takes no more work, until somebody takes that back (`runs.workers.drain`).
    draining_at = models.DateTimeField(null=True)
    drained_by = models.CharField(max_length=200, blank=True, default="", db_default="")
    # What its processes hold of the machine's memory, as one of its last heartbeats found it.
    memory_bytes = models.BigIntegerField(null=True)
    # When it was last asked whether it is there, and when it said so (`runs.pinging`).
    pinged_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(name="worker_node", fields=["node"]),
            models.Index(name="worker_lease", fields=["lease_until"]),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def ping_seconds(self) -> float | None:
        """How long its last ping was under way; None without an answer."""
        if self.pinged_at is None or self.answered_at is None:
            return None
        return (self.answered_at - self.pinged_at).total_seconds()


class WorkerProcess(models.Model):
    """One child of a worker, a slot, in which one run goes on at a time.

    `announced` is the claim token up to which execution was announced: what a dead process had claimed
    beyond it was never started and goes back without an attempt.
    """

    worker = models.ForeignKey(Worker, on_delete=models.CASCADE, related_name="processes")
    pid = models.IntegerField()
    announced = models.BigIntegerField(default=0)
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.worker}:{self.pid}"


class Heartbeat(models.Model):
    """When a process that there need be only one of was last alive: a beat (`beat:<id>`) or the sweep."""

    name = models.CharField(max_length=100, primary_key=True)
    at = models.DateTimeField()
    since = models.DateTimeField(db_default=Now())
    detail = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.name
