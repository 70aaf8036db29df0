"""Finds out whether what slots need has happened: the ends of upstream runs (`triggers.requirements`)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db.models import QuerySet

from jobs.models import Job
from jobs.numbers import any_of
from runs.models import Run
from triggers import dependencies, requirements
from triggers.ledger import Entry
from triggers.models import Needs, Occurrence, Otherwise, Trigger, Upstream
from triggers.requirements import Span

Outcome = Occurrence.Outcome


def satisfied(slots: Sequence[Entry], now: datetime) -> list[Entry]:
    """Those that may be launched at `now`; the others are told what they wait for, or lacked."""
    upstreams = _upstreams(slot.trigger for slot in slots if slot.trigger.condition and not slot.by)
    ready = []
    for slot in slots:
        needed = upstreams.get(slot.trigger.pk)
        if needed is None or _judge(slot, needed, now):
            ready.append(slot)
    return ready


def _judge(slot: Entry, needed: Sequence[Job], now: datetime) -> bool:
    """Whether the slot has what it needs."""
    trigger, span = slot.trigger, requirements.span(slot.trigger, slot.slot)
    ended = {job.slug: run for job in needed if (run := _ended(trigger, job, span)) is not None}
    missing = [job.slug for job in needed if job.slug not in ended]
    if not missing or (ended and trigger.needs == Needs.ANY):
        slot.outcome = Outcome.FIRED
        slot.after = "after " + ", ".join(f"{slug} #{run}" for slug, run in ended.items())
        return True
    if now < span.until:
        slot.outcome, slot.until = Outcome.WAITING, span.until
        slot.reason = requirements.waiting(trigger, missing, span.until)
        return False
    lacking = requirements.lacking(trigger, missing, span.until)
    if trigger.otherwise == Otherwise.RUN:
        slot.outcome, slot.after = Outcome.FIRED, f"run anyway: {lacking}"
        return True
    slot.skip(lacking)
    return False


def ends(trigger: Trigger, job: Job, span: Span) -> QuerySet[Run]:
    """The runs of `job` that ended as wanted within the span, the latest end first.

    A run of a campaign is one recipient's, and says nothing of the job as a whole.
    """
    wanted = dependencies.FIRED_BY[trigger.condition]
    within = Run.objects.filter(job=job, campaign__isnull=True, finished_at__range=(span.begin, span.until))
    return within.filter(status__in=wanted).order_by("-finished_at")


def _ended(trigger: Trigger, job: Job, span: Span) -> int | None:
    return ends(trigger, job, span).values_list("pk", flat=True).first()


def _upstreams(triggers: Iterable[Trigger]) -> Mapping[int, list[Job]]:
    found: dict[int, list[Job]] = {}
    ids = {trigger.pk for trigger in triggers}
    if ids:
        for edge in Upstream.objects.filter(trigger__in=any_of(ids)).select_related("job"):
            found.setdefault(edge.trigger_id, []).append(edge.job)
    return found
