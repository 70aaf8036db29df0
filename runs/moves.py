"""The one statement by which a run's status is written, and what it does for the runs that it ends.

Whatever must neither be missed nor be done twice for an ended run stands in the statement that ends it: it is
counted (`runs.tallies`), noted as ended if something may follow it (`runs.followers`), and noted if somebody is to
be told of it (`runs.telling`). Used by `runs.lifecycle` only.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from notifications import outbox
from runs import holding
from runs.statements import Tuples, planned_tuples
from runs.status import FINAL


class Moved(NamedTuple):
    """What a move left behind: who was moved, to which status, in which lane; `followed`: somebody waits for it.

    In the order in which `moving` gives it.
    """

    id: int
    job_id: int
    status: str
    lane: str
    attempt: int
    cancel_requested: bool
    concurrency_key: str | None
    followed: bool


FINAL_WORDS = ", ".join(f"'{status.value}'" for status in FINAL)
_MOVED = "r.id, r.job_id, r.status, r.lane, r.attempt, r.cancel_requested_at IS NOT NULL AS cancel_requested"
_COUNTED = """r.trigger_id, r.campaign_id, r.trigger_kind, r.concurrency_key, r.queued_at, r.started_at,
    r.finished_at"""
# What of a result is summed up over a campaign's runs.
_SUMMED = """CASE WHEN r.campaign_id IS NOT NULL AND r.status = 'succeeded' AND jsonb_typeof(r.result) = 'object'
    THEN r.result END AS result"""
# Numbers that are longer are no counts, and their sum might not be a number any more.
_DIGITS = 30


_MOVING = f"""
    WITH moved AS (@moved@),
    counted AS (
        INSERT INTO runs_tallydelta (job_id, trigger_id, campaign_id, trigger_kind, lane, status, runs, timed,
                                     duration_seconds, wait_seconds, waits, durations, last_run_id, last_run_at)
        SELECT job_id, trigger_id, campaign_id, trigger_kind, lane, status, count(*), count(started_at),
               coalesce(date_part('epoch', sum(finished_at - started_at)), 0),
               coalesce(date_part('epoch', sum(started_at - queued_at) FILTER (WHERE started_at >= queued_at)), 0),
               coalesce(array_agg(runs_bucket(started_at - queued_at)) FILTER (WHERE started_at >= queued_at), '{{}}'),
               coalesce(array_agg(runs_bucket(finished_at - started_at)) FILTER (WHERE started_at IS NOT NULL), '{{}}'),
               max(id), max(finished_at)
        FROM moved WHERE status IN ({FINAL_WORDS})
        GROUP BY job_id, trigger_id, campaign_id, trigger_kind, lane, status),
    summed AS (
        INSERT INTO runs_resultsum (campaign_id, field, sum, runs)
        SELECT campaign_id, key, sum((value #>> '{{}}')::float8), count(*)
        FROM moved, jsonb_each(result)
        WHERE result IS NOT NULL AND CASE WHEN jsonb_typeof(value) = 'number'
            THEN length(key) <= 60 AND length(value #>> '{{}}') <= {_DIGITS} END
        GROUP BY campaign_id, key),
    ended AS (
        INSERT INTO runs_ending (run_id)
        SELECT id FROM moved
        WHERE status IN ({FINAL_WORDS}) AND job_id = ANY(ARRAY(
            SELECT watched.job_id FROM triggers_upstream watched
            WHERE watched.job_id IN (SELECT DISTINCT job_id FROM moved)))
        RETURNING run_id),
    noted AS ({outbox.ENDED})
    SELECT id, job_id, status, lane, attempt, cancel_requested, concurrency_key,
        id IN (SELECT run_id FROM ended) AS followed
    FROM moved"""


def moving(moved: str) -> str:
    """The statement around `moved`, which moves runs and gives back their `{columns}` as of a row r."""
    return _MOVING.replace("@moved@", moved.replace("{columns}", f"{_MOVED}, {_COUNTED}, {_SUMMED}"))


def move(update: str, arguments: Sequence[Any]) -> list[Moved]:
    """Runs `update`, an UPDATE of runs_run as r without RETURNING; returns the runs that it really moved."""
    return moved_of(planned_tuples(moving(update + " RETURNING {columns}"), arguments))


def moved_of(rows: Tuples) -> list[Moved]:
    """The runs that rows of a `moving` statement tell of; who waits for their concurrency keys is called back."""
    moved = list(map(Moved._make, rows))
    holding.release(
        Counter(
            (run.job_id, run.concurrency_key)
            for run in moved
            if run.concurrency_key is not None and run.status != "queued"
        )
    )
    return moved
