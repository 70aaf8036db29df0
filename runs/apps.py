"""The app of what happened."""

from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.db.models.signals import post_migrate

from jobs.priority import LANES


class RunsConfig(AppConfig):
    name = "runs"

    def ready(self) -> None:
        from runs import receivers  # noqa: F401

        post_migrate.connect(make_lanes, sender=self)


def make_lanes(using: str, apps: Any = installed, **kwargs: Any) -> None:
    """Sees that there is a row for each lane after every migration, and after a `flush`, which empties all."""
    try:
        lane = apps.get_model("runs", "Lane")
    except LookupError:
        return  # migrated back to before there were lanes
    lane.objects.using(using).bulk_create([lane(name=name) for name in LANES], ignore_conflicts=True)
