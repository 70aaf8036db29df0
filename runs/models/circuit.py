"""Circuit: whether calls of a job or a host fail so often that nothing more of it is started."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class CircuitState(models.TextChoices):
    """What a circuit breaker lets through: everything, nothing, or one run to see how it goes."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Circuit(models.Model):
    """The circuit breaker of a job (`job:<slug>`) or of a host that http jobs call (`host:<name>`).

    `calls` and `failures` are those since `window_started_at`. It is open until `open_until`, and then half
    open: one run may start, the probe, whose outcome closes it or opens it again.
    """

    State = CircuitState

    target = models.CharField(max_length=300, unique=True)
    calls = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    window_started_at = models.DateTimeField(db_default=Now())
    opened_at = models.DateTimeField(null=True)
    open_until = models.DateTimeField(null=True)
    # No foreign key: it only says whose outcome counts.
    probe_run_id = models.BigIntegerField(null=True)

    class Meta:
        ordering: ClassVar = ["target"]
        default_permissions: ClassVar = ("view",)
        constraints: ClassVar = [
            models.CheckConstraint(
                name="circuit_open_has_end",
                condition=Q(opened_at__isnull=True, open_until__isnull=True, probe_run_id__isnull=True)
                | Q(opened_at__isnull=False, open_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.target

    def state(self, now: datetime) -> CircuitState:
        """What it lets through at `now`."""
        if self.open_until is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if self.open_until > now else CircuitState.HALF_OPEN


class CircuitEvent(models.Model):
    """An opening or closing of a circuit breaker, by its runs or by a person."""

    class Kind(models.TextChoices):
        OPENED = "opened"
        REOPENED = "reopened"  # the probe failed
        CLOSED = "closed"  # the probe succeeded
        RESET = "reset"  # somebody closed it by hand

    circuit = models.ForeignKey(Circuit, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=10, choices=Kind)
    actor = models.CharField(max_length=200, blank=True, default="")
    detail = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["-id"]
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.circuit}"
