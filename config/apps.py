"""The app that holds the management commands of the whole site and makes the Celery app the current one."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "config"
    verbose_name = "Site"

    def ready(self) -> None:
        # `shared_task` binds to the current Celery app, so every process that has Django must have ours;
        # checks register when imported.
        from config import celery, checks  # noqa: F401
