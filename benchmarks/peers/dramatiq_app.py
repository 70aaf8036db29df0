"""dramatiq on Redis with django-dramatiq's table as the record: two processes of four threads."""

import os
from collections.abc import Sequence

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.peers.settings")
django.setup()

import dramatiq  # noqa: E402

from benchmarks.peers import base, work  # noqa: E402

noop = dramatiq.actor(work.noop)
nap = dramatiq.actor(work.nap)
probe = dramatiq.actor(work.probe)


class DramatiqPeer:
    label = "dramatiq + django-dramatiq"

    def prepare(self) -> None:
        base.migrate()

    def workers(self) -> Sequence[Sequence[str]]:
        command = ("-m", "dramatiq", "benchmarks.peers.dramatiq_app", "--processes=2", "--threads=4")
        return [base.python(*command)]

    def noop(self) -> None:
        noop.send()

    def nap(self, seconds: float) -> None:
        nap.send(seconds)

    def probe(self, sent_at: float) -> None:
        probe.send(sent_at)

    def finished(self) -> int:
        from django_dramatiq.models import Task

        return int(Task.tasks.filter(status=Task.STATUS_DONE).count())


PEER_CLASS = DramatiqPeer
