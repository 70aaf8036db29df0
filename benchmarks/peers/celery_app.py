"""Celery, plain or with django-celery-results: two workers of one process each, which move more than one of two."""

import os
from collections.abc import Sequence

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.peers.settings")
django.setup()

from celery import Celery  # noqa: E402

from benchmarks.peers import base, work  # noqa: E402
from benchmarks.peers.settings import PEER, REDIS  # noqa: E402

TRACKED = PEER == "celery-results"
app = Celery("bench")
app.conf.update(
    broker_url=f"redis+socket://{REDIS}",
    result_backend="django-db" if TRACKED else None,
    task_ignore_result=not TRACKED,
    task_track_started=TRACKED,
    task_serializer="json",
    worker_prefetch_multiplier=4,
    worker_hijack_root_logger=False,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
)
app.conf["CELERY_DB_REUSE_MAX"] = 1_000_000
noop = app.task(name="noop")(work.noop if TRACKED else work.counted)
nap = app.task(name="nap")(work.nap)
probe = app.task(name="probe")(work.probe)


class CeleryPeer:
    label = "Celery + django-celery-results" if TRACKED else "Celery (untracked)"

    def prepare(self) -> None:
        base.migrate()

    def workers(self) -> Sequence[Sequence[str]]:
        flags = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING")
        return [
            base.python(
                "-m", "celery", "-A", "benchmarks.peers.celery_app", "worker", "-c1", f"-nw{n}@%h", *flags
            )
            for n in (1, 2)
        ]

    def noop(self) -> None:
        noop.delay()

    def nap(self, seconds: float) -> None:
        nap.delay(seconds)

    def probe(self, sent_at: float) -> None:
        probe.delay(sent_at)

    def finished(self) -> int:
        if not TRACKED:
            return work.count()
        from django_celery_results.models import TaskResult

        return int(TaskResult.objects.filter(status="SUCCESS").count())


PEER_CLASS = CeleryPeer
