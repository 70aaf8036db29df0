"""notifications.channels: what an address may be, and that a secret is kept and not shown."""

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from pytest_django import Settings

from notifications import addresses, channels
from notifications.models import Channel, Rule
from tests.factories import make_channel, make_job


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://127.0.0.1/hook", "'127.0.0.1' is 127.0.0.1; expected a public address"),
        ("http://localhost:8000/", "'localhost' is 127.0.0.1; expected a public address"),
        ("http://[::1]/", "expected a public address"),
        ("http://[::ffff:10.0.0.1]/", "expected a public address"),
        ("https://10.1.2.3/hook", "HEADWAY_HTTP_PRIVATE_ALLOWED"),
        ("https://169.254.169.254/latest/", "expected a public address"),
        ("ftp://example.com/", "expected http:// or https://"),
        ("example.com/hook", "expected http:// or https://"),
        ("https://user:secret@example.com/", "no user name"),
        ("https://exa mple.com/", "no user name, blank"),
        ("https://example.com:0/", "a host"),
        ("https://example.com:99999/", "a host"),
        ("https://[example.com/", "a host"),
        ("https://", "a host"),
        ("", "a host"),
    ],
)
def test_a_url_that_can_not_be_called_is_refused_with_what_was_expected(url: str, wanted: str) -> None:
    with pytest.raises(addresses.InvalidAddress) as refused:
        addresses.check("webhook", url)
    assert wanted in str(refused.value)


def test_private_hosts_that_the_site_allows_and_public_ones_are_taken(settings: Settings) -> None:
    settings.HTTP_PRIVATE_ALLOWED = ["10.0.0.0/8", "localhost"]
    for url in ("http://10.1.2.3/", "http://localhost:8000/x?y=1", "https://hooks.example.com/a"):
        addresses.check("webhook", url)


def test_recipients_are_e_mail_addresses_and_not_too_many(settings: Settings) -> None:
    settings.EMAIL_IS_SET_UP = True
    addresses.check("email", "ada@example.com; bob@example.com")
    crowd = ",".join(f"p{number}@example.com" for number in range(21))
    for text, wanted in (("", "1 to 20"), (crowd, "21 e-mail"), ("ada@", '"ada@" is no e-mail address')):
        with pytest.raises(addresses.InvalidAddress, match=wanted):
            addresses.check("email", text)
    settings.EMAIL_IS_SET_UP = False
    with pytest.raises(addresses.InvalidAddress, match="EMAIL_URL is not set"):
        addresses.check("email", "ada@example.com")


@pytest.mark.django_db
def test_a_secret_is_made_shown_once_and_sealed() -> None:
    channel = Channel(name="hook", kind="webhook")
    made = channels.save(channel, address="https://example.com/hook")
    assert made is not None
    assert made.startswith("whsec_")
    assert channels.secret_of(channel) == made
    assert channels.save(channel, address="https://example.com/other") is None
    assert channels.secret_of(channel) == made
    assert channels.replace_secret(channel) != made
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c::text || s::text FROM notifications_channel c, notifications_channelsecret s "
            "UNION ALL SELECT j::text FROM jobs_change j"
        )
        assert made not in str(cursor.fetchall())


@pytest.mark.django_db
def test_secrets_that_are_none_are_refused_without_being_repeated() -> None:
    with pytest.raises(channels.InvalidChannel) as refused:
        channels.save(Channel(name="hook", kind="webhook"), address="https://example.com/", secret="päss")
    assert "päss" not in str(refused.value)
    with pytest.raises(channels.InvalidChannel, match="signs nothing"):
        channels.save(Channel(name="x", kind="slack"), address="https://example.com/", secret="whsec_x")
    with pytest.raises(channels.InvalidChannel, match="no secret to be replaced"):
        channels.replace_secret(make_channel("slack", "https://hooks.slack.com/services/T/B/x"))


@pytest.mark.django_db
def test_a_rule_is_about_a_job_or_a_tag_and_about_something() -> None:
    channel = make_channel()
    with pytest.raises(ValidationError, match="names a job"):
        Rule(channel=channel, occasions=["failed"], job=make_job(), tag="night").full_clean()
    with pytest.raises(ValidationError):
        Rule(channel=channel, occasions=[]).full_clean()
    with pytest.raises(ValidationError, match="is not a valid choice"):
        Rule(channel=channel, occasions=["rained"]).full_clean()
