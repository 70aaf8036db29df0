"""PausedTarget: a recipient, a page or a customer for whom nothing is to be started."""

from typing import ClassVar, Final

from django.db import models
from django.db.models.functions import Now

TARGET_LENGTH: Final = 200  # of `Run.target`


class PausedTarget(models.Model):
    """A target that is paused, by name; one whose `paused_until` has passed is none any more."""

    name = models.CharField("target", max_length=TARGET_LENGTH, unique=True)
    paused_at = models.DateTimeField(db_default=Now())
    paused_by = models.CharField(max_length=200, blank=True, default="")
    paused_until = models.DateTimeField("until", null=True, blank=True)
    paused_reason = models.CharField("reason", max_length=500, blank=True, default="")

    class Meta:
        default_permissions: ClassVar = ("view", "change")
        ordering: ClassVar = ["-paused_at", "-id"]

    def __str__(self) -> str:
        return self.name
