"""Rule: which channel is told of what."""

from typing import ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from jobs.models import Job
from notifications.models.channel import Channel
from notifications.models.occasion import Occasion

LONGEST_QUIET = 7 * 24 * 60  # minutes


class RuleQuerySet(models.QuerySet["Rule"]):
    """Adjectives for rules."""

    def wanting(self, *occasions: Occasion, job: Job) -> Self:
        """Those in force that want one of `occasions` of the job."""
        scope = (Q(job=None) | Q(job=job)) & (Q(tag="") | Q(tag__in=job.tags))
        return self.filter(scope, is_enabled=True, occasions__overlap=list(occasions))


class Rule(models.Model):
    """Tells a channel of some occasions: of one job, of the jobs with a tag, or of all.

    Of each job and occasion one message goes out in `quiet_minutes`; what happens meanwhile is counted, and told
    together when they are over.
    """

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="rules")
    occasions = ArrayField(models.CharField(max_length=20, choices=Occasion))
    job = models.ForeignKey(
        Job,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="rules",
        help_text="Empty: every job.",
    )
    tag = models.CharField(
        max_length=60, blank=True, default="", help_text="Only jobs with this tag. Empty: with any or none."
    )
    quiet_minutes = models.PositiveIntegerField(
        "quiet for",
        default=10,
        validators=[MaxValueValidator(LONGEST_QUIET)],
        help_text="Minutes in which one message goes out for each job and occasion; the others are counted and "
        "told together. 0: each is told at once.",
    )
    is_enabled = models.BooleanField("enabled", default=True)
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    objects = RuleQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.CheckConstraint(name="rule_of_job_or_tag", condition=Q(job=None) | Q(tag="")),
            models.CheckConstraint(name="rule_of_something", condition=~Q(occasions=[])),
        ]

    def __str__(self) -> str:
        return f"{self.channel}: {', '.join(self.occasions)} of {self.scope}"

    def clean(self) -> None:
        """Refuses a job and a tag at once, and a rule of nothing."""
        if self.job_id and self.tag:
            raise ValidationError({"tag": "Expected none: the rule names a job."})
        if not self.occasions:
            raise ValidationError({"occasions": "Expected at least one."})

    @property
    def scope(self) -> str:
        """Which jobs it is about, in words."""
        if self.job is not None:
            return self.job.name
        return f"jobs tagged {self.tag}" if self.tag else "every job"

    @property
    def words(self) -> list[str]:
        """Its occasions, for people."""
        return [Occasion(each).label for each in self.occasions]
