"""django-q2 on Redis: one cluster of two workers; its table of successes is the record."""

from collections.abc import Sequence

from benchmarks.peers import base


class Q2Peer:
    label = "django-q2 (Redis)"

    def prepare(self) -> None:
        base.migrate()

    def workers(self) -> Sequence[Sequence[str]]:
        return [base.django_admin("qcluster")]

    def noop(self) -> None:
        self._send("benchmarks.peers.work.noop")

    def nap(self, seconds: float) -> None:
        self._send("benchmarks.peers.work.nap", seconds)

    def probe(self, sent_at: float) -> None:
        self._send("benchmarks.peers.work.probe", sent_at)

    def _send(self, function: str, *arguments: float) -> None:
        from django_q.tasks import async_task

        async_task(function, *arguments)

    def finished(self) -> int:
        from django_q.models import Success

        return int(Success.objects.count())


PEER_CLASS = Q2Peer
