"""The app of what can be run; finds the job functions of every installed app at start."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        from jobs import registry

        registry.autodiscover()
