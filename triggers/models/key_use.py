"""KeyUse: how often a key was used, by job and hour. RateLimit: when a limited key or trigger is free again."""

from typing import ClassVar

from django.db import models

from jobs.models import Job
from triggers.models.api_key import ApiKey


class KeyUse(models.Model):
    """Calls and launches with a key within an hour, for a job, or for none in particular.

    Written by `triggers.key_use` every few seconds and not by each call.
    """

    id = models.BigAutoField(primary_key=True)
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="uses")
    job = models.ForeignKey(Job, null=True, on_delete=models.CASCADE, related_name="+")
    hour = models.DateTimeField()
    calls = models.BigIntegerField(default=0)
    launches = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ()
        indexes: ClassVar = [models.Index(name="keyuse_hour", fields=["hour"])]
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="keyuse_one_an_hour", fields=["key", "hour", "job"], nulls_distinct=False
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} at {self.hour:%Y-%m-%d %H}h"


class RateLimit(models.Model):
    """When the calls that a key or trigger (`key:7`, `trigger:7`) was allowed so far are worked off.

    A row whose time has passed says the same as none (`triggers.limits`).
    """

    subject = models.CharField(max_length=40, primary_key=True)
    free_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.subject
