"""Measures one peer and prints its figures as JSON; run by `benchmarks.peers.venv` in the peers' venv.

python -m benchmarks.peers NAME --count 2000 --probes 100
"""

import argparse
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks.peers import work
from benchmarks.peers.base import Peer

MODULES: Final = {
    "celery": "celery_app",
    "celery-results": "celery_app",
    "django-q2": "django_q2",
    "procrastinate": "procrastinate_app",
    "dramatiq": "dramatiq_app",
    "django-tasks-db": "tasks_db",
}
PATIENCE: Final = 120.0
# A program, run and never imported: what it starts dies with us.
LEASH: Final = Path(__file__).resolve().parents[2] / "config" / "leash.py"
NAP: Final = 0.005


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=MODULES)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--probes", type=int, default=100)
    options = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.peers.settings"
    peer: Peer = importlib.import_module(f"benchmarks.peers.{MODULES[options.name]}").PEER_CLASS()
    peer.prepare()
    # All is queued before the first worker starts, as Headway's bulk lane is paused meanwhile.
    began = time.monotonic()
    for _ in range(options.count):
        peer.noop()
    queued = time.monotonic() - began
    with _workers(peer):
        rate = _drain(peer, options.count)
        idle = _probe(peer, options.probes, gap=0.04)
        loaded = _probe_under_naps(peer, options.probes)
    print(
        json.dumps(
            {
                "label": peer.label,
                "rate": rate,
                "create": options.count / queued,
                "idle": idle,
                "naps": loaded,
            }
        )
    )
    return 0


@contextlib.contextmanager
def _workers(peer: Peer) -> Iterator[None]:
    log = (Path(os.environ["BENCH_FOLDER"]) / "workers.log").open("wb")
    leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), str(int(signal.SIGKILL)), "-"]
    running = [
        subprocess.Popen([*leash, *command], stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        for command in peer.workers()
    ]
    try:
        yield
    finally:
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _drain(peer: Peer, count: int) -> float:
    """Tasks a second from the first look that found some finished, so that the workers' start is left out."""
    seen: list[tuple[float, int]] = []

    def over() -> bool:
        finished = peer.finished()
        if finished:
            seen.append((time.monotonic(), finished))
        return finished >= count

    _until(over, pause=0.05)
    (first, had), (last, have) = seen[0], seen[-1]
    if have == had:
        raise RuntimeError(f"{count} tasks were over before they could be watched: take more.")
    return (have - had) / (last - first)


def _probe(peer: Peer, count: int, *, gap: float) -> list[float]:
    had = len(work.probes())
    for _ in range(count):
        peer.probe(time.time())
        time.sleep(gap)
    _until(lambda: len(work.probes()) >= had + count, pause=0.05)
    return work.probes()[had:]


def _probe_under_naps(peer: Peer, count: int) -> list[float]:
    """Probes behind a stream of short tasks, as many as two cores can sleep through, none queued up long."""
    had = len(work.probes())
    for _ in range(count):
        for _ in range(4):
            peer.nap(NAP)
        peer.probe(time.time())
        time.sleep(0.02)
    _until(lambda: len(work.probes()) >= had + count, pause=0.05)
    return work.probes()[had:]


def _until(condition: Callable[[], bool], *, pause: float) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("the tasks did not finish")
        time.sleep(pause)


if __name__ == "__main__":
    sys.exit(main())
