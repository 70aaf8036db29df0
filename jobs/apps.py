"""The app of what can be run; finds the job functions of every installed app at start."""

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        from jobs import auditing, registry

        registry.autodiscover()
        # The first of a connection's wrappers, for others come and go behind it.
        connection_created.connect(
            lambda connection, **kwargs: (
                connection.execute_wrappers.insert(0, auditing.tell)
                if auditing.tell not in connection.execute_wrappers
                else None
            ),
            weak=False,
            dispatch_uid="auditing",
        )
