"""One PostgreSQL cluster with a migrated test database, of which each worker of pytest-xdist takes a copy.

`python -m tests.template FOLDER` makes it while the workers collect their tests. The cluster is in FOLDER when this
process has ended; if it is not, each worker makes one of its own, and says what is wrong better than this one could.
"""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from config.children import Program, end, start

ROOT: Final = Path(__file__).resolve().parent.parent
VARIABLE: Final = "HEADWAY_TEST_TEMPLATE"


def begin(folder: Path) -> subprocess.Popen[bytes]:
    """Starts to make it; the workers that are started after this find it by `copy_to`."""
    with _lock(folder).open("wb") as lock:
        # Held by the process that makes it, however that ends.
        fcntl.flock(lock, fcntl.LOCK_EX)
        with folder.with_name("template.log").open("wb") as log:
            command = [sys.executable, "-m", "tests.template", str(folder)]
            program = Program(name="template", command=command, directory=ROOT)
            process = start(program, output=log, pass_fds=[lock.fileno()])
    os.environ[VARIABLE] = str(folder)
    return process


def copy_to(data: Path) -> bool:
    """Makes `data` a copy of the cluster, once it is there; says whether there was one."""
    if VARIABLE not in os.environ:
        return False
    folder = Path(os.environ[VARIABLE])
    with _lock(folder).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not folder.exists():
            return False
        # Owners and modes too: PostgreSQL wants them to be its own.
        subprocess.run(["cp", "-a", folder, data], check=True)
    return True


def _lock(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def main(folder: Path) -> None:
    # Who is asked to end leaves no folder behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    from tests.servers import SERVERS

    SERVERS.postgres.finish(SERVERS.postgres.begin())
    SERVERS.start_postgres()
    import django

    django.setup()
    from django.db import connection
    from django.test.utils import setup_databases

    setup_databases(verbosity=0, interactive=False, serialized_aliases=set())
    connection.close()
    end(SERVERS.processes.pop("postgres"), stop_signal=signal.SIGINT, seconds=60)
    SERVERS.postgres.data.rename(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
