"""What the tasks of all peers do: nothing, sleep, or say how long they took to start."""

import os
import time
from pathlib import Path


def noop() -> None:
    """Nothing. Peers that keep no record count by `counted` instead."""


def counted() -> None:
    """Adds one byte to a file: how many were carried out is its size."""
    _append("done", b".")


def nap(seconds: float) -> None:
    time.sleep(seconds)


def probe(sent_at: float) -> None:
    """Notes the seconds since `sent_at` (seconds since 1970)."""
    _append("probes", f"{time.time() - sent_at:.6f}\n".encode())


def probes() -> list[float]:
    path = _folder() / "probes"
    return [float(line) for line in path.read_text().split()] if path.exists() else []


def count() -> int:
    path = _folder() / "done"
    return path.stat().st_size if path.exists() else 0


def _folder() -> Path:
    return Path(os.environ["BENCH_FOLDER"])


def _append(name: str, data: bytes) -> None:
    file = os.open(_folder() / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, data)
    os.close(file)
