"""The PostgreSQL and Valkey of a measurement: private, as `up` starts them, and durable as by default."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.children import Program, end, start, wait_until
from config.embedded import postgres_binaries, short_folder, unprivileged_account, valkey_binary
from config.postgres import Postgres
from config.valkey import Valkey

PREFIX = "headway-bench-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Both, running."""

    folder: Path
    postgres: Postgres
    valkey: Valkey


@contextmanager
def servers() -> Iterator[Servers]:
    """Starts both, and ends and removes them afterwards."""
    account = unprivileged_account()
    folder = short_folder(prefix=PREFIX, account=account)
    postgres = Postgres(data=folder / "data", sockets=folder, binaries=postgres_binaries(), account=account)
    valkey = Valkey(sockets=folder, binary=valkey_binary())
    running: list[subprocess.Popen[bytes]] = []
    try:
        postgres.finish(postgres.begin())
        for server in (postgres, valkey):
            program: Program = server.program()
            running.append(start(program))
            if not wait_until(server.is_ready, seconds=60):
                raise RuntimeError(f"{program.name} was not ready within 60 s.")
        yield Servers(folder=folder, postgres=postgres, valkey=valkey)
    finally:
        for process in running:
            end(process, stop_signal=signal.SIGINT, seconds=10)
        shutil.rmtree(folder, ignore_errors=True)
