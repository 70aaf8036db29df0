"""CampaignEvent: what was done to a campaign, by whom and when: the timeline that people read."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from runs.models.campaign import Campaign


class CampaignAct(models.TextChoices):
    """What can be done to a campaign, or what it does by itself."""

    ORDERED = "ordered"
    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    CHANGED = "changed"
    RETRIED = "retried"
    CANCELLED = "cancelled"
    ENDED = "ended"


class CampaignEvent(models.Model):
    """One act. `actor` is "" for what the campaign does by itself; written by `runs.campaigns` only."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="events", db_index=False)
    at = models.DateTimeField(db_default=Now())
    act = models.CharField(max_length=10, choices=CampaignAct)
    actor = models.CharField(max_length=200, blank=True, default="")
    detail = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["-id"]
        default_permissions: ClassVar = ()
        indexes: ClassVar = [models.Index(name="campaignevent_of", fields=["campaign", "id"])]

    def __str__(self) -> str:
        return f"campaign {self.campaign_id} {self.act}"
