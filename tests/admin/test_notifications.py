"""Channels, rules and messages in the admin, and who is told of a job in the job's own form."""

from django.test import Client

from jobs.changes import Change
from notifications import channels, sending
from notifications.models import Channel, Message, Rule
from tests.admin.conftest import Login
from tests.admin.pages import address, form_of, text_of
from tests.factories import make_channel, make_job, make_rule

ADD = "notifications_channel_add"


def test_a_webhook_is_made_and_its_secret_shown_once(boss: Client) -> None:
    sent = {"name": "ops", "kind": "webhook", "address": "https://example.com/hook", "is_enabled": "on"}
    page = boss.post(address(ADD), sent)
    channel = Channel.objects.get()
    secret = channels.secret_of(channel)
    assert secret in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    url = address("notifications_channel_change", channel.pk)
    assert secret not in boss.get(url).content.decode()
    boss.post(url, {**form_of(boss, url), "name": "people"})
    channel.refresh_from_db()
    assert (channel.name, channels.secret_of(channel)) == ("people", secret)
    page = boss.post(address("notifications_channel_new_secret", channel.pk))
    assert channels.secret_of(channel) in page.content.decode()
    assert channels.secret_of(channel) != secret


def test_an_address_that_can_not_be_called_is_refused_beside_its_field(boss: Client) -> None:
    sent = {"name": "ops", "kind": "webhook", "address": "http://127.0.0.1/", "is_enabled": "on"}
    assert "expected a public address" in text_of(boss.post(address(ADD), sent))
    page = boss.post(address(ADD), {**sent, "address": "https://example.com", "secret": "x"})
    assert "is not base64" in text_of(page) or "expected 16 to 128" in text_of(page)
    assert not Channel.objects.exists()


def test_a_slack_channel_keeps_its_url_unless_another_is_typed(boss: Client) -> None:
    channel = make_channel("slack", "https://hooks.slack.com/services/T/B/secret")
    url = address("notifications_channel_change", channel.pk)
    boss.post(url, {**form_of(boss, url), "name": "people"})
    assert channels.secret_of(channel).endswith("/secret")
    boss.post(url, {**form_of(boss, url), "address": "https://hooks.slack.com/services/T/B/other"})
    assert channels.secret_of(channel).endswith("/other")
    boss.post(url, {**form_of(boss, url), "address": "nonsense"})
    assert channels.secret_of(channel).endswith("/other")


def test_a_rule_is_ticked_together_and_its_change_is_on_the_trail(boss: Client) -> None:
    rule = make_rule("failed")
    url = address("notifications_rule_change", rule.pk)
    boss.post(url, {**form_of(boss, url), "occasions": ["missed", "deadline"]})
    rule.refresh_from_db()
    assert rule.occasions == ["missed", "deadline"]
    newest = Change.objects.of(rule).first()
    assert newest is not None
    assert (newest.verb, newest.fields, newest.facts["door"]) == ("changed", ["occasions"], "admin")
    assert "Expected none: the rule names a job." in text_of(
        boss.post(url, {**form_of(boss, url), "job": make_job().pk, "tag": "night"})
    )


def test_the_form_of_a_job_says_who_is_told_of_it(boss: Client) -> None:
    channel, job = make_channel(name="ops"), make_job()
    url = address("jobs_job_change", job.pk)
    assert "Notifications" in text_of(boss.get(url))
    sent = form_of(boss, url)
    boss.post(url, sent)
    assert not Rule.objects.exists()
    boss.post(url, {**sent, "rules-0-channel": channel.pk, "rules-0-occasions": ["failed"]})
    rule = Rule.objects.get()
    assert (rule.job, rule.channel, rule.occasions) == (job, channel, ["failed"])
    boss.post(url, {**form_of(boss, url), "rules-0-DELETE": "on"})
    assert not Rule.objects.exists()


def test_messages_are_read_and_sent_again_and_nothing_else(boss: Client) -> None:
    message = sending.send_test(make_channel(is_enabled=False), by="ada")
    sending.send_next()
    url = address("notifications_message_change", message.pk)
    assert "The channel is disabled." in text_of(boss.get(url))
    boss.post(address("notifications_message_resend", message.pk))
    message.refresh_from_db()
    assert message.status == Message.Status.DUE
    assert boss.post(url, {"subject": "x"}).status_code == 403


def test_a_test_needs_the_permission_to_change_the_channel(login: Login, boss: Client) -> None:
    channel = make_channel()
    url = address("notifications_channel_send_test", channel.pk)
    assert login("notifications.view_channel").post(url).status_code == 403
    assert "is on its way" in text_of(boss.post(url, follow=True))
    assert Message.objects.count() == 1
