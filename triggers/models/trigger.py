"""Trigger: a stored rule that may start a job, and its names in the admin."""

import uuid
from datetime import datetime
from typing import Any, ClassVar, Self

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from timezone_field import TimeZoneField

from jobs import priority as priorities
from jobs.models import Job
from triggers import cron, mapping, rates
from triggers.events import rule, schemes
from triggers.models.calendar import Calendar
from triggers.models.choices import Condition, Kind, Misfire, Needs, Otherwise, Overlap, Since

# A slot that had come and was not fired yet when its rule changed: never fired by surprise, and on record.
LONGEST_JITTER = 24 * 60 * 60  # seconds
_LEAVE_OVERDUE_SLOT = """
    IF OLD.kind = 'schedule' AND OLD.next_slot IS NOT NULL AND OLD.next_run_at <= clock_timestamp() THEN
        INSERT INTO triggers_occurrence (trigger_id, slot, outcome, reason)
        VALUES (OLD.id, OLD.next_slot, 'missed', 'The schedule was changed before its slot was fired.')
        ON CONFLICT DO NOTHING;
    END IF;"""
_REPLAN = """
    NEW.next_run_at = NULL; NEW.next_slot = NULL; NEW.exhausted = FALSE;
    NEW.replan_from = clock_timestamp(); RETURN NEW;"""


class TriggerQuerySet(models.QuerySet["Trigger"]):
    """Adjectives for triggers."""

    def schedules(self) -> Self:
        """The triggers that fire by the clock."""
        return self.filter(kind=Kind.SCHEDULE)

    def enabled(self) -> Self:
        """The triggers that may fire."""
        return self.filter(enabled=True)

    def due(self, now: datetime) -> Self:
        """Enabled schedules whose next slot has come, the longest overdue first."""
        return self.schedules().enabled().filter(next_run_at__lte=now).order_by("next_run_at", "id")

    def unplanned(self) -> Self:
        """Enabled schedules whose next slot must be computed anew, for they changed (see `replan`)."""
        return self.schedules().enabled().filter(next_run_at__isnull=True, exhausted=False)


class Trigger(models.Model):
    """A stored rule that may start a job.

    Each job has one of kind `remote`, made with the job. `replan_from` is the instant from which the
    next slot of a schedule is computed: the database sets it to the moment of any change of the rule,
    so that no edit, enabling or `QuerySet.update()` ever fires at once or is overlooked.
    """

    Kind = Kind
    Misfire = Misfire
    Overlap = Overlap
    Condition = Condition
    Needs = Needs
    Otherwise = Otherwise

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="triggers")
    kind = models.CharField(max_length=12, choices=Kind)
    name = models.CharField(max_length=200, blank=True, default="")
    enabled = models.BooleanField(default=True)
    priority = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(priorities.FIRST), MaxValueValidator(priorities.LAST)],
        help_text="1 (first) to 100 (last); empty: the job's.",
    )
    parameters = models.JSONField(default=dict, blank=True, help_text="Over the job's defaults.")
    rate_limit = models.CharField(
        max_length=30,
        null=True,
        blank=True,
        validators=[rates.validate],
        help_text="Most API calls that fire it, like 100/minute (second, minute, hour or day). Empty: no limit.",
    )

    cron = models.TextField(
        blank=True, default="", help_text="minute hour day-of-month month day-of-week; one line or several."
    )
    timezone = TimeZoneField(default="UTC", use_pytz=False)
    misfire = models.CharField(max_length=16, choices=Misfire, default=Misfire.RUN_ONCE)
    misfire_limit = models.PositiveSmallIntegerField(
        default=10, validators=[MinValueValidator(1)], help_text="Most slots caught up by “run each”."
    )
    misfire_deadline_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(60)],
        help_text="Nothing that is later than so many seconds is caught up. Empty: no deadline.",
    )
    overlap = models.CharField(max_length=16, choices=Overlap, default=Overlap.SKIP)
    jitter_seconds = models.PositiveIntegerField(
        default=0, help_text="Spread the start over so many seconds."
    )
    start_within_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Must start within so many seconds of its slot. Empty: as the job says.",
    )
    finish_within_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Must finish within so many seconds of its slot. Empty: as the job says.",
    )
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    calendars = models.ManyToManyField(
        Calendar,
        blank=True,
        related_name="schedules",
        help_text="Slots that fall where one of these is closed are skipped.",
    )
    paused_at = models.DateTimeField(null=True, blank=True, editable=False)
    paused_by = models.CharField(max_length=200, blank=True, default="", editable=False)
    paused_reason = models.CharField(max_length=500, blank=True, default="", editable=False)
    paused_until = models.DateTimeField(null=True, blank=True, editable=False)

    upstreams = models.ManyToManyField(
        Job, through="triggers.Upstream", blank=True, related_name="dependents"
    )
    condition = models.CharField(max_length=16, choices=Condition, blank=True, default="")
    delay_minutes = models.PositiveSmallIntegerField(
        default=0, help_text="How long after the end of the upstream run the dependent is due."
    )
    needs = models.CharField(max_length=4, choices=Needs, default=Needs.ANY)
    window_minutes = models.PositiveIntegerField(
        default=24 * 60,
        validators=[MinValueValidator(1)],
        help_text="With “all of them”: they must end within so many minutes.",
    )
    # A schedule may need upstreams too (`triggers.requirements`): the end of a run counts since then, and the slot
    # waits for it until a time of day or for so long; with neither, it is there in time or the slot is skipped.
    since = models.CharField(max_length=6, choices=Since, default=Since.DAY, db_default=Since.DAY)
    wait_until = models.TimeField(
        null=True, blank=True, help_text="By the schedule’s clock; the next one after the slot."
    )
    wait_minutes = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    otherwise = models.CharField(
        max_length=4, choices=Otherwise, default=Otherwise.SKIP, db_default=Otherwise.SKIP
    )
    mapping = models.JSONField(
        default=dict,
        blank=True,
        help_text="Parameters taken from the cause, each by a JSON Pointer; over the parameters above.",
    )

    # Events. A trigger has an address of its own with a scheme, or it hears of what comes to another's (`source`).
    scheme = models.CharField(max_length=20, choices=schemes.CHOICES, blank=True, default="")
    scheme_options = models.JSONField(default=dict, blank=True)
    source = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="listeners"
    )
    events = ArrayField(
        models.CharField(max_length=100),
        blank=True,
        default=list,
        help_text="Event names; none: every event.",
    )
    filter = models.JSONField(default=dict, blank=True, help_text="Conditions; an empty object: everything.")
    parent_pointer = models.CharField(
        max_length=200,
        blank=True,
        default="",
        help_text="A JSON Pointer to the id of the run of this site that caused the event, if it tells one.",
    )
    debounce_seconds = models.PositiveIntegerField(
        default=0,
        help_text="Gather deliveries until none has come for so long, for one run; 0: a run for each.",
    )
    debounce_limit = models.PositiveSmallIntegerField(
        default=100,
        validators=[MinValueValidator(1)],
        help_text="So many gathered deliveries start the run at once.",
    )
    debounce_pointer = models.CharField(
        max_length=200,
        blank=True,
        default="",
        help_text="A JSON Pointer to the value that deliveries are gathered by; empty: all together.",
    )

    next_run_at = models.DateTimeField(null=True, blank=True, editable=False)
    next_slot = models.DateTimeField(null=True, blank=True, editable=False)
    replan_from = models.DateTimeField(null=True, blank=True, editable=False)
    exhausted = models.BooleanField(default=False, editable=False)
    last_run_at = models.DateTimeField(null=True, blank=True, editable=False)

    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    objects = TriggerQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["job_id", "id"]
        permissions: ClassVar = [("fire_trigger", "Can fire trigger")]
        constraints: ClassVar = [
            models.CheckConstraint(name="trigger_no_empty_limit", condition=~Q(rate_limit="")),
            models.CheckConstraint(name="trigger_kind_known", condition=Q(kind__in=Kind.values)),
            models.CheckConstraint(
                name="trigger_priority_range",
                condition=Q(priority__isnull=True) | Q(priority__range=(priorities.FIRST, priorities.LAST)),
            ),
            models.CheckConstraint(
                name="trigger_cron_of_schedule",
                condition=(Q(kind=Kind.SCHEDULE) & ~Q(cron="")) | (~Q(kind=Kind.SCHEDULE) & Q(cron="")),
            ),
            models.CheckConstraint(
                name="trigger_words_known",
                condition=Q(misfire__in=Misfire.values)
                & Q(overlap__in=Overlap.values)
                & Q(otherwise__in=Otherwise.values),
            ),
            models.CheckConstraint(
                name="trigger_ends_after_start",
                condition=Q(starts_at__isnull=True) | Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")),
            ),
            models.CheckConstraint(
                name="trigger_condition_of_dependency",
                condition=Q(kind=Kind.DEPENDENCY, condition__in=Condition.values)
                | Q(kind=Kind.SCHEDULE, condition__in=["", *Condition.values], delay_minutes=0)
                | (
                    ~Q(kind__in=(Kind.DEPENDENCY, Kind.SCHEDULE))
                    & Q(condition="", delay_minutes=0, needs=Needs.ANY)
                ),
            ),
            models.CheckConstraint(
                name="trigger_needs_known", condition=Q(needs__in=Needs.values) & Q(window_minutes__gte=1)
            ),
            models.CheckConstraint(
                name="trigger_scheme_of_event",
                condition=(Q(kind=Kind.EVENT, source__isnull=True) & ~Q(scheme=""))
                | Q(kind=Kind.EVENT, source__isnull=False, scheme="")
                | (~Q(kind=Kind.EVENT) & Q(source__isnull=True, scheme="", debounce_seconds=0)),
            ),
            models.UniqueConstraint(
                name="trigger_one_remote_a_job", fields=["job"], condition=Q(kind=Kind.REMOTE)
            ),
        ]
        indexes: ClassVar = [
            # With the id, by which those due together are read: to sort ten thousand for each portion takes longer.
            models.Index(
                name="trigger_next",
                fields=["next_run_at", "id"],
                condition=Q(kind=Kind.SCHEDULE, enabled=True),
            ),
            models.Index(
                name="trigger_unplanned",
                fields=["id"],
                condition=Q(kind=Kind.SCHEDULE, enabled=True, next_run_at__isnull=True, exhausted=False),
            ),
        ]
        triggers: ClassVar = [
            # What follows what was checked for circles with the job it has.
            pgtrigger.Trigger(
                name="keeps_job",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("job", "kind"),
                func="""
                    IF EXISTS (SELECT FROM triggers_upstream u WHERE u.trigger_id = OLD.id) THEN
                        RAISE EXCEPTION 'What follows other jobs keeps its job and its kind.'
                            USING ERRCODE = 'check_violation', CONSTRAINT = 'trigger_keeps_job';
                    END IF;
                    RETURN NEW;""",
            ),
            pgtrigger.Trigger(
                name="replan",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(
                    "cron",
                    "timezone",
                    "enabled",
                    "starts_at",
                    "ends_at",
                    "jitter_seconds",
                    "kind",
                    "paused_at",
                ),
                func=_LEAVE_OVERDUE_SLOT + _REPLAN,
            ),
            # A row that is copied in brings no due time of another day with it.
            pgtrigger.Trigger(name="plan", when=pgtrigger.Before, operation=pgtrigger.Insert, func=_REPLAN),
            pgtrigger.Trigger(
                name="bump_version",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(
                    exclude=[
                        "version",
                        "updated_at",
                        "next_run_at",
                        "next_slot",
                        "replan_from",
                        "exhausted",
                        "last_run_at",
                    ]
                ),
                func="NEW.version = OLD.version + 1; RETURN NEW;",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """The name people read: the given one, else the cron text or the kind."""
        return self.name or (self.cron if self.kind == Kind.SCHEDULE else str(self.get_kind_display()))

    def is_paused(self, now: datetime) -> bool:
        """Whether its slots are skipped at `now` because somebody paused it; a pause may end by itself."""
        return (
            self.paused_at is not None
            and self.paused_at <= now
            and (self.paused_until is None or now < self.paused_until)
        )

    @property
    def runs_next_at(self) -> datetime | None:
        """When it starts its job next; None while it is off, and for a slot that a pause will skip."""
        at = self.next_run_at if self.enabled else None
        return None if at is None or self.is_paused(at) else at

    def clean(self) -> None:
        """Refuses a rule that can't be read, one that never fires, and values that belong to another kind."""
        errors: dict[str, Any] = {}
        if not isinstance(self.parameters, dict):
            errors["parameters"] = f"Expected an object of parameter values, not {self.parameters!r}."
        try:
            mapping.check(self.mapping)
        except mapping.InvalidMapping as error:
            errors["mapping"] = str(error)
        errors |= self._schedule_errors() | self._dependency_errors()
        if self.kind == Kind.EVENT:
            errors |= rule.errors(self)
        if errors:
            raise ValidationError(errors)

    def _schedule_errors(self) -> dict[str, str]:
        errors: dict[str, str] = {}
        if self.kind == Kind.SCHEDULE:
            try:
                cron.parse(self.cron)
            except cron.InvalidCron as error:
                errors["cron"] = str(error)
        elif self.cron:
            errors["cron"] = f"A trigger of kind {self.kind} has no cron text, but {self.cron!r} was given."
        if not 0 <= (self.jitter_seconds or 0) <= LONGEST_JITTER:
            errors["jitter_seconds"] = f"{self.jitter_seconds} seconds: expected 0 to {LONGEST_JITTER:,}."
        for name in ("starts_at", "ends_at"):
            at = getattr(self, name)
            if at is not None and not cron.has_slots(at):
                errors[name] = f"{at.isoformat()} is out of range: expected an instant from 1970 to 2499."
        if self.starts_at and self.ends_at and self.ends_at <= self.starts_at:
            errors["ends_at"] = (
                f"{self.ends_at.isoformat()} is not after the start, {self.starts_at.isoformat()}."
            )
        return errors

    def _dependency_errors(self) -> dict[str, str]:
        errors: dict[str, str] = {}
        words = ", ".join(Condition.values)
        if self.kind == Kind.DEPENDENCY and self.condition not in Condition.values:
            errors["condition"] = f"{self.condition!r} is not a condition: expected one of {words}."
        if self.kind not in (Kind.DEPENDENCY, Kind.SCHEDULE) and (self.condition or self.delay_minutes):
            errors["condition"] = f"A trigger of kind {self.kind} has neither a condition nor a delay."
        if self.kind == Kind.SCHEDULE and self.condition not in ("", *Condition.values):
            errors["condition"] = f"{self.condition!r} is not a condition: expected one of {words}."
        if self.wait_until is not None and self.wait_minutes is not None:
            errors["wait_minutes"] = "It waits until a time or for so many minutes, not both."
        waits = self.wait_until is not None or self.wait_minutes is not None
        if self.condition and self.otherwise == Otherwise.RUN and not waits:
            errors["otherwise"] = (
                "Without a wait it would run whatever the other jobs did: "
                "expected a time to wait until, minutes to wait, or 'skip'."
            )
        limit = settings.DELAY_LIMIT_MINUTES
        if not 0 <= (self.delay_minutes or 0) <= limit:
            errors["delay_minutes"] = f"{self.delay_minutes} minutes: expected 0 to {limit}."
        return errors
