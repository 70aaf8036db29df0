"""The kinds of triggers under names of their own, for the admin."""

from typing import ClassVar

from triggers.models.trigger import Trigger


class Schedule(Trigger):
    """A trigger of kind `schedule` under its own name in the admin; permissions are those of `Trigger`."""

    class Meta:
        proxy = True
        default_permissions = ()
        ordering: ClassVar = ["job__name", "id"]


class RemoteTrigger(Trigger):
    """A trigger of kind `remote` under its own name in the admin; permissions are those of `Trigger`."""

    class Meta:
        proxy = True
        default_permissions = ()
        ordering: ClassVar = ["job__name", "id"]


class Dependency(Trigger):
    """A trigger of kind `dependency` under its own name in the admin; permissions are those of `Trigger`."""

    class Meta:
        proxy = True
        default_permissions = ()
        ordering: ClassVar = ["job__name", "id"]
        verbose_name_plural = "dependencies"


class EventTrigger(Trigger):
    """A trigger of kind `event` under its own name in the admin; permissions are those of `Trigger`."""

    class Meta:
        proxy = True
        default_permissions = ()
        ordering: ClassVar = ["job__name", "id"]
