"""Delivery: what came to the address of an event trigger, and what became of it."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from triggers.models.trigger import Trigger


class Delivery(models.Model):
    """One message to an address. `key` is the sender's id of it, and unique: a repetition starts nothing.

    What could not be verified is kept without its body, and only so much of it (`runs.deliveries`).
    """

    class Verdict(models.TextChoices):
        ACCEPTED = "accepted"
        CHALLENGE = "challenge"
        UNREADABLE = "unreadable"
        REFUSED = "refused"

    trigger = models.ForeignKey(Trigger, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    key = models.CharField(max_length=200, null=True)
    event = models.CharField(max_length=100, blank=True, default="")
    verdict = models.CharField(max_length=10, choices=Verdict)
    reason = models.CharField(max_length=500, blank=True, default="")
    address = models.GenericIPAddressField(null=True)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=bytes)
    size = models.PositiveIntegerField(default=0)
    repeats = models.PositiveIntegerField(default=0)
    is_test = models.BooleanField(default=False)
    answer = models.JSONField(null=True)
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "deliveries"
        ordering: ClassVar = ["-id"]
        default_permissions: ClassVar = ("view",)
        constraints: ClassVar = [
            models.UniqueConstraint(name="delivery_once_a_key", fields=["trigger", "key"]),
            models.CheckConstraint(
                name="delivery_verdict_known",
                condition=Q(verdict__in=("accepted", "challenge", "unreadable", "refused")),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="delivery_of_trigger", fields=["trigger", "id"]),
            models.Index(name="delivery_refused", fields=["trigger", "id"], condition=Q(verdict="refused")),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"


class Batch(models.Model):
    """Deliveries that are gathered for one run, due at an instant or when there are enough of them."""

    trigger = models.ForeignKey(Trigger, on_delete=models.CASCADE, related_name="batches", db_index=False)
    key = models.CharField(max_length=200, blank=True, default="")
    count = models.PositiveIntegerField(default=1)
    size = models.PositiveBigIntegerField(default=0)
    opened_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "batches"
        default_permissions: ClassVar = ()
        constraints: ClassVar = [
            models.UniqueConstraint(name="batch_one_open_a_key", fields=["trigger", "key"]),
            models.CheckConstraint(name="batch_due_later", condition=Q(due_at__gte=F("opened_at"))),
        ]

    def __str__(self) -> str:
        return f"batch {self.pk}"


class Reaction(models.Model):
    """What one trigger made of one delivery: a run, nothing and why, or a place in a batch.

    `run_id` is no foreign key, because runs point here and not the other way. `by` says who replayed it.
    """

    class Outcome(models.TextChoices):
        FIRED = "fired"
        SKIPPED = "skipped"
        PENDING = "pending"

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="reactions")
    trigger = models.ForeignKey(Trigger, on_delete=models.CASCADE, related_name="reactions", db_index=False)
    outcome = models.CharField(max_length=10, choices=Outcome)
    reason = models.CharField(max_length=500, blank=True, default="")
    run_id = models.BigIntegerField(null=True)
    batch = models.ForeignKey(Batch, on_delete=models.SET_NULL, null=True, related_name="reactions")
    by = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar = ["id"]
        default_permissions: ClassVar = ()
        constraints: ClassVar = [
            models.CheckConstraint(
                name="reaction_outcome_known", condition=Q(outcome__in=("fired", "skipped", "pending"))
            ),
        ]
        indexes: ClassVar = [models.Index(name="reaction_of_trigger", fields=["trigger", "id"])]

    def __str__(self) -> str:
        return f"{self.outcome} by trigger {self.trigger_id}"
