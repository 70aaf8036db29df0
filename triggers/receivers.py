"""What follows in this app from changes of its rows: remote triggers of new jobs, lists of API keys, calendars."""

from typing import Any

from django.db.models import F
from django.db.models.signals import m2m_changed, post_save
from django.dispatch import receiver

from jobs.models import Job
from triggers.models import ApiKey, Kind, Trigger


@receiver(post_save, sender=Job)
def make_remote_trigger(instance: Job, created: bool, raw: bool, **kwargs: Any) -> None:
    """Every job has one trigger of kind remote, made with the job (product.md, Remote trigger)."""
    if created and not raw:
        Trigger.objects.get_or_create(job=instance, kind=Kind.REMOTE, defaults={"name": "Remote"})


@receiver(m2m_changed, sender=ApiKey.jobs.through)
def note_restriction(instance: ApiKey, action: str, **kwargs: Any) -> None:
    """Notes whether somebody gave the key a list of jobs.

    Deleting a job takes it off the lists without this signal, so that the last one gone opens nothing.
    """
    if action in {"post_add", "post_remove", "post_clear"}:
        instance.restricted = instance.jobs.exists()
        instance.save(update_fields=["restricted"])


@receiver(m2m_changed, sender=Trigger.calendars.through)
def note_calendars(instance: Any, action: str, **kwargs: Any) -> None:
    """The API's ETag of a schedule covers its calendars."""
    if isinstance(instance, Trigger) and action in {"post_add", "post_remove", "post_clear"}:
        Trigger.objects.filter(pk=instance.pk).update(version=F("version") + 1)
