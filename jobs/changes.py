"""Change: what was changed of a job, trigger, key, lane, channel …: when, by whom, from where, and how.

The database writes it itself (migration 0002), so that the API, the admin, a command and raw SQL are all seen.
What only the machine counts (versions, last use, next slots) is no change; secrets are dots.
"""

from datetime import datetime
from typing import Any, ClassVar, Self

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now
from pghistory.models import Context

NOUNS = {
    "jobs.job": "job",
    "triggers.trigger": "trigger",
    "triggers.apikey": "API key",
    "triggers.calendar": "calendar",
    "runs.lane": "lane",
    "runs.campaign": "campaign",
    "runs.pausedtarget": "paused target",
    "triggers.source": "source",
    "notifications.channel": "channel",
    "notifications.rule": "notification rule",
}
KEY, TRIGGER = "triggers.apikey", "triggers.trigger"
# Lists of an object, each of whose items is put on and taken off by a change of its own.
PARTS = {TRIGGER: frozenset({"upstreams", "calendars", "secrets"}), KEY: frozenset({"jobs"})}
PRUNED_AT_ONCE = 1000


class ChangeQuerySet(models.QuerySet["Change"]):
    """Adjectives for changes."""

    def seen_by(self, user: Any) -> Self:
        """The changes that a person may see: those of keys only of their own keys, unless a superuser."""
        if user.is_superuser:
            return self
        owned = Change.objects.filter(model=KEY, act="insert", after__owner_id=user.pk).values("object_id")
        return self.filter(~Q(model=KEY) | Q(object_id__in=owned))

    def of(self, obj: models.Model) -> Self:
        """The changes of one object."""
        return self.filter(model=label_of(obj), object_id=obj.pk)


class Change(models.Model):
    """One change of one object. `before` and `after` hold the columns in `fields`; of new and gone ones, all."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(db_default=Now())
    model = models.CharField(max_length=60)
    object_id = models.BigIntegerField()
    title = models.CharField(max_length=200)
    act = models.CharField(max_length=6)
    fields = ArrayField(models.CharField(max_length=63))
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    context = models.ForeignKey(
        "pghistory.Context", null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    # Who spoke to the database, where nobody told it who asked: raw SQL.
    session = models.CharField(max_length=200, blank=True, default="")

    objects = ChangeQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        default_permissions: ClassVar = ("view",)
        indexes: ClassVar = [models.Index(name="change_of_object", fields=["model", "object_id", "-id"])]
        triggers: ClassVar = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)
        ]

    def __str__(self) -> str:
        return f"{self.noun} {self.title}, {self.act}"

    @property
    def noun(self) -> str:
        """What kind of thing it is, as people call it."""
        return NOUNS.get(self.model, self.model)

    @property
    def ref(self) -> str:
        """The object, as addresses name it: `jobs.job:7`."""
        return f"{self.model}:{self.object_id}"

    @property
    def is_part(self) -> bool:
        """Whether something was put on a list of the object, or taken off."""
        return self.act != "update" and len(self.fields) == 1 and self.fields[0] in PARTS.get(self.model, ())

    @property
    def facts(self) -> dict[str, Any]:
        """What is known of the request or command behind it."""
        return dict(self.context.metadata) if self.context is not None else {}

    @property
    def by(self) -> str:
        """Who changed it, in words."""
        return str(self.facts.get("by") or f"raw SQL ({self.session.strip()})")

    @property
    def verb(self) -> str:
        """What was done, in a word."""
        if self.is_part:
            return f"{self.fields[0]} {'added' if self.act == 'insert' else 'removed'}"
        return {"insert": "made", "update": "changed", "delete": "deleted"}[self.act]

    def differences(self) -> list[tuple[str, Any, Any]]:
        """Each field with its value before and after."""
        before, after = self.before or {}, self.after or {}
        return [(name, before.get(name), after.get(name)) for name in self.fields]


def prune(*, before: datetime) -> int:
    """Deletes up to `PRUNED_AT_ONCE` of the oldest changes that are older than `before`; returns how many.

    Only the oldest are looked at, so that it costs the same however long the trail is.
    """
    oldest = list(Change.objects.order_by("pk").values_list("pk", "at", "context")[:PRUNED_AT_ONCE])
    old = [(pk, context) for pk, at, context in oldest if at < before]
    if not old:
        return 0
    with transaction.atomic(), pgtrigger.ignore("jobs.Change:append_only"):
        Change.objects.filter(pk__in=[pk for pk, _ in old]).delete()
        contexts = {context for _, context in old}
        kept = Change.objects.filter(context__in=contexts).values("context")
        Context.objects.filter(pk__in=contexts).exclude(pk__in=kept).delete()
    return len(old)


def label_of(obj: models.Model) -> str:
    """The object's kind, as changes name it; of a proxy, that of what it stands for."""
    concrete = obj._meta.concrete_model
    assert concrete is not None
    return concrete._meta.label_lower
