"""triggers.limits and triggers.rates: how many calls a key, or by a trigger, may be made in a while."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from tests.factories import make_schedule, make_user
from triggers import keys, limits, rates
from triggers.models import RateLimit


def test_a_rate_is_a_number_and_a_period() -> None:
    rate = rates.parse("30/minute")
    assert (rate.count, rate.period, rate.step) == (30, timedelta(minutes=1), timedelta(seconds=2))


@pytest.mark.parametrize(
    "text", ["", "0/minute", "10", "10/week", "-1/day", "1.5/hour", "10000000/day", "1/day\n"]
)
def test_what_is_no_rate_is_named(text: str) -> None:
    with pytest.raises(ValidationError, match="is not a rate: expected a number from 1 to 999999"):
        rates.validate(text)


@pytest.mark.django_db
def test_a_limit_allows_its_number_at_once_and_then_one_each_step() -> None:
    key, _ = keys.issue(name="ci", owner=make_user(), rate_limit="3/hour")
    for _ in range(3):
        limits.take_of_key(key)
    with pytest.raises(
        limits.LimitReached, match=r"The limit of the API key ci \(hw_.*\) is 3/hour"
    ) as caught:
        limits.take_of_key(key)
    assert 1190 <= caught.value.retry_after <= 1200
    known = RateLimit.objects.get()
    RateLimit.objects.update(free_at=known.free_at - timedelta(minutes=20))
    limits.take_of_key(key)
    with pytest.raises(limits.LimitReached):
        limits.take_of_key(key)


@pytest.mark.django_db
def test_without_a_limit_nothing_is_written_and_each_trigger_has_its_own() -> None:
    free, first, second = (
        make_schedule(),
        make_schedule(rate_limit="1/day"),
        make_schedule(rate_limit="1/day"),
    )
    limits.take_of_trigger(free)
    assert not RateLimit.objects.exists()
    limits.take_of_trigger(first)
    limits.take_of_trigger(second)
    with pytest.raises(limits.LimitReached, match="the trigger 'nightly' of the job"):
        limits.take_of_trigger(first)
