"""`check --deploy` refuses what may not go into production."""

import pytest
from django.core.checks import run_checks
from pytest_django.fixtures import Settings


def ids() -> set[str | None]:
    return {message.id for message in run_checks(include_deployment_checks=True)}


@pytest.mark.parametrize(
    ("name", "value", "id_"),
    [
        ("SECRET_KEY", "insecure-" + "0" * 50, "headway.E001"),
        ("VAULT_KEYS", [], "headway.E005"),
        ("VAULT_KEYS", ["k" * 40, "short"], "headway.E005"),
        ("BROKER_URL", "amqp://localhost", "headway.E002"),
        ("LEASE_SECONDS", 20, "headway.E003"),
        ("DEMO", True, "headway.W001"),
        ("ALLOWED_HOSTS", ["*"], "headway.W002"),
        ("PUBLIC_URL", "", "headway.W003"),
    ],
)
def test_a_value_that_may_not_be_deployed_is_named(
    settings: Settings, name: str, value: object, id_: str
) -> None:
    settings.HEARTBEAT_SECONDS = 10
    setattr(settings, name, value)
    assert id_ in ids()


def test_what_a_deployment_should_say_passes(settings: Settings) -> None:
    settings.SECRET_KEY = "k3y" * 20
    settings.PUBLIC_URL = "https://headway.example"
    settings.ALLOWED_HOSTS = ["headway.example"]
    settings.DEMO = False
    assert not {id_ for id_ in ids() if id_ and id_.startswith("headway.")}
