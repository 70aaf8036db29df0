"""Occasion: what people can have themselves told of."""

from django.db import models


class Occasion(models.TextChoices):
    """What happened; docs/notifications.md says exactly when each arises."""

    FAILED = "failed", "A run failed"
    RECOVERED = "recovered", "A job succeeds again"
    MISSED = "missed", "A schedule missed slots"
    DEADLINE = "deadline", "A deadline was breached"
    CIRCUIT_OPENED = "circuit_opened", "A circuit breaker opened"
    CAMPAIGN_STOPPED = "campaign_stopped", "A campaign stopped by itself"
    CAMPAIGN_DONE = "campaign_done", "A campaign is done"
