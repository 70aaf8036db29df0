"""RecipientList: recipients that were saved under a name, for campaigns to come."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class RecipientList(models.Model):
    """A named list. `is_text`: its parameters are cells of a CSV, which a job's schema says how to read."""

    name = models.CharField(max_length=200, unique=True)
    size = models.PositiveBigIntegerField(default=0)
    is_text = models.BooleanField(default=False)
    saved_by = models.CharField(max_length=200)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar = ["name"]
        default_permissions: ClassVar = ("view", "delete")

    def __str__(self) -> str:
        return self.name


class ListPart(models.Model):
    """Some of a list's recipients, as lines of NDJSON."""

    list = models.ForeignKey(RecipientList, on_delete=models.CASCADE, related_name="parts")
    text = models.TextField()

    class Meta:
        ordering: ClassVar = ["id"]
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return f"part {self.pk} of the list {self.list_id}"
