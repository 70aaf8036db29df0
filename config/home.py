"""The folder that `up` keeps its things in ($HEADWAY_HOME): who may use it, and what it remembers."""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Readable by its owner only: each holds a secret.
ENVIRONMENT = "environment.json"  # how the other commands of this checkout reach the running site
ACCESS = "access.json"  # the first login and the first API key
QUICKSTART = "quickstart.json"  # what `up` prints, and the process ids, while the site is ready
SIGNING = "secret_key"
VAULT = "vault_key"
LOCK = "lock"
POSTGRES = "postgres"
SOCKETS = "sockets"  # a link to the folder with a short path


class HomeRefused(Exception):
    """The folder can't be used; the text is a sentence for the person at the terminal."""


def site_environment(home: Path) -> dict[str, str]:
    """The variables of the site that `up` runs in `home`; empty when none runs, or it isn't ours."""
    try:
        return {name: str(value) for name, value in read(home / ENVIRONMENT).items()}
    except OSError:
        return {}


def read(path: Path) -> dict[str, Any]:
    """The values kept in `path`; empty when there are none."""
    try:
        return dict(json.loads(path.read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def keep(path: Path, values: Mapping[str, Any]) -> None:
    """Keep `values` in `path`; a reader sees the old ones or the new ones, never half of them."""
    _write(path, json.dumps(values, indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(name).replace(path)


class Home:
    """A home that this process alone uses until it ends."""

    def __init__(self, path: Path) -> None:
        """Make the folder if need be and lock it.

        Raises `HomeRefused` when another `up` uses it or it can't be written.
        """
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._lock, 20, 0).decode() or "unknown"
            raise HomeRefused(
                f"Headway is already running in {path} (process {holder}). Stop it first, or name another "
                "folder with HEADWAY_HOME."
            ) from error
        except OSError as error:
            raise HomeRefused(f"HEADWAY_HOME {path} can't be used: {error.strerror}.") from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def secret_key(self) -> str:
        """The site's secret key, made when there is none."""
        return self._secret(SIGNING)

    def vault_key(self) -> str:
        """The key of the site's vault, made when there is none."""
        return self._secret(VAULT)

    def _secret(self, name: str) -> str:
        path = self / name
        if not path.exists():
            _write(path, secrets.token_urlsafe(50))
        return path.read_text().strip()

    def forget(self, *names: str) -> None:
        for name in names:
            (self / name).unlink(missing_ok=True)

    def link_sockets(self, folder: Path) -> None:
        """Remember the folder of the sockets, so that it can be removed after a crash."""
        (self / SOCKETS).symlink_to(folder)

    def remove_sockets(self, folder: Path | None = None) -> None:
        """Remove `folder`, or else the one that a killed `up` left, and the link if it is to that one."""
        link = self / SOCKETS
        linked = link.readlink() if link.is_symlink() else None
        doomed = folder or linked
        if doomed:
            shutil.rmtree(doomed, ignore_errors=True)
        if linked == doomed:
            link.unlink(missing_ok=True)

    def reset(self) -> None:
        """Remove all that `up` ever kept here, and nothing else."""
        self.forget(ENVIRONMENT, ACCESS, QUICKSTART, SIGNING, VAULT)
        for name in (POSTGRES, f"{POSTGRES}.new"):
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self / name)
