"""What is coming: how many slots fall into each minute, so that pile-ups are seen before they happen.

Bounded by construction: schedules with the same rule are computed once, only the first `MOST_SCHEDULES` are
looked at, and after `MOST_SLOTS` computed slots what is left is not; `Load.is_cut` says so.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import QuerySet

from triggers import schedules
from triggers.models import Trigger

MOST_SCHEDULES: Final = 2000
MOST_SLOTS: Final = 20_000
MINUTE: Final = timedelta(minutes=1)
# So many starts in one minute are a pile-up, if they are more than three times what a minute has on the average.
PILE: Final = 5
PEAKS: Final = 10
# A schedule that starts more often than this a day is no one's to be spread: it is there in every hour anyway.
OFTEN: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """A minute in which much starts: of how many schedules, and which of them keep to the very second."""

    at: datetime
    starts: int
    crowd: Sequence[Trigger]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The starts of each minute from `begin` on, and the fullest minutes."""

    begin: datetime
    minutes: Sequence[int]
    peaks: Sequence[Peak]
    schedules: int
    is_cut: bool

    @property
    def starts(self) -> int:
        """All that is counted."""
        return sum(self.minutes)


def coming(found: QuerySet[Trigger], *, begin: datetime, minutes: int) -> Load:
    """The starts of the enabled ones of the schedules `found` in the `minutes` minutes from `begin`, in two queries.

    A start is a slot and the schedule's jitter; slots that a pause or a calendar holds back do not count.
    """
    begin = begin.astimezone(UTC).replace(second=0, microsecond=0)
    end = begin + minutes * MINUTE
    first = found.filter(enabled=True, next_run_at__lt=end).order_by("next_run_at", "id")
    rows = list(first.prefetch_related("calendars").select_related("job")[: MOST_SCHEDULES + 1])
    counted: Counter[int] = Counter()
    computed, is_cut = 0, len(rows) > MOST_SCHEDULES
    alike = _alike(rows[:MOST_SCHEDULES])
    placed: list[tuple[list[Trigger], list[int]]] = []
    for group in alike:
        if computed >= MOST_SLOTS:
            is_cut = True
            break
        at = _minutes(group[0], begin, end)
        computed += len(at)
        placed.append((group, at))
        for minute in at:
            counted[minute] += len(group)
    return Load(
        begin=begin,
        minutes=[counted[minute] for minute in range(minutes)],
        peaks=_peaks(counted, placed, begin, minutes),
        schedules=sum(len(group) for group, _ in placed),
        is_cut=is_cut,
    )


def _alike(found: Iterable[Trigger]) -> list[list[Trigger]]:
    """The schedules whose starts fall together, each group computed once."""
    groups: dict[Hashable, list[Trigger]] = {}
    for trigger in found:
        rule = (
            trigger.cron,
            trigger.timezone.key,
            schedules.jitter(trigger),
            trigger.starts_at,
            trigger.ends_at,
        )
        held = (trigger.paused_at, trigger.paused_until, *(each.pk for each in trigger.calendars.all()))
        groups.setdefault((*rule, *held), []).append(trigger)
    return list(groups.values())


def _minutes(trigger: Trigger, begin: datetime, end: datetime) -> list[int]:
    """The minutes after `begin` in which the schedule starts."""
    delay = schedules.jitter(trigger)
    slots = schedules.between(trigger, begin=begin - delay, end=end - delay, limit=MOST_SLOTS)
    return [(slot + delay - begin) // MINUTE for slot in slots if not schedules.holding(trigger, slot)]


def _peaks(
    counted: Counter[int], placed: Sequence[tuple[list[Trigger], list[int]]], begin: datetime, minutes: int
) -> list[Peak]:
    usual = sum(counted.values()) / minutes
    high = [
        (minute, starts)
        for minute, starts in counted.most_common(PEAKS)
        if starts >= PILE and starts > 3 * usual
    ]
    return [
        Peak(
            at=begin + minute * MINUTE,
            starts=starts,
            crowd=[
                trigger
                for group, at in placed
                if minute in at and len(at) <= OFTEN
                for trigger in group
                if not trigger.jitter_seconds
            ],
        )
        for minute, starts in sorted(high)
    ]
