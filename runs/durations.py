"""Durations for people: precise when short, short when long."""

from collections.abc import Iterable
from datetime import timedelta


def duration_words(duration: timedelta | float | None) -> str:
    """`14 ms`, `3.2 s`, `42 s`, `2 min 10 s`, `3 h 5 min`, `2 d 4 h`; "" for None. Takes seconds, too."""
    if duration is None:
        return ""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
    if seconds < 1:
        return f"{max(round(seconds * 1000), 0)} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, part, part_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {part_unit}" if rest else "")
    return f"{whole} s"


def p95(durations: Iterable[timedelta]) -> timedelta | None:
    """What 95 of 100 of `durations` do not exceed, by nearest rank; None of none."""
    known = sorted(durations)
    return known[-(-len(known) * 95 // 100) - 1] if known else None
