"""django-tasks with its database backend: two workers that look again at once."""

import os
from collections.abc import Sequence

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.peers.settings")
django.setup()

from django_tasks import task  # noqa: E402

from benchmarks.peers import base, work  # noqa: E402

# A task is found again by its function's place, so the functions must be here.


@task()
def noop() -> None:
    work.noop()


@task()
def nap(seconds: float) -> None:
    work.nap(seconds)


@task()
def probe(sent_at: float) -> None:
    work.probe(sent_at)


class TasksDbPeer:
    label = "django-tasks-db"

    def prepare(self) -> None:
        base.migrate()

    def workers(self) -> Sequence[Sequence[str]]:
        return [base.django_admin("db_worker", "--interval=0.005", "--no-startup-delay")] * 2

    def noop(self) -> None:
        noop.enqueue()

    def nap(self, seconds: float) -> None:
        nap.enqueue(seconds)

    def probe(self, sent_at: float) -> None:
        probe.enqueue(sent_at)

    def finished(self) -> int:
        from django_tasks_db.models import DBTaskResult

        return int(DBTaskResult.objects.successful().count())


PEER_CLASS = TasksDbPeer
