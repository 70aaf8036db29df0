"""procrastinate: two workers, each with ten tasks under way; its table of jobs is the record."""

from collections.abc import Sequence

import procrastinate

from benchmarks.peers import base, work
from benchmarks.peers.settings import SOCKETS

ADDRESS = {"dbname": "peers", "user": "headway", "host": SOCKETS}
app = procrastinate.App(connector=procrastinate.PsycopgConnector(kwargs=ADDRESS))
noop = app.task(name="noop")(work.noop)
nap = app.task(name="nap")(work.nap)
probe = app.task(name="probe")(work.probe)


class ProcrastinatePeer:
    label = "procrastinate"

    def prepare(self) -> None:
        app.open()
        app.schema_manager.apply_schema()

    def workers(self) -> Sequence[Sequence[str]]:
        name = "benchmarks.peers.procrastinate_app.app"
        return [base.python("-m", "procrastinate", f"--app={name}", "worker", "--concurrency=10")] * 2

    def noop(self) -> None:
        noop.defer()

    def nap(self, seconds: float) -> None:
        nap.defer(seconds=seconds)

    def probe(self, sent_at: float) -> None:
        probe.defer(sent_at=sent_at)

    def finished(self) -> int:
        query = "SELECT count(*) AS count FROM procrastinate_jobs WHERE status = 'succeeded'"
        return int(app.connector.get_sync_connector().execute_query_one(query)["count"])


PEER_CLASS = ProcrastinatePeer
