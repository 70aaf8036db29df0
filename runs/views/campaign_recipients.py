"""The recipients of a campaign, a page at a time: whom it is for, and what became of their runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.db import connection
from django.http import QueryDict

from runs import status
from runs.models import Campaign, Recipient, Run
from runs.status import Status
from runs.views.run_list import listed

PAGE_SIZE: Final = 50
# By the index of the queue: along those of the campaign its queued runs may stand behind all that have ended. They have
# one priority, which is in a span so that no other index seems to be as good (migration 0016).
_QUEUED: Final = """
    SELECT head.id FROM runs_claimgroup g CROSS JOIN LATERAL (
        SELECT r.id FROM runs_run r
        WHERE r.status = 'queued' AND r.lane = 'bulk' AND r.group_id = g.id
          AND (r.priority, r.id) > (100, %s) AND r.priority <= 100
        ORDER BY r.priority, r.id LIMIT %s) head
    WHERE g.campaign_id = %s AND g.job_id = %s ORDER BY head.id LIMIT %s"""


@dataclass(slots=True)
class Row:
    """A recipient with the run that speaks for it now, which is the latest retry if there is one."""

    key: str
    run: Run | None
    is_active: bool = True


@dataclass(slots=True)
class Page:
    """Some recipients; `last` is where the next page begins behind, None on the last one."""

    rows: list[Row]
    search: str
    status: str
    last: int | None


def page(campaign: Campaign, query: QueryDict) -> Page:
    """The recipients that the address asks for: `q` (how a key begins), `is` (a status), `after`.

    What is searched for is shown in the order of the keys, the first page only.
    """
    search, word, after = query.get("q", "").strip(), query.get("is", ""), query.get("after", "")
    behind = int(after) if after.isascii() and after.isdigit() and len(after) < 19 else 0
    if word in Status.values and not search:
        rows, last = _by_status(campaign, word, behind)
    else:
        word = ""
        rows, last = _by_key(campaign, search, behind)
    return Page(rows, search, word, last)


def _by_status(campaign: Campaign, word: str, behind: int) -> tuple[list[Row], int | None]:
    runs = Run.objects.filter(campaign=campaign, status=status.parse(word))
    ahead = (
        runs.filter(pk__in=_queued(campaign, behind)) if word == Status.QUEUED else runs.filter(pk__gt=behind)
    )
    found = list(listed(ahead).order_by("pk")[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    targets = dict(runs.filter(pk__in=[run.pk for run in shown]).values_list("pk", "target"))
    last = shown[-1].pk if len(found) > PAGE_SIZE else None
    return [Row(targets.get(run.pk) or "–", run) for run in shown], last


def _queued(campaign: Campaign, behind: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_QUEUED, [behind, PAGE_SIZE + 1, campaign.pk, campaign.job_id, PAGE_SIZE + 1])
        return [number for (number,) in cursor.fetchall()]


def _by_key(campaign: Campaign, search: str, behind: int) -> tuple[list[Row], int | None]:
    people = Recipient.objects.filter(campaign=campaign, fault__isnull=True)
    if search:
        people = people.filter(key__startswith=search).order_by("key", "run_id")
    else:
        span = {"run_id__gt": max(behind, campaign.recipients_from), "run_id__lte": campaign.recipients_upto}
        people = people.filter(**span).order_by("run_id")
    found = list(people.only("run_id", "key", "is_active")[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    runs = _latest(person.run_id for person in shown)
    last = shown[-1].run_id if len(found) > PAGE_SIZE and not search else None
    return [Row(person.key, runs.get(person.run_id), person.is_active) for person in shown], last


def _latest(run_ids: Iterable[int]) -> dict[int, Run]:
    """The runs by id, each replaced by the latest one that retries it."""
    runs = {run.pk: run for run in listed(Run.objects.filter(pk__in=list(run_ids)))}
    firsts = {number: number for number in runs}
    for _ in range(10):  # a retry may have been retried
        again = list(listed(Run.objects.filter(retry_of__in=list(firsts))).order_by("pk"))
        firsts = {run.pk: firsts[run.retry_of_id] for run in again if run.retry_of_id is not None}
        runs |= {firsts[run.pk]: run for run in again}
        if not firsts:
            break
    return runs
