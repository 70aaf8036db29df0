"""Every job has one trigger of kind remote, made with the job (product.md, Remote trigger)."""

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from jobs.models import Job
from triggers.models import Kind, Trigger


@receiver(post_save, sender=Job)
def make_remote_trigger(instance: Job, created: bool, raw: bool, **kwargs: Any) -> None:
    """Makes the remote trigger of a new job, in the transaction that makes the job."""
    if created and not raw:
        Trigger.objects.get_or_create(job=instance, kind=Kind.REMOTE, defaults={"name": "Remote"})
