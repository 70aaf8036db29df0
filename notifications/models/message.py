"""Message: one thing told to one channel; Sending: one attempt to get it there."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from jobs.models import Job
from notifications.models.channel import Channel
from notifications.models.notice import Notice
from notifications.models.occasion import Occasion
from notifications.models.rule import Rule

TEST = "test"


class Message(models.Model):
    """What a channel is told, as it will be sent each time: a due row until it is sent or given up.

    `public_id` is what receivers know it by, so that they can tell a repetition. `others` is how many more it stands
    for. `claimed_until` is set while somebody sends it; who dies meanwhile leaves it to the next one.
    """

    class Status(models.TextChoices):
        DUE = "due"
        SENT = "sent"
        FAILED = "failed"  # given up

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="messages", db_index=False)
    rule = models.ForeignKey(Rule, null=True, on_delete=models.SET_NULL, related_name="+")
    notice = models.ForeignKey(Notice, null=True, on_delete=models.CASCADE, related_name="+", db_index=False)
    occasion = models.CharField(max_length=20, choices=[*Occasion.choices, (TEST, "A test")])
    job = models.ForeignKey(Job, null=True, on_delete=models.CASCADE, related_name="+")
    run_id = models.BigIntegerField(null=True, db_index=True)
    others = models.PositiveIntegerField(default=0)
    subject = models.CharField(max_length=200)
    text = models.TextField()
    payload = models.JSONField()
    status = models.CharField(max_length=10, choices=Status, default=Status.DUE)
    due_at = models.DateTimeField(null=True, db_default=Now())
    claimed_until = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    # Of these, so many were before somebody had it sent again: they use up no patience.
    attempts_before = models.PositiveIntegerField(default=0, db_default=0)
    by = models.CharField(max_length=200, blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        default_permissions: ClassVar = ("view", "change")
        constraints: ClassVar = [
            models.UniqueConstraint(name="message_once", fields=["notice", "channel"]),
            models.CheckConstraint(
                name="message_due_or_ended",
                condition=Q(status="due", due_at__isnull=False, ended_at=None)
                | Q(status__in=("sent", "failed"), due_at=None, ended_at__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="message_due", fields=["due_at"], condition=Q(status="due")),
            models.Index(name="message_of_channel", fields=["channel", "-id"]),
            models.Index(name="message_failed", fields=["-id"], condition=Q(status="failed")),
        ]

    def __str__(self) -> str:
        return self.subject


class Sending(models.Model):
    """One attempt to get a message to its channel, entered before it is begun: what is lost with its sender shows."""

    class Outcome(models.TextChoices):
        BEGUN = "begun"
        SENT = "sent"
        FAILED = "failed"
        UNKNOWN = "unknown"  # whoever sent it died: it may have arrived

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="sendings")
    number = models.PositiveIntegerField()
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.BEGUN)
    status_code = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=500, blank=True, default="")
    at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.message_id}: {self.outcome}"

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        return (self.ended_at - self.at).total_seconds() if self.ended_at else None
