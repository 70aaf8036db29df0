"""The log of a run as its page shows it: the newest lines, older ones by link, new ones as they come."""

from collections.abc import Sequence
from dataclasses import dataclass

from runs import logs

# So many lines stand on a page; a poll brings as many at once.
LINES = 500


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some lines in order, behind the line `after`; `last` is the number of the newest line there is."""

    lines: Sequence[logs.Line]
    after: int
    last: int
    is_tail: bool

    @property
    def first_shown(self) -> int:
        """The number of the first line shown; 0 if there are none."""
        return self.lines[0].seq if self.lines else 0

    @property
    def last_shown(self) -> int:
        """The number up to which the page is complete."""
        return self.lines[-1].seq if self.lines else self.after

    @property
    def has_older(self) -> bool:
        """Whether there are lines before the first shown."""
        return self.first_shown > 1

    @property
    def has_more(self) -> bool:
        """Whether there are lines behind the last shown."""
        return self.last_shown < self.last


def newest(run_id: int, *, before: int | None = None) -> LogPage:
    """The newest lines, or those before the line `before`."""
    last = logs.last_seq(run_id)
    is_tail = before is None or before > last
    end = last if is_tail or before is None else before - 1
    after = max(end - LINES, 0)
    lines = logs.lines(run_id, after=after, limit=end - after) if end else []
    return LogPage(lines, after, last, is_tail)


def news(run_id: int, *, after: int) -> LogPage:
    """The lines behind `after`."""
    last = logs.last_seq(run_id)
    lines = logs.lines(run_id, after=after, limit=LINES) if last > after else []
    return LogPage(lines, after, last, is_tail=True)
