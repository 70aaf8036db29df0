"""The app of when, and by whom, a run may be caused."""

from django.apps import AppConfig


class TriggersConfig(AppConfig):
    name = "triggers"

    def ready(self) -> None:
        from triggers import receivers  # noqa: F401
