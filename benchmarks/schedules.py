"""Schedules: many enabled, many due in the same minute, and what an edit costs among few and among many.

Schedules are made as any program makes them, as rows; beat plans and fires them.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from benchmarks.figures import Figure, percentile
from benchmarks.latency import job
from benchmarks.site import Site, Sizes, figure, until

FEW: Final = 100
EDITS: Final = 10
# Of the enabled schedules, one in so many is due in the minute.
DUE_SHARE: Final = 10
PLANNING: Final = 1200.0
FIRING: Final = 600.0
# Schedules stand at least so long before they are due, in seconds: to make and plan ten thousand takes some of it.
LEAD: Final = 60.0
_NEVER: Final = "0 0 1 1 *"


def firing(site: Site, sizes: Sizes) -> list[Figure]:
    """How late runs are, which slots led to none or to two, and how much more an edit costs among many."""
    _add(FEW, cron=_NEVER)
    few = _edit()
    due = sizes.schedules // DUE_SHARE
    _add(sizes.schedules - due - FEW, cron=_NEVER)
    many = _edit()
    slot = _next_minute(within=LEAD)
    _add(due, cron=f"{slot.minute} {slot.hour} * * *")
    late, missed, twice = _fired(slot, due)
    told = f"{sizes.schedules:,} schedules, {due:,} due at once"
    return [
        figure(f"{told}: lateness p50", percentile(late, 50), "s", note=f"of {slot:%H:%M}"),
        figure(f"{told}: lateness p99", percentile(late, 99), "s", target=1, note=f"max {max(late):.2f}"),
        figure(f"{told}: missed", missed, "", target=0),
        figure(f"{told}: run twice", twice, "", target=0),
        figure(
            f"an edit among {sizes.schedules:,} schedules against {FEW}",
            many / few,
            "x",
            target=1.5,
            note=f"{few * 1000:.1f} → {many * 1000:.1f} ms",
        ),
    ]


def _add(count: int, *, cron: str) -> None:
    """Makes schedules that beat has planned when it returns."""
    from django.db import connection

    from triggers.models import Kind, Overlap, Trigger

    template = Trigger(job=job("noop"), kind=Kind.SCHEDULE, name="bench", cron=cron, overlap=Overlap.ALLOW)
    fields = [field for field in Trigger._meta.concrete_fields if not field.primary_key]
    rows = [
        Trigger(
            **{
                field.attname: getattr(template, field.attname)
                for field in fields
                if field.name != "public_id"
            }
        )
        for _ in range(count)
    ]
    Trigger.objects.bulk_create(rows, batch_size=2_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE triggers_trigger")
    until(lambda: not Trigger.objects.unplanned().exists(), seconds=PLANNING, pause=0.1)


def _edit() -> float:
    """What the change of a schedule takes by all that it leads to in the database, p50, in seconds."""
    from triggers.models import Trigger

    took = []
    for trigger in Trigger.objects.filter(name="bench").order_by("pk")[:EDITS]:
        trigger.cron = f"{trigger.pk % 60} 1 1 1 *"
        began = time.perf_counter()
        trigger.save()
        took.append(time.perf_counter() - began)
    until(lambda: not Trigger.objects.unplanned().exists(), seconds=PLANNING)
    return percentile(took, 50)


def _next_minute(*, within: float) -> datetime:
    """The next full minute that is no nearer than `within` seconds."""
    return (datetime.now(UTC) + timedelta(seconds=60 + within)).replace(second=0, microsecond=0)


def _fired(slot: datetime, count: int) -> tuple[list[float], int, int]:
    """How late each run of the slot was made, in seconds; how many slots led to none, and to more than one."""
    from runs.models import Run
    from triggers.models import Occurrence, Trigger

    made = Run.objects.filter(slot=slot, trigger__name="bench")
    # Without a join with all schedules: whoever asks each half second would be in the way of what is measured.
    entered = Occurrence.objects.filter(slot=slot)
    time.sleep(max((slot - datetime.now(UTC)).total_seconds(), 0))
    until(lambda: entered.count() >= count, seconds=FIRING, pause=0.5)
    # Those that are due, and not all: each change is entered in the audit, and a statement has its time.
    Trigger.objects.filter(pk__in=entered.values("trigger")).update(enabled=False)
    found = list(made.values_list("trigger", "created_at"))
    late = [(created_at - slot).total_seconds() for _, created_at in found]
    triggers = {trigger for trigger, _ in found}
    until(lambda: not made.open().exists(), seconds=FIRING, pause=0.5)
    return late, count - len(triggers), len(found) - len(triggers)
