"""Deadline: until when a run must have started, or must have ended, and whether it did."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from jobs.models import Job
from runs.models.run import Run


class DeadlineKind(models.TextChoices):
    """What must have happened by then."""

    START = "start", "must start by"
    FINISH = "finish", "must finish by"


class Deadline(models.Model):
    """One promise about one run (docs/schedules.md, Deadlines), judged once, when its time has come.

    `is_breached` is null until then.
    """

    Kind = DeadlineKind

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="deadlines", db_index=False)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=6, choices=DeadlineKind)
    due_at = models.DateTimeField()
    is_breached = models.BooleanField(null=True)
    judged_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(name="deadline_once_a_run", fields=["run", "kind"]),
        ]
        indexes: ClassVar = [
            models.Index(name="deadline_due", fields=["due_at"], condition=Q(is_breached=None)),
            models.Index(name="deadline_breached", fields=["job", "-id"], condition=Q(is_breached=True)),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.due_at:%Y-%m-%d %H:%M:%S} UTC"

    @property
    def verdict(self) -> str:
        """Whether it was kept, in a word."""
        return {None: "to come", False: "kept", True: "breached"}[self.is_breached]
