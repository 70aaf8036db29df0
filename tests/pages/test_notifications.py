"""/notifications/: who is told of what, and what was told."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from notifications import sending
from notifications.models import Channel, Message
from tests.factories import make_channel, make_job, make_rule, make_run
from tests.pages.conftest import Visitor, words


def test_without_channels_the_page_says_what_one_is(ada: Client) -> None:
    assert "A channel is a way to reach somebody" in words(ada.get("/notifications/"))


def test_channels_rules_and_messages_are_shown(ada: Client) -> None:
    rule = make_rule("failed", "missed", channel=make_channel(name="ops"), job=make_job(name="Report"))
    message = sending.send_test(rule.channel, by="ada")
    page = words(ada.get("/notifications/"))
    assert ">Report</a>: A run failed, A schedule missed slots" in page
    assert "Test of ops" in page
    Channel.objects.update(is_enabled=False)
    sending.send_next()
    page = words(ada.get(f"/notifications/{message.pk}/"))
    assert "given up" in page
    assert "The channel is disabled." in page
    assert str(message.public_id) in page


@pytest.mark.parametrize("status", ["due", "sent", "failed", "x"])
def test_messages_are_filtered(ada: Client, status: str) -> None:
    message = sending.send_test(make_channel(), by="ada")
    query = {"status": status, "channel": str(message.channel_id), "after": "x"}
    page = words(ada.get("/notifications/", query))
    assert (f"/notifications/{message.pk}/" in page) == (status == "due")
    assert ("'x' is not a known status: expected one of due, sent, failed." in page) == (status == "x")


def test_the_page_of_a_run_says_who_was_told_of_it(ada: Client, visitor: Visitor) -> None:
    run = make_run()
    message = sending.send_test(make_channel(name="ops"), by="ada")
    Message.objects.update(run_id=run.pk, subject="Report failed")
    page = words(ada.get(f"/runs/{run.pk}/"))
    assert "Who was told of it" in page
    assert f'href="/notifications/{message.pk}/">Report failed</a>' in page
    assert "Who was told of it" not in words(visitor("runs.view_run").get(f"/runs/{run.pk}/"))
    assert f"/notifications/{message.pk}/" in words(ada.get(f"/notifications/?run={run.pk}"))
    assert "No message matches" in words(ada.get(f"/notifications/?run={run.pk + 1}"))
    assert "'x' is no run: expected a number." in words(ada.get("/notifications/?run=x"))


def test_a_test_and_a_repetition_are_a_button_away(ada: Client) -> None:
    channel = make_channel(name="ops")
    assert "on its way to ops" in words(ada.post(f"/notifications/channels/{channel.pk}/test/", follow=True))
    message = Message.objects.get()
    assert "is due" in words(ada.post(f"/notifications/{message.pk}/resend/", follow=True))
    Channel.objects.update(is_enabled=False)
    sending.send_next()
    assert "It is sent again." in words(ada.post(f"/notifications/{message.pk}/resend/", follow=True))
    message.refresh_from_db()
    assert (message.status, message.by) == ("due", "ada")


def test_who_may_only_look_finds_no_button_and_who_may_not_look_nothing(visitor: Visitor) -> None:
    message = sending.send_test(make_channel(), by="ada")
    looker = visitor("notifications.view_message")
    assert "Send a test" not in words(looker.get("/notifications/"))
    for path in (f"{message.pk}/resend/", f"channels/{message.channel_id}/test/"):
        assert looker.post(f"/notifications/{path}").status_code == 403
    stranger = visitor("runs.view_run")
    assert stranger.get("/notifications/").status_code == 403
    assert "/notifications/" not in words(stranger.get("/runs/"))


@pytest.mark.parametrize("path", ["0/", "99999999999999999999/"])
def test_a_message_that_is_none_is_a_page_that_says_so(ada: Client, path: str) -> None:
    assert ada.get(f"/notifications/{path}").status_code == 404
    assert ada.post(f"/notifications/channels/{path}test/").status_code == 404


def test_the_list_asks_the_database_no_more_for_more(
    ada: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        sending.send_test(make_rule("failed", job=make_job()).channel, by="ada")
    with django_assert_max_num_queries(12):
        ada.get("/notifications/")
