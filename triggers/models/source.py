"""Source: a folder, bucket, table or queue that is polled for events of a trigger, and what was seen in it."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from jobs.expectations import shown
from triggers import sources
from triggers.events import schemes
from triggers.models.trigger import Trigger

LONGEST_INTERVAL: Final = 24 * 3600


class Source(models.Model):
    """What is polled for events: each thing found in it is one delivery to its trigger, which has scheme `poll`.

    `claim` is the token of the poller that looks at it now. `caught_up_at`: what was there then is in the inbox.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    trigger = models.ForeignKey(Trigger, on_delete=models.CASCADE, related_name="sources")
    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10)
    options = models.JSONField(default=dict, blank=True)
    interval_seconds = models.PositiveIntegerField(
        "interval",
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_INTERVAL)],
        help_text="Seconds between two looks; with a backlog the next look follows at once.",
    )
    begin = models.CharField(
        max_length=10,
        choices=sources.BEGINNINGS,
        default="now",
        help_text="Whether what is there at the first look is passed over, or delivered.",
    )
    enabled = models.BooleanField(default=True)
    sealed = models.TextField(blank=True, default="", editable=False)
    key_id = models.CharField(max_length=8, blank=True, default="", editable=False)
    secret_set_at = models.DateTimeField(null=True, editable=False)

    state = models.JSONField(default=dict, editable=False)
    next_poll_at = models.DateTimeField(db_default=Now(), editable=False)
    claim = models.UUIDField(null=True, editable=False)
    claimed_until = models.DateTimeField(null=True, editable=False)
    last_poll_at = models.DateTimeField(null=True, editable=False)
    caught_up_at = models.DateTimeField(null=True, editable=False)
    backlog = models.BooleanField(default=False, editable=False)
    last_error = models.CharField(max_length=500, blank=True, default="", editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    found_count = models.PositiveBigIntegerField(default=0, editable=False)

    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="source_kind_known", condition=Q(kind__in=("folder", "bucket", "table", "queue"))
            ),
            models.CheckConstraint(name="source_begin_known", condition=Q(begin__in=("now", "beginning"))),
            models.CheckConstraint(
                name="source_interval_range", condition=Q(interval_seconds__range=(1, LONGEST_INTERVAL))
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="source_due", fields=["next_poll_at"], condition=Q(enabled=True)),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def place(self) -> str:
        """What its secret is sealed for: it opens for this source only."""
        return f"source:{self.public_id}"

    @property
    def kind_label(self) -> str:
        """What people call its kind."""
        return sources.KINDS[self.kind].label

    @property
    def marks(self) -> Sequence[str]:
        """The names of the options that say what is watched."""
        return sources.KINDS[self.kind].marks

    @property
    def whole_options(self) -> dict[str, Any]:
        """The options with the defaults of those that are not given."""
        return sources.complete(self.kind, self.options)

    def lag(self, now: datetime) -> timedelta | None:
        """How long ago everything that was there had come; None before the first look that got so far."""
        return None if self.caught_up_at is None else max(now - self.caught_up_at, timedelta())

    def clean(self) -> None:
        """Refuses options that its kind can't read, and a trigger that takes its deliveries from elsewhere."""
        errors: dict[str, Any] = {}
        if self.kind not in sources.KINDS:
            known = ", ".join(sources.KINDS)
            errors["kind"] = f"{shown(self.kind)} is no kind of source; expected one of {known}."
        elif wrong := sources.faults(self.kind, self.options):
            errors["options"] = [f"{fault.pointer or '/'}: {fault.detail}" for fault in wrong]
        trigger: Trigger | None = getattr(self, "trigger", None)
        if trigger is not None and trigger.scheme != schemes.POLL:
            errors["trigger"] = (
                f"Trigger {trigger.pk} is fed by other messages; expected an event trigger with the scheme poll."
            )
        if errors:
            raise ValidationError(errors)


class Sighting(models.Model):
    """A thing that was seen in a source: one that was taken, or one that is waited for since `at`.

    `identity` is a hash of what the kind of source tells it by. `value` is its place in the source's order.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="sightings", db_index=False)
    identity = models.BinaryField(max_length=16)
    value = models.BigIntegerField(null=True)
    taken = models.BooleanField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions: ClassVar = ()
        constraints: ClassVar = [
            models.UniqueConstraint(name="sighting_once", fields=["source", "identity"]),
        ]

    def __str__(self) -> str:
        return f"sighting {self.pk} in source {self.source_id}"
