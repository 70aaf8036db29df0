"""What the jobs of the demo keep, in tables of its own: properties of the scraper, batches of the chain."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class SoldProperty(models.Model):
    """A property of the listing site as the scraper saw it last; `reference` is the site's own number."""

    reference = models.CharField(max_length=40, unique=True)
    location = models.CharField(max_length=100)
    listing_type = models.CharField(max_length=10)
    address = models.CharField(max_length=200)
    price = models.PositiveIntegerField(help_text="US dollars.")
    beds = models.PositiveSmallIntegerField()
    baths = models.DecimalField(max_digits=3, decimal_places=1)
    area = models.PositiveIntegerField(help_text="Square feet.")
    listed_on = models.DateField(help_text="The day it was sold, listed or put under contract.")
    first_seen_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[models.Manager["SoldProperty"]] = models.Manager()

    class Meta:
        verbose_name_plural = "sold properties"
        ordering: ClassVar = ["-listed_on", "reference"]

    def __str__(self) -> str:
        return f"{self.address}, {self.location}"


class Batch(models.Model):
    """The rows of a file at one stage of the demo's chain of jobs."""

    class Stage(models.TextChoices):
        RAW = "raw"
        CLEAN = "clean"

    stage = models.CharField(max_length=10, choices=Stage)
    rows = models.JSONField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[models.Manager["Batch"]] = models.Manager()

    class Meta:
        verbose_name_plural = "batches"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.stage} batch {self.pk}"
