"""ApiKey: by which a program acts for a person."""

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from jobs.models import Job


class Scope(models.TextChoices):
    """What an API key may do (api.md, Auth)."""

    READ = "read"
    RUN = "run"
    CANCEL = "cancel"
    WRITE = "write"


class ApiKey(models.Model):
    """A secret that lets a program act for its owner: stored hashed, shown once.

    `launches` is exact; `last_used_at` is written at most once a minute (product.md, Counting).
    """

    Scope = Scope

    public_id = models.CharField(max_length=16, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)
    name = models.CharField(max_length=100)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope), default=list)
    jobs = models.ManyToManyField(
        Job, blank=True, related_name="+", help_text="The jobs it may see and start. None chosen: all."
    )
    # That there is a list, apart from what is on it: a key whose last job was deleted may see none, not all.
    restricted = models.BooleanField(default=False, editable=False)
    networks = ArrayField(
        models.CharField(max_length=50),
        blank=True,
        default=list,
        help_text="Addresses it may call from, like 10.0.0.0/8. Empty: from anywhere.",
    )
    enabled = models.BooleanField(default=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_from = models.GenericIPAddressField(null=True, blank=True, editable=False)
    launches = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    class Meta:
        verbose_name = "API key"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="apikey_scopes_known", condition=Q(scopes__contained_by=Scope.values)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} (hw_{self.public_id})"

    def allowed_jobs(self) -> set[int] | None:
        """The ids of the jobs it may see and start; None: every job."""
        return set(self.jobs.values_list("pk", flat=True)) if self.restricted else None

    def is_valid(self, now: datetime) -> bool:
        """Whether the key may act at `now`: enabled, not revoked, not expired, and its owner is active."""
        return (
            self.enabled
            and self.revoked_at is None
            and (self.expires_at is None or self.expires_at > now)
            and self.owner.is_active
        )
