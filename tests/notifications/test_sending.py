"""notifications.sending: messages arrive, are tried again, are given up, and every attempt is on record."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Response

from notifications import channels, sending
from notifications.models import Channel, Message, Sending
from tests.factories import make_channel
from tests.notifications.conftest import set_up
from tests.notifications.mailbox import Mailbox, mail_server
from triggers import vault
from triggers.events.base import Received
from triggers.events.schemes.standard import StandardWebhooks

pytestmark = pytest.mark.django_db
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def make_message(channel: Channel) -> Message:
    return sending.send_test(channel, by="ada")


def send_all(*, make_due: bool = False) -> None:
    """Sends whatever is due, or everything that is not ended."""
    if make_due:
        Message.objects.filter(status="due").update(due_at=timezone.now())
    while sending.send_next():
        pass


def attempts(message: Message) -> list[tuple[str, int | None]]:
    return list(message.sendings.order_by("id").values_list("outcome", "status_code"))


def webhook(server: HTTPServer, **fields: Any) -> Channel:
    channel = Channel(name=f"hook-{Channel.objects.count()}", kind="webhook", **fields)
    channels.save(channel, address=server.url_for("/hook"), secret=KEY)
    return channel


@pytest.mark.usefixtures("private")
def test_a_webhook_is_signed_over_the_very_bytes_that_are_sent(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook", method="POST").respond_with_data("ok", status=202)
    message = make_message(webhook(httpserver))
    send_all()
    request, _ = httpserver.log[0]
    body = request.get_data()
    headers = {name.lower(): value for name, value in request.headers.items()}
    StandardWebhooks().verify(
        Received(headers=headers, body=body, at=timezone.now()), secrets=[KEY], options={}
    )
    assert json.loads(body) == message.payload
    assert request.headers["webhook-id"] == str(message.public_id)
    message.refresh_from_db()
    assert (message.status, attempts(message)) == ("sent", [("sent", 202)])


@pytest.mark.usefixtures("private")
def test_a_channel_that_was_down_gets_it_when_it_is_back(httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/hook").respond_with_data("we are down", status=500)
    httpserver.expect_ordered_request("/hook").respond_with_data("ok")
    message = make_message(webhook(httpserver))
    begun = timezone.now()
    send_all()
    message.refresh_from_db()
    assert message.status == "due"
    assert message.due_at is not None
    assert begun + timedelta(seconds=3) < message.due_at < timezone.now() + timedelta(seconds=7)
    send_all(make_due=True)
    message.refresh_from_db()
    assert (message.status, attempts(message)) == ("sent", [("failed", 500), ("sent", 200)])
    assert message.sendings.last().error.endswith("answered 500 INTERNAL SERVER ERROR: we are down")  # type: ignore[union-attr]
    assert len({request.headers["webhook-id"] for request, _ in httpserver.log}) == 1


@pytest.mark.usefixtures("private")
def test_it_is_given_up_after_so_many_attempts_and_sent_again_by_hand(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("", status=503)
    message = make_message(webhook(httpserver))
    for _ in range(len(sending.DELAYS) + 5):
        send_all(make_due=True)
    message.refresh_from_db()
    assert (message.status, len(attempts(message))) == ("failed", len(sending.DELAYS) + 1)
    httpserver.clear()
    httpserver.expect_request("/hook").respond_with_data("ok")
    sending.resend(message, by="ada")
    with pytest.raises(sending.NotResendable, match="is due"):
        sending.resend(message, by="bob")
    send_all()
    message.refresh_from_db()
    assert (message.status, attempts(message)[-1], message.by) == ("sent", ("sent", 200), "ada")


@pytest.mark.usefixtures("private")
def test_who_is_asked_to_wait_waits_and_who_is_told_to_go_goes(httpserver: HTTPServer) -> None:
    busy = Response(status=429, headers={"Retry-After": "3600"})
    httpserver.expect_ordered_request("/hook").respond_with_response(busy)
    httpserver.expect_ordered_request("/hook").respond_with_data("", status=410)
    message = make_message(webhook(httpserver))
    send_all()
    message.refresh_from_db()
    assert message.due_at is not None
    assert message.due_at - timezone.now() > timedelta(minutes=59)
    send_all(make_due=True)
    message.refresh_from_db()
    assert message.status == "failed"


def test_private_addresses_are_refused_when_entered_and_when_called(
    settings: Settings, httpserver: HTTPServer
) -> None:
    settings.HTTP_PRIVATE_ALLOWED = ["127.0.0.1"]
    message = make_message(webhook(httpserver))
    settings.HTTP_PRIVATE_ALLOWED = []
    send_all()
    message.refresh_from_db()
    sent = message.sendings.get()
    assert (message.status, sent.outcome) == ("failed", "failed")
    assert "was not called: 'localhost' is 127.0.0.1; expected a public address" in sent.error.replace(
        "::1, ", ""
    )
    assert not httpserver.log


@pytest.mark.usefixtures("private")
def test_slack_gets_one_text_and_its_url_is_nowhere_to_be_read(httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/T0/B0/very-secret").respond_with_data("no_service", status=404)
    httpserver.expect_ordered_request("/T0/B0/very-secret").respond_with_data("ok")
    channel = make_channel("slack", httpserver.url_for("/T0/B0/very-secret"), name="<ops> & co")
    message = make_message(channel)
    send_all()
    send_all(make_due=True)
    assert attempts(message) == [("failed", 404), ("sent", 200)]
    text = json.loads(httpserver.log[0][0].get_data())["text"]
    assert text.startswith("*Test of &lt;ops&gt; &amp; co*\n")
    channel.refresh_from_db()
    assert channel.address.endswith("/…")
    shown = (
        f"{list(Sending.objects.values())} {list(Channel.objects.values())} {list(Message.objects.values())}"
    )
    assert "very-secret" not in shown


def test_an_e_mail_arrives_at_each_recipient_of_a_real_server(mailbox: Mailbox) -> None:
    channel = make_channel("email", "ada@example.com, bob@example.com\nada@example.com", name="ops")
    message = make_message(channel)
    send_all()
    assert attempts(message) == [("sent", None)]
    assert mailbox.recipients == ["ada@example.com", "bob@example.com"]
    (mail,) = mailbox.messages
    assert "Subject: [Headway] Test of ops" in mail
    assert f"Message-ID: <{message.public_id}@" in mail
    assert "Auto-Submitted: auto-generated" in mail
    assert "ada sent this to see whether the channel ops works." in mail


def test_a_mail_server_that_refuses_says_why_in_the_log(settings: Settings) -> None:
    with mail_server(refusal="550 no such person") as server:
        set_up(settings, server)
        message = make_message(make_channel("email", "nobody@example.com"))
        send_all()
    message.refresh_from_db()
    sent = message.sendings.get()
    assert (message.status, sent.status_code) == ("failed", 550)
    assert sent.error == "The mail server refused nobody@example.com: 550 no such person"


def test_a_mail_server_that_hangs_ends_the_attempt_and_one_that_is_back_gets_it(settings: Settings) -> None:
    with mail_server(mute=True) as server:
        set_up(settings, server)
        settings.EMAIL_TIMEOUT = 0.2
        message = make_message(make_channel("email", "ada@example.com"))
        send_all()
        port = server.port
    assert "timed out" in message.sendings.get().error
    with mail_server(port=port) as server:
        settings.EMAIL_TIMEOUT = 2
        send_all(make_due=True)
        assert len(server.messages) == 1
    assert attempts(message) == [("failed", None), ("sent", None)]


# A greeting without an end, and a handshake of TLS: the head of a record of 16 KB, and its bytes one by one.
@pytest.mark.parametrize(("use_ssl", "trickle"), [(False, b"2"), (True, b"\x16\x03\x03\x40\x00\x02\x00")])
def test_a_mail_server_that_trickles_has_a_time_for_all_of_it(
    settings: Settings, use_ssl: bool, trickle: bytes
) -> None:
    with mail_server(trickle=trickle) as server:
        set_up(settings, server)
        settings.EMAIL_TOTAL_TIMEOUT, settings.EMAIL_USE_SSL = 0.3, use_ssl
        message = make_message(make_channel("email", "ada@example.com"))
        send_all()
    message.refresh_from_db()
    assert message.sendings.get().error == "The mail server failed: it took longer than 0.3 s in all."
    assert message.status == "due"


@pytest.mark.usefixtures("private")
def test_a_channel_that_is_being_sent_to_holds_up_its_own_messages_only(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("ok")
    slow, other = webhook(httpserver), webhook(httpserver)
    first, second, third = make_message(slow), make_message(slow), make_message(other)
    held = sending.claim()
    assert held is not None
    assert held.message == first
    send_all()
    assert (attempts(second), attempts(third)) == ([], [("sent", 200)])
    sending.carry(held)
    send_all()
    assert attempts(second) == [("sent", 200)]


@pytest.mark.usefixtures("private")
def test_what_a_dead_sender_held_is_sent_again_and_shows_it(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("ok")
    message = make_message(webhook(httpserver))
    dead = sending.claim()
    assert dead is not None
    send_all()
    assert attempts(message) == [("begun", None)]
    Message.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    send_all()
    assert attempts(message) == [("unknown", None), ("sent", 200)]
    sending.carry(dead)  # it was only slow: its end is entered, the message stays as it is
    message.refresh_from_db()
    assert message.status == "sent"


def test_a_disabled_channel_and_a_locked_vault_say_so(settings: Settings) -> None:
    channel = make_channel()
    message = make_message(channel)
    Channel.objects.update(is_enabled=False)
    send_all()
    assert message.sendings.get().error == "The channel is disabled."
    Channel.objects.update(is_enabled=True)
    settings.VAULT_KEYS = ["other" * 10]
    sending.resend(message, by="ada")
    send_all()
    message.refresh_from_db()
    assert message.status == "due"
    assert "HEADWAY_VAULT_KEYS" in message.sendings.first().error  # type: ignore[union-attr]


def test_secrets_of_channels_are_rotated_with_the_others(settings: Settings) -> None:
    settings.VAULT_KEYS = ["f" * 40]
    channel = make_channel()
    secret = channels.secret_of(channel)
    settings.VAULT_KEYS = ["n" * 40, "f" * 40]
    assert vault.rotate() == (1, 0)
    settings.VAULT_KEYS = ["n" * 40]
    assert channels.secret_of(channel) == secret
    assert vault.lost_count() == 0
    settings.VAULT_KEYS = ["x" * 40]
    assert vault.lost_count() == 1


def test_what_was_told_is_forgotten_when_it_is_old_and_what_is_due_is_not(settings: Settings) -> None:
    settings.NOTIFICATION_DAYS = 30
    old, due = make_message(make_channel()), make_message(make_channel())
    Message.objects.update(created_at=timezone.now() - timedelta(days=31))
    Message.objects.filter(pk=old.pk).update(status="failed", due_at=None, ended_at=timezone.now())
    assert sending.forget() == 1
    assert list(Message.objects.all()) == [due]
