"""How far campaigns are: their numbers, how fast they go, until when, and what their results add up to.

Like `runs.tallies`: base plus what is not folded yet. Runs are never counted, but for those that go on right now, of
which there are no more than the workers' slots have claimed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.utils import timezone

from runs.models import Campaign, CampaignPace, CampaignStatus

# How much of the past "now" is, when it is said how fast a campaign goes.
NOW: Final = timedelta(seconds=30)
BIN: Final = timedelta(seconds=10)
# Of each campaign: how many runs ended how, how many go on right now, and how many ended lately.
_SEEN: Final = """
    SELECT campaign_id, sum(succeeded), sum(failed), sum(cancelled), sum(skipped), sum(running), sum(lately) FROM (
        SELECT campaign_id, succeeded, failed, cancelled, skipped, 0 AS running, 0 AS lately
        FROM runs_campaigntally WHERE campaign_id = ANY(%(ids)s)
        UNION ALL
        SELECT campaign_id,
            CASE WHEN status = 'succeeded' THEN runs ELSE 0 END, CASE WHEN status = 'failed' THEN runs ELSE 0 END,
            CASE WHEN status = 'cancelled' THEN runs ELSE 0 END, CASE WHEN status = 'skipped' THEN runs ELSE 0 END,
            0, CASE WHEN last_run_at >= %(since)s AND status IN ('succeeded', 'failed') THEN runs ELSE 0 END
        FROM runs_tallydelta WHERE campaign_id = ANY(%(ids)s)
        UNION ALL
        SELECT campaign_id, 0, 0, 0, 0, count(*), 0 FROM runs_run
        WHERE status = 'running' AND job_id = ANY(%(jobs)s) AND campaign_id = ANY(%(ids)s) GROUP BY campaign_id
        UNION ALL
        SELECT campaign_id, 0, 0, 0, 0, 0, succeeded + failed FROM runs_campaignpace
        WHERE campaign_id = ANY(%(ids)s) AND at >= %(since)s
    ) counted GROUP BY campaign_id"""
_SUMS: Final = """
    SELECT field, sum(sum), sum(runs) FROM runs_resultsum WHERE campaign_id = %s
    GROUP BY field ORDER BY field LIMIT 50"""
_FOLD_SUMS: Final = """
    WITH gone AS (
        DELETE FROM runs_resultsum WHERE id IN (
            SELECT id FROM runs_resultsum WHERE NOT is_folded ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
        RETURNING campaign_id, field, sum, runs)
    INSERT INTO runs_resultsum AS s (campaign_id, field, sum, runs, is_folded)
    SELECT campaign_id, field, sum(sum), sum(runs), true FROM gone GROUP BY campaign_id, field
    ON CONFLICT (campaign_id, field) WHERE is_folded DO UPDATE SET
        sum = s.sum + excluded.sum, runs = s.runs + excluded.runs"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The numbers of a campaign, in runs; `runs` is all there will be, those that retry failed ones included."""

    runs: int
    launched: int
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0
    rate: float = 0.0  # runs that ended in a second, lately
    eta: datetime | None = None
    assumption: str = ""

    @property
    def ended(self) -> int:
        """Runs that are final."""
        return self.succeeded + self.failed + self.cancelled + self.skipped

    @property
    def open(self) -> int:
        """Runs that were launched and are not final."""
        return max(self.launched - self.ended, 0)

    @property
    def queued(self) -> int:
        """Open runs that don't go on right now: in the queue, or between two attempts or steps."""
        return max(self.open - self.running, 0)

    @property
    def not_launched(self) -> int:
        """Recipients that have no run yet, or never will, because the campaign was cancelled before."""
        return max(self.runs - self.launched, 0)

    @property
    def judged(self) -> int:
        """Runs that succeeded or failed."""
        return self.succeeded + self.failed

    @property
    def success_rate(self) -> float | None:
        """Succeeded of those that succeeded or failed, 0 to 1; None before the first."""
        return self.succeeded / self.judged if self.judged else None


@dataclass(frozen=True, slots=True)
class Sum:
    """What a numeric field of the results adds up to, over so many runs."""

    field: str
    sum: float
    runs: int


def of_campaigns(campaigns: Sequence[Campaign]) -> dict[int, Progress]:
    """The numbers of each campaign, in one query."""
    ids, jobs = [campaign.pk for campaign in campaigns], [campaign.job_id for campaign in campaigns]
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(_SEEN, {"ids": ids, "jobs": jobs, "since": _bin(now) - NOW})
        counts = {row[0]: [int(number) for number in row[1:]] for row in cursor.fetchall()}
    return {campaign.pk: _progress(campaign, now, counts.get(campaign.pk, [0] * 6)) for campaign in campaigns}


def of_campaign(campaign: Campaign) -> Progress:
    """The numbers of one campaign."""
    return of_campaigns([campaign])[campaign.pk]


def sums(campaign: Campaign) -> list[Sum]:
    """What the numeric fields of the results add up to, over all succeeded runs."""
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, [campaign.pk])
        return [Sum(field, float(total), int(runs)) for field, total, runs in cursor.fetchall()]


def paces(campaign: Campaign, *, limit: int) -> list[CampaignPace]:
    """The last `limit` times ten seconds in which runs ended, the oldest first."""
    found = CampaignPace.objects.filter(campaign=campaign).order_by("-at")[:limit]
    return list(found)[::-1]


def fold_sums(*, limit: int = 10_000) -> None:
    """Adds up to `limit` appended sums to those of before, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(_FOLD_SUMS, [limit])


def _progress(campaign: Campaign, now: datetime, counts: Sequence[int]) -> Progress:
    succeeded, failed, cancelled, skipped, running, lately = counts
    begin = max(_bin(now) - NOW, campaign.started_at or now)
    rate = lately / max((now - begin).total_seconds(), 1.0)
    runs = campaign.total + campaign.retried
    left = runs - succeeded - failed - cancelled - skipped
    eta, assumption = _eta(campaign, now, left=left, rate=rate)
    return Progress(
        runs=runs,
        launched=campaign.launched + campaign.retried,
        running=running,
        succeeded=succeeded,
        failed=failed,
        cancelled=cancelled,
        skipped=skipped,
        rate=rate,
        eta=eta,
        assumption=assumption,
    )


def _eta(campaign: Campaign, now: datetime, *, left: int, rate: float) -> tuple[datetime | None, str]:
    """When it will be done, and what that assumes; None while nobody can know."""
    if left <= 0 or campaign.status not in (CampaignStatus.EXPANDING, CampaignStatus.RUNNING):
        return None, ""
    limit = campaign.rate_per_second
    if rate > 0:
        speed, assumption = (
            rate,
            f"if it goes on with {_plain(rate)} runs a second, as in the last half minute",
        )
    elif limit is not None:
        speed, assumption = limit, f"if it goes as fast as it may: {_plain(limit)} runs a second"
    else:
        return None, ""
    seconds = left / speed
    return (now + timedelta(seconds=seconds), assumption) if seconds < 1e8 else (None, "")


def _plain(rate: float) -> str:
    """Three digits, but never less than the whole ones: "0.125", "1507"."""
    return f"{rate:.0f}" if rate >= 1000 else f"{rate:.3g}"


def _bin(at: datetime) -> datetime:
    return datetime.fromtimestamp(at.timestamp() // BIN.total_seconds() * BIN.total_seconds(), tz=at.tzinfo)
