"""Job: a definition of work, and whether it may be started at all."""

import re
from datetime import datetime
from typing import Any, ClassVar, Self

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Case, F, Func, Q, Value, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Concat, Lower, Now

from jobs import executors, parameters, registry
from jobs import priority as priorities
from jobs.changes import Change
from jobs.executors import templating
from jobs.retry import RetryPolicy

__all__ = ["Change", "Job", "JobQuerySet", "OnLost", "Status"]

# So many starts are looked at to know when the next is possible.
MOST_STARTS = 10_000
DAY_SECONDS = 86_400


# What PostgreSQL and Python read alike: a URL whose host is no parameter's to fill in.
ONE_HOST = re.compile("(?i)^https?://(?:[^/@{}]*@)?([a-z0-9.-]+)(?:[:/?#]|$)")


class HostOf(Func):
    """The host of a URL; NULL where it is none, or a parameter is to fill it."""

    function = "substring"
    output_field = models.CharField()
    template = f"%(function)s(%(expressions)s FROM '{ONE_HOST.pattern}')"


class Status(models.TextChoices):
    """Whether a job may be started (product.md, Job status); a pause may end by itself."""

    ACTIVE = "active"
    PAUSED = "paused"
    INACTIVE = "inactive"


class OnLost(models.TextChoices):
    """What becomes of a run whose worker vanished in the middle of an attempt."""

    RETRY = "retry"
    FAIL = "fail"


class DedupMode(models.TextChoices):
    """What becomes of a launch that meets an open run of its dedup key."""

    # The open run is the answer, and nothing is started: one open run in all.
    RETURN_EXISTING = "return_existing"
    # One that was not started yet is cancelled, and the new run takes its place; one that was is the answer.
    REPLACE_QUEUED = "replace_queued"
    # The new run takes the place of one that was not started yet, and waits for one that was.
    KEEP_LAST = "keep_last"


class JobQuerySet(models.QuerySet["Job"]):
    """Adjectives for jobs."""

    def runnable(self) -> Self:
        """Jobs that a launch would not refuse right now."""
        return self.filter(broken_reason__isnull=True).exclude(status=Status.INACTIVE).exclude(self._paused())

    def paused(self) -> Self:
        """Jobs whose pause has not ended."""
        return self.filter(self._paused())

    def shown_as(self, status: str) -> Self:
        """Jobs of that status as people see it (`Job.effective_status`)."""
        over = Q(status=Status.PAUSED, paused_until__lte=Now())
        if status == Status.ACTIVE:
            return self.filter(Q(status=status) | over)
        return self.filter(status=status).exclude(over)

    @staticmethod
    def _paused() -> Q:
        return Q(status=Status.PAUSED) & (Q(paused_until__isnull=True) | Q(paused_until__gt=Now()))


class Job(models.Model):
    """What can be run: an executor with its configuration, a parameter schema, and policies.

    Durations are seconds. A job that comes from a function (`@job`) keeps in `declared` what the code
    said at the last sync, so that an operator's change is neither overwritten nor forgotten.
    """

    Status = Status
    OnLost = OnLost

    slug = models.CharField(max_length=80, unique=True, validators=[registry.validate_slug])
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")
    tags = ArrayField(models.CharField(max_length=60), blank=True, default=list)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    executor = models.CharField(max_length=20)
    configuration = models.JSONField(default=dict, blank=True)
    schema = models.JSONField("parameter schema", default=dict, blank=True)
    defaults = models.JSONField("default parameters", default=dict, blank=True)

    priority = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(priorities.FIRST), MaxValueValidator(priorities.LAST)],
        help_text="1 (first) to 100 (last); empty: 1 when asked for, 50 when scheduled, 100 in a campaign.",
    )
    timeout_seconds = models.PositiveIntegerField(
        default=3600, validators=[MinValueValidator(1)], help_text="Of one attempt."
    )
    max_attempts = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1)])
    retry_first_delay_seconds = models.FloatField(default=1, validators=[MinValueValidator(0)])
    retry_longest_delay_seconds = models.FloatField(default=60, validators=[MinValueValidator(0)])
    retry_factor = models.FloatField(default=2, validators=[MinValueValidator(1)])
    retry_jitter = models.FloatField(
        default=0.2,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of the delay that is random, 0 to 1.",
    )
    on_lost = models.CharField(max_length=10, choices=OnLost, default=OnLost.RETRY)
    max_concurrent_runs = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="Empty: no limit."
    )
    concurrency_key_template = models.CharField(
        max_length=200,
        null=True,
        blank=True,
        help_text="Runs with the same value share a limit, for example {customer}. Empty: no key.",
    )
    max_concurrent_per_key = models.PositiveIntegerField(
        "max concurrent runs per key",
        default=1,
        validators=[MinValueValidator(1)],
        help_text="How many runs with the same concurrency key may run at once.",
    )
    max_starts = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_STARTS)],
        help_text="How many runs may start within the stretch of time beside it. Empty: any number.",
    )
    starts_window_seconds = models.PositiveIntegerField(
        default=60,
        validators=[MinValueValidator(1), MaxValueValidator(DAY_SECONDS)],
        help_text="Never more than that many starts in any stretch of so many seconds.",
    )
    start_within_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Must start within so many seconds of being due. Empty: no promise.",
    )
    finish_within_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Must finish within so many seconds of being due. Empty: no promise.",
    )
    dedup_key_template = models.CharField(
        max_length=200,
        null=True,
        blank=True,
        help_text="At most one open run for each value, for example {customer}.",
    )
    dedup_mode = models.CharField(
        max_length=20,
        choices=DedupMode,
        default=DedupMode.RETURN_EXISTING,
        db_default=DedupMode.RETURN_EXISTING,
        help_text="What becomes of a launch that meets an open run with the same dedup key.",
    )
    retain_for_seconds = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        help_text="How long finished runs are kept. Empty: as long as the site says (HEADWAY_RETAIN_DAYS).",
    )

    # The circuit breaker (`runs.circuits`).
    circuit_failure_rate = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.01), MaxValueValidator(1)],
        help_text="Share of failed attempts, 0.01 to 1, from which nothing more starts. Empty: no breaker.",
    )
    circuit_min_calls = models.PositiveIntegerField(
        default=10,
        validators=[MinValueValidator(1)],
        help_text="How many attempts there must be before their failure rate says anything.",
    )
    circuit_window_seconds = models.PositiveIntegerField(
        default=60,
        validators=[MinValueValidator(1), MaxValueValidator(DAY_SECONDS)],
        help_text="Attempts are counted in stretches of so many seconds.",
    )
    circuit_cooldown_seconds = models.PositiveIntegerField(
        default=60,
        validators=[MinValueValidator(1), MaxValueValidator(DAY_SECONDS)],
        help_text="How long nothing starts, before one run is let through as a probe.",
    )
    circuit_per_host = models.BooleanField(
        "circuit breaker per host",
        default=False,
        help_text="Share the breaker with every other job that calls the same host (http jobs only).",
    )
    # What the breaker is of: a job or a host; NULL without a breaker.
    circuit_target = models.GeneratedField(
        expression=Case(
            When(circuit_failure_rate__isnull=True, then=None),
            When(
                executor="http",
                circuit_per_host=True,
                then=Concat(Value("host:"), Lower(HostOf(KeyTextTransform("url", "configuration")))),
            ),
            default=Concat(Value("job:"), F("slug")),
        ),
        output_field=models.CharField(max_length=300),
        db_persist=True,
    )

    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE)
    paused_at = models.DateTimeField(null=True, blank=True, editable=False)
    paused_by = models.CharField(max_length=200, blank=True, default="", editable=False)
    paused_reason = models.CharField(max_length=500, blank=True, default="")
    paused_until = models.DateTimeField(null=True, blank=True)

    declared = models.JSONField(null=True, blank=True, editable=False)
    broken_reason = models.CharField(max_length=500, null=True, blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name", "id"]
        permissions: ClassVar = [("run_job", "Can run job"), ("pause_job", "Can pause and resume job")]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="job_slug_form",
                condition=Q(slug__regex=registry.SLUG_PATTERN) & ~Q(slug__in=sorted(registry.RESERVED_SLUGS)),
            ),
            models.CheckConstraint(name="job_status_known", condition=Q(status__in=Status.values)),
            models.CheckConstraint(name="job_on_lost_known", condition=Q(on_lost__in=OnLost.values)),
            models.CheckConstraint(
                name="job_priority_range",
                condition=Q(priority__isnull=True) | Q(priority__range=(priorities.FIRST, priorities.LAST)),
            ),
            models.CheckConstraint(
                name="job_policy_ranges",
                condition=Q(timeout_seconds__gte=1)
                & Q(max_attempts__gte=1)
                & Q(retry_first_delay_seconds__gte=0)
                & Q(retry_longest_delay_seconds__gte=F("retry_first_delay_seconds"))
                & Q(retry_factor__gte=1)
                & Q(retry_jitter__range=(0, 1)),
            ),
            models.CheckConstraint(
                name="job_limit_positive",
                condition=Q(max_concurrent_runs__isnull=True) | Q(max_concurrent_runs__gte=1),
            ),
            models.CheckConstraint(
                name="job_empty_is_null",
                condition=~Q(dedup_key_template="") & ~Q(concurrency_key_template="") & ~Q(broken_reason=""),
            ),
            models.CheckConstraint(
                name="job_start_limits",
                condition=Q(max_concurrent_per_key__gte=1)
                & (Q(max_starts__isnull=True) | Q(max_starts__range=(1, MOST_STARTS)))
                & Q(starts_window_seconds__range=(1, DAY_SECONDS)),
            ),
            models.CheckConstraint(
                name="job_circuit_ranges",
                condition=(Q(circuit_failure_rate__isnull=True) | Q(circuit_failure_rate__range=(0.01, 1)))
                & Q(circuit_min_calls__gte=1)
                & Q(circuit_window_seconds__range=(1, DAY_SECONDS))
                & Q(circuit_cooldown_seconds__range=(1, DAY_SECONDS)),
            ),
        ]
        triggers: ClassVar = [
            # The ETag of the API: whatever changes a job, by whatever way, changes its version.
            pgtrigger.Trigger(
                name="bump_version",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(exclude=["version", "updated_at", "circuit_target"]),
                func="NEW.version = OLD.version + 1; RETURN NEW;",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def retry_policy(self) -> RetryPolicy:
        """The five retry fields as one value."""
        return RetryPolicy(
            max_attempts=self.max_attempts,
            first_delay_seconds=self.retry_first_delay_seconds,
            longest_delay_seconds=self.retry_longest_delay_seconds,
            factor=self.retry_factor,
            jitter=self.retry_jitter,
        )

    def is_paused(self, now: datetime) -> bool:
        """Whether the job's pause holds at `now`: a pause with an end is over when its time has come."""
        return self.status == Status.PAUSED and (self.paused_until is None or self.paused_until > now)

    def effective_status(self, now: datetime) -> str:
        """The status people see: a pause whose end has passed counts as active."""
        if self.status == Status.PAUSED and not self.is_paused(now):
            return Status.ACTIVE.value
        return self.status

    def _calls_one_host(self) -> bool:
        """Whether the executor calls a host that is the same for every run."""
        url = str(self.configuration.get("url", "")) if isinstance(self.configuration, dict) else ""
        return self.executor == "http" and ONE_HOST.match(url) is not None

    def clean(self) -> None:
        """Refuses a configuration, schema or defaults that no run could be started with."""
        errors: dict[str, Any] = {}
        self.dedup_key_template = self.dedup_key_template or None
        self.concurrency_key_template = self.concurrency_key_template or None
        if self.retry_longest_delay_seconds < self.retry_first_delay_seconds:
            errors["retry_longest_delay_seconds"] = (
                f"{self.retry_longest_delay_seconds:g} s is shorter than the first delay of "
                f"{self.retry_first_delay_seconds:g} s."
            )
        try:
            executors.get(self.executor).check(self.configuration)
        except KeyError:
            known = ", ".join(executors.slugs())
            errors["executor"] = f"{self.executor!r} is not an executor: expected one of {known}."
        except executors.InvalidConfiguration as error:
            errors["configuration"] = [f"{e.pointer or '/'}: {e.detail}" for e in error.errors]
        try:
            parameters.check_schema(self.schema)
        except parameters.InvalidSchema as error:
            errors["schema"] = str(error)
        for name in ("dedup_key_template", "concurrency_key_template"):
            try:
                templating.parse(getattr(self, name) or "")
            except templating.BadTemplate as error:
                errors[name] = str(error)
        if self.circuit_per_host and not self._calls_one_host():
            errors["circuit_per_host"] = "Only an http job whose URL names one host can share its breaker."
        if not isinstance(self.defaults, dict):
            errors["defaults"] = f"Expected an object of parameter values, not {self.defaults!r}."
        if errors:
            raise ValidationError(errors)
