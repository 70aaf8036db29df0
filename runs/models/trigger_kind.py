"""TriggerKind: the one word for why a run exists."""

from django.db import models


class TriggerKind(models.TextChoices):
    """Why a run exists (product.md, Trigger kind)."""

    MANUAL = "manual"
    REMOTE = "remote"
    SCHEDULE = "schedule"
    DEPENDENCY = "dependency"
    EVENT = "event"
    CAMPAIGN = "campaign"
