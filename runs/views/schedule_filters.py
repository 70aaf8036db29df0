"""The filters of the page /schedules/ and its paging: both are read from the address."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import QueryDict

from jobs import wire
from runs.views.narrowing import Narrowing
from triggers import cron
from triggers.models import Occurrence, Trigger

WITHIN: Final = {
    "1h": ("an hour", timedelta(hours=1)),
    "6h": ("6 hours", timedelta(hours=6)),
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
}
STATES: Final = {"on": "on", "off": "off", "paused": "paused"}
RESTS: Final = ("on", "off")
VIEWS: Final = {"list": "List", "timeline": "Timeline", "load": "Load"}


@dataclass(slots=True, kw_only=True)
class ScheduleFilters(Narrowing):
    """What the schedules are narrowed to."""

    view: str = "list"
    search: str = ""
    job: str = ""
    state: str = ""
    zone: str = ""
    within: str = ""
    cron: str = ""
    missed: bool = False

    @classmethod
    def read(cls, data: QueryDict) -> "ScheduleFilters":
        """The filters that the query string `data` says."""
        found = cls(data=data, missed=data.get("missed") == "yes")
        found.search, found.job, found.cron = (found.text(name) for name in ("q", "job", "cron"))
        found.view = found.one_of("view", VIEWS) or "list"
        found.state, found.within = found.one_of("state", STATES), found.one_of("within", WITHIN)
        found.zone = found.text("zone")
        try:
            cron.validate_zone(found.zone or "UTC")
        except cron.InvalidZone as error:
            found.errors["zone"] = str(error)
        return found

    @property
    def is_any(self) -> bool:
        """Whether anything is left out."""
        return bool(
            self.search or self.job or self.state or self.zone or self.within or self.cron or self.missed
        )

    def apply(self, schedules: QuerySet[Trigger], *, now: datetime) -> QuerySet[Trigger]:
        """`schedules` narrowed; none at all if a filter could not be read."""
        if self.errors:
            return schedules.none()
        if self.search:
            schedules = schedules.filter(
                Q(job__slug__icontains=self.search)
                | Q(job__name__icontains=self.search)
                | Q(name__icontains=self.search)
            )
        if self.job:
            schedules = schedules.filter(job__slug=self.job)
        if self.zone:
            schedules = schedules.filter(timezone=self.zone)
        if self.cron:
            schedules = schedules.filter(cron__contains=" ".join(self.cron.split()))
        if self.within:
            schedules = schedules.filter(enabled=True, next_run_at__lte=now + WITHIN[self.within][1])
        if self.missed:
            missed = Occurrence.objects.filter(trigger=OuterRef("pk"), outcome=Occurrence.Outcome.MISSED)
            schedules = schedules.filter(Exists(missed))
        return self._by_state(schedules, now)

    def _by_state(self, schedules: QuerySet[Trigger], now: datetime) -> QuerySet[Trigger]:
        paused = Q(paused_at__lte=now) & (Q(paused_until=None) | Q(paused_until__gt=now))
        if self.state == "paused":
            return schedules.filter(paused)
        return schedules.filter(enabled=self.state == "on") if self.state else schedules

    def address(self, **changed: str) -> str:
        """The page with these parameters changed ("" takes one away), from its beginning."""
        return f"?{self.changed(without=('after',), **changed).urlencode()}"

    def views(self) -> list[tuple[str, str, bool]]:
        """The ways to look at the schedules: word, address, and whether it is the one that is shown."""
        return [
            (word, self.address(view="" if name == "list" else name), name == self.view)
            for name, word in VIEWS.items()
        ]


def page(schedules: QuerySet[Trigger], *, after: str, size: int) -> tuple[list[Trigger], str]:
    """Up to `size` schedules behind the place `after`, those that fire next first, and the place of the next page.

    A place is what a schedule was ordered by when the page was shown, and not its number: what fires meanwhile
    moves behind, and nothing is left out for it.
    """
    at, _, text = after.rpartition("_")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    found: list[Trigger] = []
    if at not in RESTS:
        planned = schedules.filter(enabled=True, next_run_at__isnull=False).filter(_behind(at, number))
        found = list(planned.order_by("next_run_at", "id")[: size + 1])
    if len(found) <= size:
        rest = schedules.exclude(enabled=True, next_run_at__isnull=False).filter(_rest(at, number))
        found += rest.order_by("-enabled", "id")[: size + 1 - len(found)]
    return found[:size], _place(found[size - 1]) if len(found) > size else ""


def _place(trigger: Trigger) -> str:
    if trigger.enabled and trigger.next_run_at:
        return f"{wire.instant_text(trigger.next_run_at)}_{trigger.pk}"
    return f"{'on' if trigger.enabled else 'off'}_{trigger.pk}"


def _behind(at: str, number: int) -> Q:
    try:
        moment = wire.instant(at)
    except ValueError:  # no page of ours says so: from the beginning
        return Q()
    return Q(next_run_at__gt=moment) | Q(next_run_at=moment, pk__gt=number)


def _rest(at: str, number: int) -> Q:
    """Those without a next slot: first the enabled ones, then those that are off."""
    if at == "off":
        return Q(enabled=False, pk__gt=number)
    return Q(enabled=False) | Q(pk__gt=number) if at == "on" else Q()
