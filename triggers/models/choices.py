"""What a trigger can be, and how it can behave: the words of its fields."""

from django.db import models


class Kind(models.TextChoices):
    """The kinds of stored rules that may start a job (product.md, Trigger)."""

    REMOTE = "remote"
    SCHEDULE = "schedule"
    DEPENDENCY = "dependency"
    EVENT = "event"


class Misfire(models.TextChoices):
    """What becomes of slots that passed while nothing could fire them."""

    SKIP = "skip", "Skip what was missed"
    RUN_ONCE = "run_once", "Run once for all that was missed"
    RUN_EACH = "run_each", "Run each missed slot"


class Overlap(models.TextChoices):
    """What becomes of a slot while a run of the same schedule is still open."""

    ALLOW = "allow", "Start beside it"
    SKIP = "skip", "Skip the slot"
    QUEUE = "queue", "Start when it has ended"
    CANCEL_PREVIOUS = "cancel_previous", "Cancel it and start"


class Condition(models.TextChoices):
    """Which endings of an upstream run start its dependents (product.md, Conditions)."""

    ON_SUCCESS = "on_success", "On success"
    ON_FAILURE = "on_failure", "On failure"
    ON_COMPLETION = "on_completion", "On completion"


class Needs(models.TextChoices):
    """Whether each of several upstreams starts a run, or all of them together one."""

    ANY = "any", "Any of them"
    ALL = "all", "All of them"


class Since(models.TextChoices):
    """From when on the end of an upstream run counts for a schedule that needs it."""

    DAY = "day", "The day of the slot, by the schedule’s clock"
    WINDOW = "window", "So many minutes before the slot"


class Otherwise(models.TextChoices):
    """What becomes of a slot for which a schedule has waited in vain."""

    SKIP = "skip", "Skip the slot"
    RUN = "run", "Run it anyway"
