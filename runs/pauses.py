"""What is paused right now: lanes, jobs, schedules, campaigns and targets in one list, and the end of each pause."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import DateTimeField, F, OuterRef, Q, QuerySet, Subquery, TextChoices, TextField, Value
from django.db.models.functions import Cast, Coalesce, NullIf

from jobs import pausing as jobs_pausing
from jobs.models import Job, JobQuerySet
from runs import campaigns, lanes, targets
from runs.models import Campaign, CampaignAct, CampaignEvent, CampaignStatus, Lane, PausedTarget
from triggers import pausing as triggers_pausing
from triggers.models import Kind, Trigger

# So many pauses of each kind are listed, the newest first.
MOST: Final = 200


class PauseKind(TextChoices):
    """What can be paused."""

    LANE = "lane"
    JOB = "job"
    SCHEDULE = "schedule"
    CAMPAIGN = "campaign"
    TARGET = "target"


class NotPaused(Exception):
    """There is no such pause; the message is a sentence for whoever wanted to end it."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Something that is paused: `id` is its number, of a job its slug, of a lane or a target its name."""

    kind: str
    id: str
    name: str
    job: str  # the slug, of what belongs to a job
    at: datetime | None
    by: str
    until: datetime | None
    reason: str


def current(*, jobs: JobQuerySet, now: datetime) -> list[Pause]:
    """What is paused at `now`: the lanes and targets, and of `jobs` they themselves, their schedules and campaigns.

    One query.
    """
    parts = (_jobs(jobs), _schedules(jobs, now), _campaigns(jobs), _targets())
    return [Pause(*line) for line in _lanes().union(*parts, all=True)]


def of_target(paused: PausedTarget) -> Pause:
    """The pause of a target."""
    return Pause(
        kind=PauseKind.TARGET,
        id=paused.name,
        name=paused.name,
        job="",
        at=paused.paused_at,
        by=paused.paused_by,
        until=paused.paused_until,
        reason=paused.paused_reason,
    )


def resume(kind: PauseKind, pk: str, *, by: str) -> str:
    """Ends a pause, and says so. Raises NotPaused, and what the resuming of each kind raises."""
    return _RESUMES[kind](pk, by)


def _lanes() -> "QuerySet[Any, Any]":
    return _lines(
        Lane.objects.filter(paused_at__isnull=False).order_by("-paused_at"),
        kind=PauseKind.LANE,
        id=F("name"),
        name=F("name"),
        job=Value(""),
        at=F("paused_at"),
        until=None,
    )


def _jobs(jobs: JobQuerySet) -> "QuerySet[Any, Any]":
    """A pause that ended by itself is none any more, though nobody has cleared it away."""
    return _lines(
        jobs.paused().order_by("-paused_at"),
        kind=PauseKind.JOB,
        id=F("slug"),
        name=F("name"),
        job=F("slug"),
        at=F("paused_at"),
        until=F("paused_until"),
    )


def _schedules(jobs: JobQuerySet, now: datetime) -> "QuerySet[Any, Any]":
    paused = Trigger.objects.filter(_goes_on(now), kind=Kind.SCHEDULE, paused_at__isnull=False, job__in=jobs)
    return _lines(
        paused.order_by("-paused_at"),
        kind=PauseKind.SCHEDULE,
        id=F("pk"),
        name=Coalesce(NullIf(F("name"), Value("")), F("cron")),
        job=F("job__slug"),
        at=F("paused_at"),
        until=F("paused_until"),
    )


def _campaigns(jobs: JobQuerySet) -> "QuerySet[Any, Any]":
    acts = CampaignEvent.objects.filter(campaign=OuterRef("pk"), act=CampaignAct.PAUSED).order_by("-pk")
    return _lines(
        Campaign.objects.filter(status=CampaignStatus.PAUSED, job__in=jobs).order_by("-pk"),
        kind=PauseKind.CAMPAIGN,
        id=F("pk"),
        name=F("name"),
        job=F("job__slug"),
        at=Subquery(acts.values("at")[:1]),
        until=None,
    )


def _targets() -> "QuerySet[Any, Any]":
    return _lines(
        targets.current().order_by("-paused_at"),
        kind=PauseKind.TARGET,
        id=F("name"),
        name=F("name"),
        job=Value(""),
        at=F("paused_at"),
        until=F("paused_until"),
    )


def _lines(
    paused: "QuerySet[Any]", *, kind: PauseKind, until: F | None, **columns: Any
) -> "QuerySet[Any, Any]":
    """The newest of `paused` with the fields of a Pause, in their order, each of one type for all kinds."""
    texts = {name: Cast(columns[name], TextField()) for name in ("id", "name", "job")}
    lines = paused.annotate(
        pause_kind=Value(str(kind), TextField()),
        **{f"pause_{name}": given for name, given in texts.items()},
        pause_at=columns["at"],
        pause_until=Cast(until or Value(None), DateTimeField()),
    )
    listed: QuerySet[Any, Any] = lines.values_list(
        "pause_kind",
        "pause_id",
        "pause_name",
        "pause_job",
        "pause_at",
        "paused_by",
        "pause_until",
        "paused_reason",
    )
    return listed[:MOST]


def _goes_on(now: datetime) -> Q:
    return Q(paused_until__isnull=True) | Q(paused_until__gt=now)


def _resume_lane(pk: str, by: str) -> str:
    lane = Lane.objects.filter(pk=pk, paused_at__isnull=False).first()
    if lane is None:
        raise NotPaused(f"There is no paused lane {pk!r}.")
    lanes.resume(lane, by=by)
    return f"Resumed the lane {lane}."


def _resume_job(pk: str, by: str) -> str:
    job = Job.objects.filter(slug=pk, status=Job.Status.PAUSED).first()
    if job is None:
        raise NotPaused(f"There is no paused job {pk!r}.")
    jobs_pausing.resume(job, by=by)
    return f"Resumed the job {job.name}."


def _resume_schedule(pk: str, by: str) -> str:
    found = Trigger.objects.filter(pk=_number(pk), kind=Kind.SCHEDULE, paused_at__isnull=False)
    trigger = found.select_related("job").first()
    if trigger is None:
        raise NotPaused(f"There is no paused schedule {pk!r}.")
    triggers_pausing.resume(trigger, by=by)
    return f"Resumed the schedule {trigger.label} of {trigger.job.name}: nothing is caught up."


def _resume_campaign(pk: str, by: str) -> str:
    campaign = Campaign.objects.filter(pk=_number(pk), status=CampaignStatus.PAUSED).first()
    if campaign is None:
        raise NotPaused(f"There is no paused campaign {pk!r}.")
    campaigns.resume(campaign, by=by)
    return f"Resumed the campaign {campaign.name}."


def _resume_target(pk: str, by: str) -> str:
    targets.resume(pk, by=by)
    return f"Resumed the target {pk}."


def _number(text: str) -> int:
    """The id that `text` says; 0, which nothing has, for one that is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


_RESUMES: Final[dict[PauseKind, Callable[[str, str], str]]] = {
    PauseKind.LANE: _resume_lane,
    PauseKind.JOB: _resume_job,
    PauseKind.SCHEDULE: _resume_schedule,
    PauseKind.CAMPAIGN: _resume_campaign,
    PauseKind.TARGET: _resume_target,
}
