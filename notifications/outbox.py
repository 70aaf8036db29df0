"""Notes that there is something to tell, in the transaction in which it happens, and only if a rule wants it.

Who ends runs and judges deadlines does so with a condition inside the very statement (`wanted`); the others call
`note`. From there on everything is `runs.telling`'s, by the sweep: nobody who writes here waits for anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.models import Job
from notifications.models import Notice, Occasion, Rule
from triggers.models import Trigger


def wanted(*occasions: Occasion, job: str) -> str:
    """SQL: whether a rule wants one of `occasions` of the job that the column `job` names."""
    words = ", ".join(f"'{occasion.value}'" for occasion in occasions)
    return f"""EXISTS (SELECT 1 FROM notifications_rule u
        WHERE u.is_enabled AND u.occasions && ARRAY[{words}]::varchar[]
          AND (u.job_id IS NULL OR u.job_id = {job})
          AND (u.tag = '' OR u.tag IN (SELECT unnest(j.tags) FROM jobs_job j WHERE j.id = {job})))"""


# A part of the statement that ends runs, which calls them `moved`. The runs of a campaign are told of as one: their
# settlement costs nothing here, and neither does any other as long as no rule is about it.
ENDED: Final = f"""
    INSERT INTO notifications_notice (occasion, once, job_id, run_id)
    SELECT status, status || ':' || id, job_id, id FROM moved
    WHERE campaign_id IS NULL AND CASE status
        WHEN 'failed' THEN {wanted(Occasion.FAILED, Occasion.RECOVERED, job="moved.job_id")}
        WHEN 'succeeded' THEN job_id IN (SELECT job_id FROM notifications_failing) OR job_id IN (
            SELECT job_id FROM notifications_notice WHERE taken_at IS NULL AND occasion = 'failed')
        ELSE FALSE END
    ON CONFLICT DO NOTHING"""

# The same of the statement that judges deadlines.
BREACHED: Final = f"""
    INSERT INTO notifications_notice (occasion, once, job_id, run_id, detail)
    SELECT 'deadline', 'deadline:' || id, job_id, run_id, jsonb_build_object('kind', kind, 'due_at', due_at)
    FROM judged WHERE is_breached AND {wanted(Occasion.DEADLINE, job="judged.job_id")}
    ON CONFLICT DO NOTHING"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One occasion; `once` names what happened among all of its kind."""

    occasion: Occasion
    once: str
    job: Job
    trigger: Trigger | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def note(*notes: Note) -> None:
    """Notes those of `notes` that a rule wants; many cost no more statements than one."""
    if not notes:
        return
    kinds = list({each.occasion for each in notes})
    rules = Rule.objects.filter(is_enabled=True, occasions__overlap=kinds)
    scopes = list(rules.values_list("occasions", "job_id", "tag"))
    wanted = [
        Notice(
            occasion=each.occasion,
            once=f"{each.occasion}:{each.once}",
            job=each.job,
            trigger=each.trigger,
            detail=dict(each.detail),
        )
        for each in notes
        if any(
            each.occasion in occasions and job in (None, each.job.pk) and (not tag or tag in each.job.tags)
            for occasions, job, tag in scopes
        )
    ]
    Notice.objects.bulk_create(wanted, ignore_conflicts=True)
