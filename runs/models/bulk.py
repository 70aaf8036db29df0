"""BulkOperation: one act on many runs, which goes on in the background and can be stopped."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from triggers.models import ApiKey


class BulkOperation(models.Model):
    """What is done to all the runs that were chosen, by whom, and how far it has come (`runs.bulk`).

    `filter` says in words what was chosen; `done` counts the runs that it changed or launched, `looked_at` also those
    that meanwhile had no need of it or refused, the last of them with `refusal`.
    """

    class Act(models.TextChoices):
        CANCEL = "cancel"
        RETRY = "retry"
        PRIORITY = "priority"

    act = models.CharField(max_length=10, choices=Act)
    priority = models.PositiveSmallIntegerField(null=True)
    filter = models.CharField(max_length=500)
    total = models.PositiveIntegerField(default=0)
    looked_at = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    refusal = models.CharField(max_length=300, blank=True, default="")
    by = models.CharField(max_length=200)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    stopped_by = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["-id"]
        default_permissions: ClassVar = ("view",)
        constraints: ClassVar = [
            models.CheckConstraint(
                name="bulkoperation_priority",
                condition=Q(act="priority", priority__isnull=False)
                | (~Q(act="priority") & Q(priority__isnull=True)),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="bulkoperation_open", fields=["id"], condition=Q(finished_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"operation {self.pk}: {self.words}"

    @property
    def words(self) -> str:
        """The act, for people."""
        return f"change the priority to {self.priority}" if self.act == "priority" else str(self.act)

    @property
    def state(self) -> str:
        """running, stopped or done."""
        if self.finished_at is None:
            return "running"
        return "stopped" if self.stopped_by else "done"


class BulkTarget(models.Model):
    """A run that an operation has still to act on."""

    operation = models.ForeignKey(BulkOperation, on_delete=models.CASCADE, related_name="targets")
    run_id = models.BigIntegerField()

    class Meta:
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return f"run {self.run_id} of operation {self.operation_id}"
