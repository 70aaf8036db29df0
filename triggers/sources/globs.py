"""Patterns of paths: `*.csv`, `in/*.csv`, `**/*.csv`, as a shell reads them."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

ANY_DEPTH: Final = "**"


def matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path fit the parts of a pattern; `**` stands for any number of folders.

    A name that begins with a dot fits only a pattern that does: programs hide so what is not finished.
    """
    if not pattern:
        return not path
    first, *rest = pattern
    if first == ANY_DEPTH:
        return matches(path, rest) or (
            len(path) > 1 and not path[0].startswith(".") and matches(path[1:], pattern)
        )
    return bool(path) and _fits(path[0], first) and matches(path[1:], rest)


def may_hold(folder: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether something in the folder with these parts may fit the pattern."""
    if not folder:
        return True
    if not pattern[1:] and pattern[:1] != [ANY_DEPTH]:
        return False
    first, *rest = pattern
    if first == ANY_DEPTH:
        return not any(name.startswith(".") for name in folder) or may_hold(folder, rest)
    return _fits(folder[0], first) and may_hold(folder[1:], rest)


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) and (pattern.startswith(".") or not name.startswith("."))
