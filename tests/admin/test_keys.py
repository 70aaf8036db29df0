"""The admin of API keys: issued, shown once, owned, revoked."""

from datetime import timedelta
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from tests.admin.conftest import Login
from tests.admin.pages import address, form_of, text_of
from tests.factories import make_job, make_run, make_user
from triggers import keys
from triggers.models import ApiKey, KeyUse

LIST = "triggers_apikey_changelist"
ADD = "triggers_apikey_add"


def issue(client: Client, **said: Any) -> Any:
    sent = form_of(client, address(ADD)) | {"name": "ci", "scopes": ["read"], **said}
    return client.post(address(ADD), sent)


def key_in(response: Any) -> str:
    return str(response.context["text"])


def test_a_new_key_is_shown_once_and_works(boss: Client) -> None:
    job = make_job()
    page = issue(boss, scopes=["run", "read"], jobs=[job.pk], networks="10.0.0.0/8\n2001:db8::1")
    text = key_in(page)
    assert page.content.decode().count(text) == 2  # the field, and the line to try it
    assert "no-store" in page.headers["Cache-Control"]
    key = keys.verify(text)
    assert key is not None
    assert (key.scopes, key.networks, list(key.jobs.all())) == (
        ["read", "run"],
        ["10.0.0.0/8", "2001:db8::1/128"],
        [job],
    )
    assert key.owner.get_username() == "ada"


def test_the_text_of_a_key_is_kept_nowhere(boss: Client) -> None:
    secret = key_in(issue(boss)).rpartition("_")[2]
    key = ApiKey.objects.get()
    for url in (
        address(LIST),
        address("triggers_apikey_change", key.pk),
        address("triggers_apikey_history", key.pk),
    ):
        assert secret not in boss.get(url).content.decode()
    assert all(secret not in str(session.get_decoded()) for session in Session.objects.all())
    assert all(secret not in entry.change_message for entry in LogEntry.objects.all())
    assert "secret_hash" not in boss.get(address("triggers_apikey_change", key.pk)).content.decode()


def test_a_form_sent_twice_makes_one_key(boss: Client) -> None:
    issue(boss)
    page = issue(boss)
    assert "has a key of this name" in page.context["adminform"].form.errors["name"][0]
    assert ApiKey.objects.count() == 1


def test_nobody_gives_a_key_more_than_they_may_do(login: Login) -> None:
    client = login("triggers.add_apikey", "triggers.view_apikey", "runs.view_run")
    page = issue(client, scopes=["read", "write"])
    (error,) = page.context["adminform"].form.errors["scopes"]
    assert error.startswith("You may not give a key the scope 'write'")
    assert issue(client, scopes=["read"]).status_code == 200
    assert ApiKey.objects.get().scopes == ["read"]


def test_networks_must_be_networks(boss: Client) -> None:
    page = issue(boss, networks="10.0.0.0/8\nhere")
    assert "'here' is not an IP address or network" in page.context["adminform"].form.errors["networks"][0]


def test_a_key_that_would_be_over_is_refused(boss: Client) -> None:
    page = issue(boss, expires_at="2020-01-01 00:00:00")
    assert "is over" in page.context["adminform"].form.errors["expires_at"][0]
    assert not ApiKey.objects.exists()


def test_people_see_their_own_keys_only_and_superusers_all(login: Login, boss: Client) -> None:
    somebody = make_user()
    theirs, _ = keys.issue(name="theirs", owner=somebody)
    client = login("triggers.view_apikey", "triggers.change_apikey")
    assert "theirs" not in text_of(client.get(address(LIST)))
    assert client.get(address("triggers_apikey_change", theirs.pk)).status_code == 302
    assert client.post(address("triggers_apikey_revoke", theirs.pk)).status_code == 302
    theirs.refresh_from_db()
    assert theirs.revoked_at is None
    assert "theirs" in text_of(boss.get(address(LIST)))


def test_an_owner_can_only_be_chosen_by_a_superuser(login: Login) -> None:
    client = login("triggers.add_apikey", "runs.view_run", username="grace")
    issue(client, owner=make_user().pk)
    assert ApiKey.objects.get().owner.get_username() == "grace"


def test_revoking_ends_a_key_for_good(boss: Client) -> None:
    text = key_in(issue(boss))
    key = ApiKey.objects.get()
    boss.post(address("triggers_apikey_revoke", key.pk))
    assert keys.verify(text) is None
    page = boss.get(address("triggers_apikey_change", key.pk))
    assert address("triggers_apikey_revoke", key.pk) not in page.content.decode()
    assert boss.post(address("triggers_apikey_change", key.pk), {"enabled": "on"}).status_code == 403
    assert "revoked" in text_of(boss.get(address(LIST)))


def test_a_key_is_never_deleted(boss: Client) -> None:
    issue(boss)
    key = ApiKey.objects.get()
    page = boss.post(address("triggers_apikey_delete", key.pk), {"post": "yes"}, follow=True)
    assert "A key is revoked, not deleted" in text_of(page)
    assert "delete_selected" not in boss.get(address(LIST)).content.decode()
    assert ApiKey.objects.exists()


def test_changing_a_key_leaves_its_counters_and_scopes_alone(boss: Client) -> None:
    issue(boss)
    key = ApiKey.objects.get()
    url = address("triggers_apikey_change", key.pk)
    sent = form_of(boss, url)
    ApiKey.objects.filter(pk=key.pk).update(launches=7)
    expires = timezone.now() + timedelta(days=1)
    sent |= {
        "name": "ci-bot",
        "scopes": ["write"],
        "expires_at": f"{expires:%Y-%m-%dT%H:%M}",
    }
    assert boss.post(url, sent).status_code == 302
    key.refresh_from_db()
    assert (key.name, key.launches, key.scopes) == ("ci-bot", 7, ["read"])
    assert key.expires_at is not None


def test_many_keys_are_revoked_at_once(boss: Client) -> None:
    issue(boss)
    issue(boss, name="second")
    chosen = [key.pk for key in ApiKey.objects.all()]
    boss.post(address(LIST), {"action": "revoke_selected", "_selected_action": chosen})
    assert not ApiKey.objects.filter(revoked_at__isnull=True).exists()


def test_keys_are_filtered_by_whether_they_may_act(boss: Client) -> None:
    for name in ("valid", "disabled", "expired", "revoked"):
        issue(boss, name=name)
    ApiKey.objects.filter(name="disabled").update(enabled=False)
    ApiKey.objects.filter(name="expired").update(expires_at=timezone.now())
    keys.revoke(ApiKey.objects.get(name="revoked"))
    for name in ("valid", "disabled", "expired", "revoked"):
        page = boss.get(address(LIST), {"state": name})
        assert [key.name for key in page.context["cl"].result_list] == [name]


def test_a_rotation_asks_for_the_overlap_and_shows_the_new_text_once(boss: Client) -> None:
    first = key_in(issue(boss))
    key = ApiKey.objects.get()
    url = address("triggers_apikey_rotate", key.pk)
    assert "Overlap in hours" in text_of(boss.get(url))
    page = boss.post(url, {"_confirmed": "yes", "overlap_hours": "1"})
    second = key_in(page)
    assert "no-store" in page.headers["Cache-Control"]
    assert keys.verify(first) == keys.verify(second) == key
    shown = text_of(boss.get(address("triggers_apikey_change", key.pk)))
    assert "the former secret is valid until" in shown
    assert "What stops if I revoke this?" in shown
    refused = boss.post(url, {"_confirmed": "yes", "overlap_hours": "-1"})
    assert refused.context["form"].errors["overlap_hours"]


def test_a_scope_that_the_owner_may_not_use_is_refused(boss: Client) -> None:
    page = issue(boss, owner=make_user(username="eve").pk, scopes=["run"])
    assert "eve lacks the permission jobs.run_job" in page.context["adminform"].form.errors["scopes"][0]


def test_a_rate_limit_that_is_none_is_named(boss: Client) -> None:
    page = issue(boss, rate_limit="many")
    assert "'many' is not a rate" in page.context["adminform"].form.errors["rate_limit"][0]
    issue(boss, rate_limit="5/second", idle_days="30")
    key = ApiKey.objects.get()
    assert (key.rate_limit, key.idle_days) == ("5/second", 30)


def test_the_list_and_the_page_show_the_calls_of_a_day_and_the_last_runs(boss: Client) -> None:
    key, _ = keys.issue(name="ci", owner=make_user())
    now = timezone.now()
    KeyUse.objects.create(key=key, job=None, hour=now.replace(minute=0, second=0, microsecond=0), calls=7)
    run = make_run()
    run.api_key = key
    run.save(update_fields=["api_key"])
    told = 'aria-label="Calls in each of the last 24 hours: 7 in all, at most 7"'
    assert told in boss.get(address(LIST)).content.decode()
    page = boss.get(address("triggers_apikey_change", key.pk)).content.decode()
    assert told in page
    assert f'<a href="/runs/{run.pk}/">run #{run.pk}</a> of {run.job.name}' in page
