"""Occurrence: the ledger of schedules."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from triggers.models.trigger import Trigger


class Occurrence(models.Model):
    """One slot of one schedule and what became of it: the ledger, and the guard against firing twice.

    `by` is who asked for a slot to be run after all (`due` until its turn comes), or dismissed it; `fired_at`
    is when its run was launched, so that how late that was can be seen.

    `run_id` is no foreign key, because runs point here and not the other way, and because pruning a run
    must not reopen its slot.
    """

    class Outcome(models.TextChoices):
        FIRED = "fired"
        SKIPPED = "skipped"
        MISSED = "missed"
        DISMISSED = "dismissed"
        DUE = "due"
        WAITING = "waiting"  # for the runs that the schedule needs, until `until`

    trigger = models.ForeignKey(Trigger, on_delete=models.CASCADE, related_name="occurrences")
    slot = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=Outcome)
    reason = models.CharField(max_length=300, blank=True, default="")
    run_id = models.BigIntegerField(null=True)
    by = models.CharField(max_length=200, blank=True, default="", db_default="")
    fired_at = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="occurrence_once_a_slot", fields=["trigger", "slot"]),
            models.CheckConstraint(
                name="occurrence_outcome_known",
                condition=Q(outcome__in=("fired", "skipped", "missed", "dismissed", "due", "waiting")),
            ),
        ]
        indexes: ClassVar = [
            # The exceptions, which people look for among many that simply ran.
            models.Index(
                name="occurrence_not_fired",
                fields=["-id"],
                condition=Q(outcome__in=("skipped", "missed", "dismissed", "due", "waiting")),
            ),
            models.Index(name="occurrence_missed", fields=["trigger", "slot"], condition=Q(outcome="missed")),
            models.Index(name="occurrence_due", fields=["trigger", "slot"], condition=Q(outcome="due")),
            models.Index(name="occurrence_newest", fields=["trigger", "-id"]),
            models.Index(
                name="occurrence_waiting", fields=["trigger", "until"], condition=Q(outcome="waiting")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.slot.isoformat()} {self.outcome}"
