"""A private PostgreSQL cluster on a unix socket, run in the foreground by whoever starts it."""

import contextlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from config.children import Account, Program, start, wait_until
from config.embedded import OLDEST_POSTGRES, Unavailable

ORPHAN_SECONDS = 5.0
ROLE = "headway"
DATABASE = "postgres"  # the one that initdb makes; nothing else lives in this cluster


@dataclass(kw_only=True, slots=True)
class Postgres:
    """A private cluster: `data` holds it, `sockets` is its only address, no TCP port is opened."""

    data: Path
    sockets: Path
    binaries: Path
    account: Account | None
    options: tuple[str, ...] = ()  # "name=value", over postgresql.conf

    @property
    def url(self) -> str:
        return f"postgresql://{ROLE}@/{DATABASE}?host={self.sockets}"

    def reach(self) -> int:
        """Make sure that the account can run the binaries; returns PostgreSQL's major version.

        A checkout in a folder of root's own can't be entered by the account. Then a copy in `sockets`
        is used, because no folder's mode is changed for our sake.
        """
        try:
            return self._version()
        except PermissionError:
            copy = self.sockets / "server"
            shutil.copytree(self.binaries.parent, copy, symlinks=True)
            for path in [copy, *copy.rglob("*")]:
                if not path.is_symlink():
                    execute = path.stat().st_mode & stat.S_IXUSR
                    path.chmod(0o755 if path.is_dir() or execute else 0o644)
            self.binaries = copy / "bin"
            return self._version()

    def _version(self) -> int:
        account = self.account
        answer = subprocess.run(
            [self.binaries / "postgres", "--version"],
            check=True,
            capture_output=True,
            text=True,
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        ).stdout
        found = re.search(r"(\d+)", answer)
        version = int(found[1]) if found else 0
        if version < OLDEST_POSTGRES:
            raise Unavailable(
                f"{answer.strip()} at {self.binaries} is too old: {OLDEST_POSTGRES} or newer is needed."
            )
        self._check_data(version)
        return version

    def _check_data(self, version: int) -> None:
        mark = self.data / "PG_VERSION"
        written_by = mark.read_text().strip() if mark.exists() else str(version)
        if written_by != str(version):
            raise Unavailable(
                f"{self.data} was written by PostgreSQL {written_by}, but {version} is installed: start over "
                "with --reset, or move the data with pg_dump and the older version."
            )

    def begin(self) -> subprocess.Popen[bytes] | None:
        """Start `initdb` in the background when there is no data yet; `finish` must follow.

        It works on `<data>.new`, so that a half-made cluster is never mistaken for a whole one.
        """
        major = self.reach()
        if self.data.exists():
            return None
        new = self._new
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700, parents=True)
        if self.account:
            os.chown(new, self.account.uid, self.account.gid)
        # The builtin provider sorts and folds case alike on every platform.
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if major >= 17 else []
        command = [self.binaries / "initdb", "--pgdata", _here(new), "--username", ROLE, "--encoding=UTF8"]
        flags = ["--auth-local=trust", "--auth-host=reject", "--locale=C", "--no-instructions", "--no-sync"]
        return start(
            Program(
                name="initdb",
                command=[str(word) for word in [*command, *flags, *locale]],
                directory=new,
                account=self.account,
            ),
            output=subprocess.PIPE,
        )

    def finish(self, process: subprocess.Popen[bytes] | None) -> None:
        """Wait for the `initdb` that `begin` started and put its cluster in place."""
        if process is None:
            return
        output = process.communicate()[0].decode(errors="replace")
        if process.returncode != 0:
            shutil.rmtree(self._new, ignore_errors=True)
            raise Unavailable(f"initdb failed with exit code {process.returncode}:\n{output.strip()}")
        self._new.rename(self.data)

    @property
    def _new(self) -> Path:
        return self.data.with_name(self.data.name + ".new")

    def program(self) -> Program:
        """The server itself; SIGINT is PostgreSQL's fast and clean shutdown."""
        settings = [
            "listen_addresses=",
            f"unix_socket_directories={self.sockets}",
            "unix_socket_permissions=0700",
            "log_checkpoints=off",
            *self.options,
        ]
        command = [str(self.binaries / "postgres"), "-D", _here(self.data)]
        return Program(
            name="postgres",
            command=[*command, *(word for setting in settings for word in ("-c", setting))],
            directory=self.data,
            account=self.account,
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGINT,
        )

    def checkpoint(self) -> Program:
        """Writes to disk what is only in memory, so that the shutdown that follows has little left to do."""
        command = [str(self.binaries / "psql"), self.url, "--quiet", "--command", "CHECKPOINT"]
        return Program(name="checkpoint", command=command, directory=self.sockets)

    def is_ready(self) -> bool:
        """Whether the running server accepts connections: the last line of `postmaster.pid` says so."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"

    def clear_leftovers(self) -> None:
        end_leftovers(self.data)


def end_leftovers(data: Path) -> None:
    """End what a killed `up` or server left running on this cluster, then drop its stale lock file.

    Two servers on one cluster would destroy it, so the lock goes only when nobody works there. The caller
    holds the lock on the home; the number in the file may meanwhile belong to a stranger.
    """
    for process in _postmasters(data):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGINT)
    if not wait_until(lambda: not _processes(data), seconds=ORPHAN_SECONDS):
        for process in _processes(data):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    if not wait_until(lambda: not _processes(data), seconds=ORPHAN_SECONDS):
        raise Unavailable(f"Another PostgreSQL works on {data} and can't be stopped.")
    (data / "postmaster.pid").unlink(missing_ok=True)


def _postmasters(data: Path) -> list[psutil.Process]:
    """Those whose parent is not a server too; to the others a signal means something else."""
    found = _processes(data)
    pids = {process.pid for process in found}
    return [process for process in found if process.info["ppid"] not in pids]


def _processes(data: Path) -> list[psutil.Process]:
    """The server processes on this cluster: PostgreSQL's working folder is its data folder."""
    return [
        process
        for process in psutil.process_iter(["name", "cwd", "ppid"])
        if process.info["name"] == "postgres" and process.info["cwd"] == str(data)
    ]


def _here(folder: Path) -> str:
    """How to name `folder` to a program whose working folder it is.

    On Linux that works although the account may not be able to enter the folders above it.
    """
    return "/proc/self/cwd" if sys.platform == "linux" else str(folder)
