"""Restoring: takes back that a thing was made or deleted, and what was put on or taken off its lists.

What was made goes again if nobody changed it since and nothing needs it; what was deleted comes back under its
number, as it was, unless it held secrets, of which the trail keeps dots only. A channel or source comes back without
its secret, and switched off until it is given another.
"""

import json
from datetime import timedelta
from typing import Any, Final

from django.apps import apps
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, RestrictedError

from jobs.changes import KEY, TRIGGER, Change
from jobs.expectations import MASK
from jobs.models import Job
from triggers import dependencies, keys, requirements
from triggers.models import ApiKey, Calendar, Kind, Trigger

# When the secret of a channel or source was given, and what switches that on.
SECRETS: Final = {"secret_changed_at": "is_enabled", "secret_set_at": "enabled"}
# What would go too, or be at a loss, if one of these were deleted.
_NEEDED_BY: Final = {
    "triggers.calendar": (("schedules", "Schedules keep the calendar {}: take it out of them first."),),
    "notifications.channel": (
        ("rules", "Rules tell the channel {} something: remove those first."),
        ("messages", "Messages went to the channel {}: disable it instead."),
    ),
}
# What is deleted together with its lists is noted in one transaction.
TOGETHER: Final = timedelta(seconds=5)


class RevertRefused(Exception):
    """A change that can't be taken back; the message says why."""


def list_item(change: Change, found: Any) -> None:
    """Takes one thing off a list of `found` again, or puts it back; the caller holds its row."""
    name = change.fields[0]
    number = (change.after or change.before or {})[name]
    there = set(getattr(found, name).values_list("pk", flat=True))
    if (number in there) != (change.act == "insert"):
        raise RevertRefused(f"The {name} of {found} were changed again since.")
    if name == "upstreams":
        _follow(found, (there - {number}) if number in there else (there | {number}))
    elif number in there:
        found.calendars.remove(number)
    elif Calendar.objects.filter(pk=number).exists():
        found.calendars.add(number)
    else:
        raise RevertRefused(f"The calendar {number} is gone.")


def unmake(change: Change, found: Any) -> None:
    """Deletes what was made, or revokes a key; the caller holds its row."""
    later = Change.objects.filter(
        model=change.model, object_id=change.object_id, act="update", pk__gt=change.pk
    )
    if later.exists():
        raise RevertRefused(f"The {change.noun} {change.title} was changed since: take that back first.")
    if isinstance(found, ApiKey):
        keys.revoke(found)
        return
    if isinstance(found, Trigger) and found.kind == Kind.REMOTE:
        raise RevertRefused("Every job has its remote trigger: disable it instead.")
    for name, sentence in _NEEDED_BY.get(change.model, ()):
        if getattr(found, name).exists():
            raise RevertRefused(sentence.format(found))
    try:
        with transaction.atomic():
            found.delete()
    except (ProtectedError, RestrictedError, IntegrityError):
        raise RevertRefused(
            f"The {change.noun} {change.title} is in use: it has runs, or others need it."
        ) from None


def remake(change: Change) -> None:
    """Makes what was deleted anew, with its number and, of a trigger, its lists. Raises ValidationError."""
    model = apps.get_model(change.model)
    if change.model == KEY:
        raise RevertRefused("A key is not made anew: its secret is not kept.")
    if model._default_manager.filter(pk=change.object_id).exists():
        raise RevertRefused(f"The {change.noun} {change.title} is there again.")
    before = change.before or {}
    if MASK in json.dumps(before, ensure_ascii=False):
        raise RevertRefused(f"The {change.noun} {change.title} held a secret, of which only dots are kept.")
    made = model()
    for field in model._meta.concrete_fields:
        if field.column in before and not field.generated:
            value = before[field.column]
            setattr(made, field.attname, None if value is None else field.to_python(value))
    if isinstance(made, Trigger):
        _remake_trigger(made, change)
        return
    for name, switch in SECRETS.items():
        if before.get(name) is not None:
            setattr(made, name, None)
            setattr(made, switch, False)
    made.full_clean()
    made.save(force_insert=True)


def _remake_trigger(made: Trigger, change: Change) -> None:
    if made.kind == Kind.REMOTE and Trigger.objects.filter(job=made.job_id, kind=Kind.REMOTE).exists():
        raise RevertRefused("The job has its remote trigger.")
    lists = Change.objects.filter(
        model=TRIGGER,
        object_id=change.object_id,
        act="delete",
        at__range=(change.at - TOGETHER, change.at + TOGETHER),
    )
    parts = [(part.fields[0], (part.before or {})[part.fields[0]]) for part in lists if part.is_part]
    wanted = {number for name, number in parts if name == "upstreams"}
    if made.kind == Kind.DEPENDENCY or wanted:
        _follow(made, wanted)
    else:
        made.full_clean()
        made.save(force_insert=True)
    kept = [number for name, number in parts if name == "calendars"]
    made.calendars.set(Calendar.objects.filter(pk__in=kept))


def _follow(trigger: Trigger, wanted: set[int]) -> None:
    jobs = list(Job.objects.filter(pk__in=wanted).order_by("pk"))
    if len(jobs) < len(wanted):
        raise RevertRefused("A job that it followed is gone.")
    if trigger.kind == Kind.SCHEDULE:
        requirements.save(trigger, upstreams=jobs)
        return
    if not jobs:
        raise RevertRefused("A dependency follows at least one job.")
    dependencies.save(trigger, upstreams=jobs)
