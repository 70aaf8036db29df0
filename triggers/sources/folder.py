"""A watched folder: each file that arrives in it, or changes, and then rests for a while."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from jobs.expectations import shown
from triggers.sources import globs
from triggers.sources.base import Found, Listed, Look, Place, Unreachable

EVENT: Final = "file"
FILES_LIMIT: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file as one look saw it; `parts` is its path in the folder."""

    parts: tuple[str, ...]
    size: int
    mtime_ns: int
    inode: int

    @property
    def identity(self) -> str:
        """Another one for another content, as far as the file system tells: by path, time, size and inode."""
        return f"{'/'.join(self.parts)}\n{self.mtime_ns}\n{self.size}\n{self.inode}"


class Folder(Listed):
    """A file is taken when it was the same at two looks with `settle_seconds` between them.

    No clock of the file system's is asked for that: only the looks are timed, so that neither a copied old time
    nor a server whose clock is wrong lets half a file through. Nothing is opened, and no link is followed.
    """

    label = "Watched folder"
    options: Mapping[str, Any] = {
        "path": {
            "type": "string",
            "minLength": 1,
            "maxLength": 1000,
            "description": "The folder, as the poller and the workers see it; inside HEADWAY_WATCH_ROOTS.",
        },
        "pattern": {
            "type": "string",
            "minLength": 1,
            "maxLength": 500,
            "default": "*",
            "description": "Which files: *.csv, in/*.csv, **/*.csv. Names that begin with a dot are left out.",
        },
        "settle_seconds": {
            "type": "integer",
            "minimum": 0,
            "maximum": 86_400,
            "default": 5,
            "description": "How long a file must rest, so that it is whole.",
        },
    }
    marks: Sequence[str] = ("path", "pattern")
    sample: Mapping[str, Any] = {
        "path": "/srv/drop/in/sales-2026-01.csv",
        "relative": "in/sales-2026-01.csv",
        "name": "sales-2026-01.csv",
        "folder": "/srv/drop",
        "size": 20_480,
        "modified_at": "2026-01-31T08:15:00Z",
    }

    def faults(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """A path outside the roots, and a pattern that would lead out of the folder."""
        found = {}
        parts = options["pattern"].split("/")
        if any(part in ("", ".", "..") for part in parts):
            found["pattern"] = f"{shown(options['pattern'])} is no pattern of paths inside the folder."
        try:
            _allowed(options["path"])
        except Unreachable as error:
            found["path"] = str(error)
        return found

    def look(self, place: Place) -> Look:
        """The files that rest and were not taken, the oldest first."""
        folder = _allowed(place.options["path"])
        files = sorted(_files(folder, place), key=lambda file: (file.mtime_ns, file.parts))
        known = place.memory.known([file.identity for file in files])
        present = {file.identity for file in files}
        if place.begins and not place.from_beginning:
            passed = [(file.identity, None) for file in files if file.identity not in known]
            return Look(passed=passed, present=present)
        fresh = [file for file in files if known.get(file.identity, place.now) is not None]
        settle = timedelta(seconds=place.options["settle_seconds"])
        ready = [file for file in fresh if _rests(known.get(file.identity), settle, place)]
        here = {file.identity for file in ready}
        waiting = [file.identity for file in fresh if file.identity not in here]
        return Look(
            found=[_found(folder, file) for file in ready[: place.limit]],
            waiting=waiting,
            wait_seconds=settle.total_seconds() if waiting else None,
            present=present,
            more=len(ready) > place.limit,
        )


def _rests(since: datetime | None, settle: timedelta, place: Place) -> bool:
    return not settle or place.is_trial or (since is not None and place.now - since >= settle)


def _allowed(text: str) -> Path:
    """The real folder that `text` names; raises Unreachable unless it is one inside a root."""
    roots = [os.path.realpath(root) for root in settings.WATCH_ROOTS]
    if not roots:
        raise Unreachable("HEADWAY_WATCH_ROOTS is not set: no folder may be watched.")
    if not text.startswith("/") or "\0" in text:
        raise Unreachable(f"{shown(text)} is no absolute path.")
    real = os.path.realpath(text)
    if not any(os.path.commonpath([root, real]) == root for root in roots):
        raise Unreachable(
            f"{shown(text)} is not inside HEADWAY_WATCH_ROOTS ({', '.join(settings.WATCH_ROOTS)})."
        )
    return Path(real)


def _files(folder: Path, place: Place) -> Iterator[File]:
    pattern = place.options["pattern"].split("/")
    left: list[tuple[str, ...]] = [()]
    count = 0
    while left:
        inside = left.pop()
        place.check()
        try:
            with os.scandir(folder.joinpath(*inside)) as entries:
                for entry in entries:
                    parts = (*inside, entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        left += [parts] if globs.may_hold(parts, pattern) else []
                    elif globs.matches(parts, pattern) and (file := _file(entry, parts)) is not None:
                        count += 1
                        yield file
        except FileNotFoundError:
            if not inside:
                raise Unreachable(f"The folder {folder} is not there.") from None
        except OSError as error:
            raise Unreachable(f"{folder.joinpath(*inside)} can't be read: {error.strerror}.") from None
        if count > FILES_LIMIT:
            raise Unreachable(
                f"More than {FILES_LIMIT} files fit: move some away, or choose a narrower pattern."
            )


def _file(entry: os.DirEntry[str], parts: tuple[str, ...]) -> File | None:
    try:
        if not entry.is_file(follow_symlinks=False):
            return None
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # it was moved away meanwhile
        return None
    return File(parts=parts, size=found.st_size, mtime_ns=found.st_mtime_ns, inode=found.st_ino)


def _found(folder: Path, file: File) -> Found:
    modified = datetime.fromtimestamp(file.mtime_ns // 1_000_000_000, UTC) + timedelta(
        microseconds=file.mtime_ns % 1_000_000_000 // 1000
    )
    payload = {
        "path": _text(str(folder.joinpath(*file.parts))),
        "relative": _text("/".join(file.parts)),
        "name": _text(file.parts[-1]),
        "folder": _text(str(folder)),
        "size": file.size,
        "modified_at": modified.isoformat().replace("+00:00", "Z"),
    }
    return Found(identity=file.identity, event=EVENT, payload=payload)


def _text(path: str) -> str:
    """A path that is no UTF-8, with the bytes that are none as `\\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
