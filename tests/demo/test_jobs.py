"""demo.jobs: declared as the stories need them."""

import pytest

from jobs import registry
from jobs.parameters import InvalidParameters, merge, validate


@pytest.mark.parametrize("slug", ["noop", "sleep", "misbehave", "sold-daily-indy"])
def test_the_demos_functions_are_declared(slug: str) -> None:
    assert registry.get(slug) is not None


@pytest.mark.parametrize("seconds", [0, 0.25, 3])
def test_sleep_takes_fractions_of_seconds(seconds: float) -> None:
    definition = registry.definitions()["sleep"]
    validate(definition.schema, {"seconds": seconds})


def test_sleep_refuses_less_than_nothing() -> None:
    with pytest.raises(InvalidParameters, match="seconds"):
        validate(registry.definitions()["sleep"].schema, {"seconds": -1})


def test_the_scrapers_defaults_are_indianapolis_sold() -> None:
    definition = registry.definitions()["sold-daily-indy"]
    assert definition.defaults == {"locations": ["Indianapolis, IN"], "listing_type": "sold"}
    validate(definition.schema, merge(definition.defaults, {"listing_type": "pending"}))
    with pytest.raises(InvalidParameters, match="listing_type"):
        validate(definition.schema, {"listing_type": "rented"})
    with pytest.raises(InvalidParameters, match="locations"):
        validate(definition.schema, {"locations": []})


def test_misbehave_is_isolated_and_limited() -> None:
    definition = registry.definitions()["misbehave"]
    assert definition.isolated
    assert definition.memory_limit_mb is not None
