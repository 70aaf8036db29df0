"""Secret: what the sender of events signs with."""

from datetime import datetime
from typing import ClassVar, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from triggers.models.trigger import Trigger


class SecretQuerySet(models.QuerySet["Secret"]):
    """Adjectives for secrets."""

    def valid(self, now: datetime) -> Self:
        """Those that a sender may sign with at `now`, the newest first."""
        return self.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now)).order_by("-pk")


class Secret(models.Model):
    """A secret of a trigger's address, sealed by the vault; several are valid at once while one is replaced."""

    trigger = models.ForeignKey(Trigger, on_delete=models.CASCADE, related_name="secrets")
    sealed = models.TextField(editable=False)
    key_id = models.CharField(max_length=8, editable=False, db_index=True)
    expires_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = SecretQuerySet.as_manager()

    class Meta:
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return f"secret {self.pk} of trigger {self.trigger_id}"

    @property
    def place(self) -> str:
        """What it is sealed for: it opens for this trigger only."""
        return f"trigger:{self.trigger.public_id}"
