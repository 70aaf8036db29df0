"""ApiKey: by which a program acts for a person."""

from datetime import datetime, timedelta
from typing import ClassVar, Final, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import DurationField, ExpressionWrapper, F, Q, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Greatest, Least, Now

from jobs.models import Job
from triggers import rates

# A key that nobody used for so long is a door that nobody would miss; one that ends so soon needs somebody.
UNUSED_AFTER: Final = timedelta(days=90)
EXPIRES_SOON: Final = timedelta(days=14)


class Scope(models.TextChoices):
    """What an API key may do (api.md, Auth)."""

    READ = "read"
    RUN = "run"
    CANCEL = "cancel"
    WRITE = "write"


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Adjectives for keys."""

    def ending(self) -> Self:
        """Keys with `ending_at` and `waning_at`, the SQL of `ApiKey.ends_at` and `ApiKey.wanes_at`."""
        return self.annotate(ending_at=Least("expires_at", _idle(hours=24)), waning_at=_idle(hours=12))

    def expired(self, now: datetime) -> Self:
        """Keys whose time is over, fixed or for want of use."""
        return self.ending().filter(ending_at__lte=now)

    def valid(self, now: datetime) -> Self:
        """Keys that may act: the SQL of `ApiKey.is_valid`."""
        usable = self.ending().filter(enabled=True, revoked_at=None, owner__is_active=True)
        return usable.filter(Q(ending_at=None) | Q(ending_at__gt=now))

    def expiring(self, now: datetime) -> Self:
        """Valid keys that end soon."""
        soon = now + EXPIRES_SOON
        return self.valid(now).filter(Q(expires_at__lte=soon) | Q(ending_at__lte=soon, waning_at__lte=now))

    def unused(self, now: datetime) -> Self:
        """Valid keys that nobody has used for long."""
        return self.valid(now).annotate(sign_at=_LAST_SIGN).filter(sign_at__lte=now - UNUSED_AFTER)


def _idle(*, hours: int) -> Combinable:
    """So many hours for each idle day after the last sign of life."""
    part = Value(timedelta(hours=hours), output_field=DurationField())
    span = ExpressionWrapper(F("idle_days") * part, output_field=DurationField())
    return ExpressionWrapper(_LAST_SIGN + span, output_field=models.DateTimeField())


# PostgreSQL's greatest() and least() pass over NULL.
_LAST_SIGN: Final = Greatest("created_at", "last_used_at", "rotated_at")


class ApiKey(models.Model):
    """A secret that lets a program act for its owner: stored hashed, shown once.

    `launches` is exact; `last_used_at` is written at most once a minute (product.md, Counting). After a
    rotation `former_hash` is that of the secret before, which is valid until `former_until`.
    """

    Scope = Scope
    # Whether this call came with the secret from before the rotation (`keys.verify`).
    on_former_secret = False

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
    rate_limit = models.CharField(
        max_length=30,
        null=True,
        blank=True,
        validators=[rates.validate],
        help_text="Most API calls with it, like 100/minute (second, minute, hour or day). Empty: no limit.",
    )
    enabled = models.BooleanField(default=True)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="When it ends, however much it is used. Empty: it does not."
    )
    idle_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(3650)],
        help_text="It ends when it was not used for so many days; each use puts the end off. Empty: it does not.",
    )
    former_hash = models.CharField(max_length=64, blank=True, default="", editable=False)
    former_until = models.DateTimeField(null=True, blank=True, editable=False)
    former_calls = models.BigIntegerField(default=0, editable=False)
    former_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    rotated_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_from = models.GenericIPAddressField(null=True, blank=True, editable=False)
    launches = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="apikey_scopes_known", condition=Q(scopes__contained_by=Scope.values)
            ),
            models.CheckConstraint(name="apikey_no_empty_limit", condition=~Q(rate_limit="")),
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
            and (self.ends_at is None or self.ends_at > now)
            and self.owner.is_active
        )

    @property
    def last_sign_at(self) -> datetime:
        """When the key was last used, or if later, rotated or made."""
        signs = (self.created_at, self.last_used_at, self.rotated_at)
        return max(sign for sign in signs if sign is not None)

    @property
    def ends_at(self) -> datetime | None:
        """When it ends if nobody uses it meanwhile; None: never. The fixed end and the sliding one, the earlier."""
        ends = [self.expires_at] if self.expires_at else []
        if self.idle_days is not None:
            ends.append(self.last_sign_at + timedelta(days=self.idle_days))
        return min(ends, default=None)

    @property
    def wanes_at(self) -> datetime | None:
        """When half of the time has gone by that it may lie unused; None: it may for ever."""
        return self.last_sign_at + timedelta(days=self.idle_days) / 2 if self.idle_days is not None else None

    def rotating(self, now: datetime) -> bool:
        """Whether the secret from before the last rotation is still valid."""
        return bool(self.former_hash) and self.former_until is not None and self.former_until > now

    def flags(self, now: datetime) -> list[str]:
        """What somebody should look at, in words; empty for a key that may not act any more."""
        if not self.is_valid(now):
            return []
        found = []
        if self.last_sign_at <= now - UNUSED_AFTER:
            found.append(f"not used for {(now - self.last_sign_at).days} days")
        fixed = self.expires_at is not None and self.expires_at <= now + EXPIRES_SOON
        wanes = self.wanes_at is not None and self.wanes_at <= now
        if self.ends_at is not None and self.ends_at <= now + EXPIRES_SOON and (fixed or wanes):
            found.append(f"ends {self.ends_at:%Y-%m-%d %H:%M} UTC")
        if self.rotating(now):
            found.append(f"{self.former_calls} calls with the former secret since its rotation")
        return found
