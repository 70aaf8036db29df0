"""What an old job definition says, whichever system it comes from; pure, and nothing of it is stored yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.text import slugify

from jobs import registry
from jobs.faults import Fault
from runs.importing.documents import Row
from runs.importing.fields import Fields, json_value
from runs.importing.words import status_of
from runs.status import UnknownStatus

NAME_LENGTH: Final = 200
_STATUSES: Final[Mapping[str, str]] = {
    "active": "active",
    "enabled": "active",
    "paused": "paused",
    "inactive": "inactive",
    "disabled": "inactive",
}
_CRON: Final = ("cron_expression", "cron_schedule", "cron", "schedule")


@dataclass(frozen=True, slots=True, kw_only=True)
class OldJob:
    """A definition; `names` are those by which old runs may call it, `cron` None means no schedule."""

    place: str
    names: frozenset[str]
    slug: str
    name: str
    description: str
    status: str
    cron: str | None
    timezone: str | None
    parameters: dict[str, Any]
    executor: str
    configuration: dict[str, Any]
    schema: dict[str, Any] | None


def slug_of(name: str) -> str:
    """An old name as a slug: `sold_daily_indy` -> `sold-daily-indy`."""
    return slugify(name.replace("_", "-").replace("/", "-"))[: registry.SLUG_LENGTH].strip("-")


def old_job(row: Row, faults: list[Fault]) -> OldJob | None:
    """The definition in `row`; None if anything in it is wrong."""
    before = len(faults)
    fields = Fields(row.place, row.fields, faults)
    given = [fields.text(name) for name in ("scheduled_job_id", "slug", "name", "job_id", "id")]
    names = [name for name in given if name]
    if not names:
        fields.refuse("id", "required", "The row names no job; expected scheduled_job_id, slug, name or id.")
        return None
    slug = slug_of(names[0])
    if problem := registry.slug_problem(slug):
        fields.refuse("slug", "value", f"{names[0]!r:.80} makes no slug: {problem}")
    job = OldJob(
        place=row.place,
        names=frozenset([*names, slug]),
        slug=slug,
        name=(given[2] or names[0])[:NAME_LENGTH],
        description=fields.text("description") or "",
        status=fields.converted(_status, "status") or "active",
        cron=fields.text(*_CRON),
        timezone=fields.text("timezone", "time_zone"),
        parameters=parameters(fields),
        executor=fields.text("executor") or "python",
        configuration=fields.object("configuration") or {},
        schema=fields.object("schema"),
    )
    return job if len(faults) == before else None


def is_recurring(row: Row) -> bool:
    """Whether the row of a run is a definition too: a recurring legacy job's first document says when."""
    chained = any(row.fields.get(name) for name in ("scheduled_job_id", "original_job_id"))
    return not chained and any(row.fields.get(name) for name in (*_CRON, "cronExpression", "cronSchedule"))


def parameters(fields: Fields) -> dict[str, Any]:
    """What the work is given: `parameters`, and S1's two that stand beside the other fields."""
    given = fields.object("parameters") or {}
    named = {name: fields.converted(json_value, name) for name in ("locations", "listing_type")}
    return given | {name: value for name, value in named.items() if value is not None}


def _status(value: Any) -> str:
    """A job's status; one system writes that of the job's last run there, which says nothing of the job."""
    word = str(value).lower()
    if word in _STATUSES:
        return _STATUSES[word]
    try:
        status_of(word)
    except UnknownStatus:
        expected = ", ".join(_STATUSES)
        raise ValueError(f"{value!r:.80} is not a job's status: expected one of {expected}.") from None
    return "active"
