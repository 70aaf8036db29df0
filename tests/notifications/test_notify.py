"""`manage.py notify`: channels, tests, what was given up, and having it sent again."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from notifications import sending
from notifications.models import Channel, Message
from tests.factories import make_channel

pytestmark = pytest.mark.django_db


def notify(*words: Any) -> str:
    said = StringIO()
    call_command("notify", *map(str, words), stdout=said)
    return said.getvalue()


def test_a_channel_is_listed_tested_and_what_it_was_not_told_is_sent_again() -> None:
    channel = make_channel(name="ops")
    assert "ops (" in notify("channels")
    assert "is on its way to ops" in notify("test", "ops")
    Channel.objects.update(is_enabled=False)
    sending.send_next()
    message = Message.objects.get()
    told = notify("failed")
    assert f"{message.pk}  " in told
    assert "Test of ops, given up: The channel is disabled." in told
    assert "given up: The channel is disabled." in notify("channels")
    assert notify("failed", "--channel", "ops") == told
    assert f"Message {message.pk} is sent to ops again." in notify("resend", message.pk)
    with pytest.raises(CommandError, match=r"There is no message 999999\. Message .* is due"):
        notify("resend", 999999, message.pk)
    sending.send_next()
    assert f"Message {message.pk} is sent to ops again." in notify("resend", "--failed", "--channel", "ops")
    message.refresh_from_db()
    assert (message.status, channel.messages.count()) == ("due", 1)
    assert message.by.startswith("command notify")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["test", "nobody"], "There is no channel 'nobody'; there are: ops"),
        (["failed", "--channel", "nobody"], "There is no channel 'nobody'"),
        (["resend"], "Expected the numbers of messages, or --failed"),
        (["resend", "1", "--failed"], "Expected the numbers of messages, or --failed"),
        (["resend", "1", "--channel", "ops"], "Expected the numbers of messages, or --failed"),
    ],
)
def test_what_is_wrong_is_said(words: list[str], said: str) -> None:
    make_channel(name="ops")
    with pytest.raises(CommandError, match=said):
        notify(*words)
