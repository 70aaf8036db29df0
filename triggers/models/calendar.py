"""Calendar: when schedules that keep it do not run."""

from datetime import datetime
from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Now
from timezone_field import TimeZoneField

from triggers import calendars


class Calendar(models.Model):
    """Business days or blackouts, shared by schedules: a slot that falls where it is closed is skipped.

    `closed` has a period a line (`triggers.calendars`), by the wall clock of `timezone`. A change counts at
    once, for slots that come from then on.
    """

    name = models.CharField(
        max_length=100,
        unique=True,
        validators=[RegexValidator(r"^[^,]+$", "A calendar’s name has no comma.")],
    )
    timezone = TimeZoneField(default="UTC", use_pytz=False)
    closed = models.TextField(help_text="A period a line.")
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuses a line that can't be read."""
        try:
            calendars.parse(self.closed)
        except calendars.InvalidPeriod as error:
            raise ValidationError({"closed": str(error)}) from None

    def closing(self, at: datetime) -> str:
        """Why the calendar is closed at the instant `at`, as the ledger says it; "" if it is open."""
        wall = at.astimezone(self.timezone).replace(tzinfo=None)
        period = calendars.closing(calendars.parse(self.closed), wall)
        return f"blackout {self.name} ({period.text})" if period else ""
