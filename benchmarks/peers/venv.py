"""The peers' venv, and what they measured in it: their packages never meet Headway's."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.figures import Figure, milliseconds
from benchmarks.servers import PREFIX, Servers, servers
from config.children import LEASH

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / "var" / "bench-venv"
LOCK = Path(__file__).with_name("requirements.lock")
NAMES = ("procrastinate", "django-tasks-db", "django-q2", "dramatiq", "celery-results", "celery")
SECONDS = 400.0


def install() -> Path:
    """Makes the venv from its lock file unless it is there; returns its Python."""
    python, stamp = VENV / "bin" / "python", VENV / "stamp"
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print("Installing the peers into var/bench-venv …", flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        flags = ("--quiet", "--no-input", "--disable-pip-version-check")
        subprocess.run([python, "-m", "pip", "install", *flags, "-r", LOCK], check=True)
        stamp.write_text(wanted)
    return python


def measure(names: tuple[str, ...], *, count: int, probes: int) -> list[Figure]:
    """The figures of these peers; one that fails is told and left out."""
    python = install()
    figures: list[Figure] = []
    for name in names:
        with servers() as own:
            answer = _measure(python, name, own, count=count, probes=probes)
        if answer is not None:
            figures += _figures(answer)
    return figures


def _measure(python: Path, name: str, own: Servers, *, count: int, probes: int) -> dict[str, Any] | None:
    with psycopg.connect(own.postgres.url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE peers")
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "BENCH_PEER": name,
        "BENCH_SOCKETS": str(own.folder),
        "BENCH_FOLDER": str(folder),
        "DJANGO_SETTINGS_MODULE": "benchmarks.peers.settings",
    }
    leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), str(int(signal.SIGKILL)), "-"]
    command = [*leash, str(python), "-m", "benchmarks.peers", name, f"--count={count}", f"--probes={probes}"]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        if done.returncode:
            log = folder / "workers.log"
            said = log.read_text(errors="replace")[-1500:] if log.exists() else ""
            print(f"{name} failed and is left out:\n{done.stderr[-1500:]}\n{said}", flush=True)
            return None
        return dict(json.loads(done.stdout.splitlines()[-1]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _figures(answer: dict[str, Any]) -> list[Figure]:
    label = answer["label"]
    rates = [
        Figure(measure=measure, system=label, value=answer["rate"], unit="/s", is_rate=True)
        for measure in ("tracked no-op runs, bulk", "tracked no-op runs, one by one")
    ]
    idle = milliseconds("trigger to start, idle", answer["idle"], system=label)
    return [*rates, *idle, *milliseconds("trigger to start, bulk sleeps 5 ms", answer["naps"], system=label)]
