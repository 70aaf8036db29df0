"""Limits: how many API calls a key, or by a trigger, may be made in a while.

One row of GCRA (the generic cell rate algorithm) for each key or trigger that has a limit, in PostgreSQL and by its
clock: the broker may be frozen, and no launch may wait for it. A call is one statement; who has no limit costs none.
"""

import math

from django.db import connection

from triggers import rates
from triggers.models import ApiKey, Trigger

_TAKE = """
    INSERT INTO triggers_ratelimit AS known (subject, free_at)
    VALUES (%(subject)s, clock_timestamp() + %(step)s::interval)
    ON CONFLICT (subject) DO UPDATE SET free_at = greatest(known.free_at, clock_timestamp()) + %(step)s::interval
    WHERE greatest(known.free_at, clock_timestamp()) + %(step)s::interval <= clock_timestamp() + %(period)s::interval
    RETURNING TRUE"""
_WAIT = """
    SELECT extract(epoch FROM free_at + %(step)s::interval - %(period)s::interval - clock_timestamp())
    FROM triggers_ratelimit WHERE subject = %(subject)s"""


class LimitReached(Exception):
    """One call too many; `limit` is the rate, `of` whose it is, `retry_after` the seconds until one is free."""

    def __init__(self, *, limit: str, of: str, retry_after: int) -> None:
        super().__init__(
            f"The limit of {of} is {limit}, and it is used up: the next call is possible in {retry_after} s."
        )
        self.limit, self.of, self.retry_after = limit, of, retry_after


def take_of_key(key: ApiKey) -> None:
    """Counts one call with `key` against its limit; raises LimitReached."""
    if key.rate_limit is not None:
        _take(f"key:{key.pk}", limit=key.rate_limit, of=f"the API key {key}")


def take_of_trigger(trigger: Trigger) -> None:
    """Counts one call that fires `trigger` against its limit; raises LimitReached."""
    if trigger.rate_limit is not None:
        of = f"the trigger {trigger.label!r} of the job {trigger.job.slug!r}"
        _take(f"trigger:{trigger.pk}", limit=trigger.rate_limit, of=of)


def _take(subject: str, *, limit: str, of: str) -> None:
    rate = rates.parse(limit)
    values = {
        "subject": subject,
        "step": f"{rate.step.total_seconds()} s",
        "period": f"{rate.period.total_seconds()} s",
    }
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, values)
        if cursor.fetchone() is not None:
            return
        cursor.execute(_WAIT, values)
        found = cursor.fetchone()
    raise LimitReached(limit=limit, of=of, retry_after=max(1, math.ceil(found[0] if found else 1)))
