"""Variables of the environment: what is understood, and what is said of the rest."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env import Environment

env = Environment()


@pytest.mark.parametrize(("text", "value"), [("1", True), ("Yes", True), ("0", False), ("off", False)])
def test_yes_and_no_are_understood(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("HEADWAY_HTTPS", text)
    assert env.bool("HEADWAY_HTTPS", default=False) is value


def test_a_word_that_is_neither_yes_nor_no_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_HTTPS", "maybe")
    with pytest.raises(ImproperlyConfigured, match=r"^HEADWAY_HTTPS is 'maybe'; expected 1 or 0\.$"):
        env.bool("HEADWAY_HTTPS", default=False)


def test_a_number_that_is_none_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_HIGH_SLOTS", "four")
    with pytest.raises(
        ImproperlyConfigured, match=r"^HEADWAY_HIGH_SLOTS is 'four'; expected a whole number\.$"
    ):
        env.int("HEADWAY_HIGH_SLOTS", default=4)


def test_a_number_that_is_too_small_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_HIGH_SLOTS", "0")
    with pytest.raises(
        ImproperlyConfigured, match=r"HEADWAY_HIGH_SLOTS is 0; expected a whole number of 1 or"
    ):
        env.count("HEADWAY_HIGH_SLOTS", default=4)
    assert env.count("HEADWAY_HIGH_SLOTS", default=4, least=0) == 0


def test_an_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_HIGH_SLOTS", "")
    monkeypatch.setenv("PUBLIC_URL", "")
    assert env.int("HEADWAY_HIGH_SLOTS", default=4) == 4
    assert env.str("PUBLIC_URL", default="http://x") == "http://x"


def test_addresses_and_lists_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me@/site?host=/run/x")
    monkeypatch.setenv("ALLOWED_HOSTS", "a.example,b.example")
    assert env.db("DATABASE_URL", default="postgresql:///x")["OPTIONS"] == {"host": "/run/x"}
    assert env.list("ALLOWED_HOSTS", default=[]) == ["a.example", "b.example"]


def test_a_network_that_is_none_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_METRICS_NETWORKS", "10.0.0.0/8, fd00::/8")
    assert [str(network) for network in env.networks("HEADWAY_METRICS_NETWORKS")] == [
        "10.0.0.0/8",
        "fd00::/8",
    ]
    monkeypatch.setenv("HEADWAY_METRICS_NETWORKS", "10.0.0.0/33")
    with pytest.raises(
        ImproperlyConfigured, match=r"^HEADWAY_METRICS_NETWORKS has '10\.0\.0\.0/33'; expected"
    ):
        env.networks("HEADWAY_METRICS_NETWORKS")
