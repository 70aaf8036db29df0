"""What is written beside a run: its events, its log, what it can be found by, and the answer to its launch."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from runs.models.run import Run


class RunEvent(models.Model):
    """Something that happened to a run and is not plain: who asked for a cancel, when it was rescued, and so on."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=30)
    actor = models.CharField(max_length=200, blank=True, default="")
    detail = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.kind} of run {self.run_id}"


class LogChunk(models.Model):
    """Some lines of a run's log, in order: `lines` is a list of [seconds since the epoch, level, text].

    Line n of the chunk has the sequence number `first_seq + n`; numbers have no gaps within a run.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="log_chunks", db_index=False)
    attempt = models.PositiveSmallIntegerField()
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    size = models.PositiveIntegerField()
    lines = models.JSONField()

    class Meta:
        ordering: ClassVar = ["run_id", "first_seq"]
        constraints: ClassVar = [
            models.UniqueConstraint(name="logchunk_in_order", fields=["run", "first_seq"]),
        ]

    def __str__(self) -> str:
        return f"lines {self.first_seq}-{self.last_seq} of run {self.run_id}"


class RunLabel(models.Model):
    """What a run can be found by: a tag, a metadata key or a parameter, written once with the run."""

    class Kind(models.TextChoices):
        TAG = "tag"
        METADATA = "metadata"
        PARAMETER = "parameter"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="labels")
    kind = models.CharField(max_length=10, choices=Kind)
    key = models.CharField(max_length=100)
    value = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(name="label_search", fields=["kind", "key", "value", "-run"]),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}={self.value}"


class Idempotency(models.Model):
    """The first answer to a launching request, so that its repetition gets the same (api.md, Idempotency)."""

    credential = models.CharField(max_length=60)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    run = models.ForeignKey(Run, null=True, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="idempotency_once", fields=["credential", "key"]),
        ]
        indexes: ClassVar = [models.Index(name="idempotency_age", fields=["created_at"])]

    def __str__(self) -> str:
        return f"{self.credential} {self.key}"
