"""triggers.keys and triggers.authentication: what a key is, and what it may do."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.utils import timezone
from pytest_django import Settings
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from tests.factories import make_job, make_owner, make_user
from triggers import keys
from triggers.authentication import ApiKeyAuthentication, ScopedPermission, scopes_of
from triggers.models import ApiKey
from triggers.visibility import visible_jobs

pytestmark = pytest.mark.django_db


def test_a_key_is_shown_once_and_stored_hashed() -> None:
    key, text = keys.issue(name="ci", owner=make_user(), scopes=["run", "read"])
    secret = text.split("_", 2)[2]
    assert text == f"hw_{key.public_id}_{secret}"
    assert secret not in str(ApiKey.objects.values().get())
    assert keys.verify(text) == key


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text + "x",
        lambda text: text.replace("hw_", "xx_"),
        lambda text: text.upper(),
        lambda text: "",
        lambda text: "hw__",
        lambda text: "hw_é_é",
        lambda text: "hw_" + "x" * 5000,
    ],
)
def test_anything_but_the_very_text_is_refused(spoil: object) -> None:
    _, text = keys.issue(name="ci", owner=make_user())
    assert callable(spoil)
    assert keys.verify(spoil(text)) is None


def test_a_revoked_expired_or_disabled_key_and_one_of_an_inactive_owner_are_refused() -> None:
    owner = make_user()
    revoked, revoked_text = keys.issue(name="revoked", owner=owner)
    keys.revoke(revoked)
    _, expired_text = keys.issue(
        name="expired", owner=owner, expires_at=timezone.now() - timedelta(seconds=1)
    )
    disabled, disabled_text = keys.issue(name="disabled", owner=owner)
    ApiKey.objects.filter(pk=disabled.pk).update(enabled=False)
    _, orphan_text = keys.issue(name="orphan", owner=make_user(is_active=False))
    for text in (revoked_text, expired_text, disabled_text, orphan_text):
        assert keys.verify(text) is None


def test_keys_survive_a_rotation_of_the_secret_key(settings: Settings) -> None:
    _, text = keys.issue(name="ci", owner=make_user())
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert keys.verify(text) is not None
    settings.SECRET_KEY_FALLBACKS = []
    assert keys.verify(text) is None


def test_last_use_is_written_at_most_once_a_minute() -> None:
    key, _ = keys.issue(name="ci", owner=make_user())
    now = timezone.now()
    keys.touch(key, address="10.0.0.1", now=now)
    keys.touch(key, address="10.0.0.2", now=now + timedelta(seconds=59))
    key.refresh_from_db()
    assert (key.last_used_at, key.last_used_from) == (now, "10.0.0.1")
    keys.touch(key, address="10.0.0.2", now=now + timedelta(seconds=60))
    key.refresh_from_db()
    assert key.last_used_from == "10.0.0.2"


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        ([], "8.8.8.8", True),
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["10.0.0.0/8"], "11.1.2.3", False),
        (["10.0.0.0/8"], None, False),
        (["2001:db8::/32"], "2001:db8::1", True),
    ],
)
def test_networks_decide_from_where_a_key_may_call(networks: list[str], address: str, allowed: bool) -> None:
    key, _ = keys.issue(name="ci", owner=make_user(), networks=networks)
    assert keys.may_call_from(key, address) is allowed


def test_what_is_no_network_is_named() -> None:
    with pytest.raises(keys.InvalidNetwork, match="'nonsense' is not an IP address"):
        keys.issue(name="ci", owner=make_user(), networks=["nonsense"])


def test_an_allow_list_hides_other_jobs() -> None:
    job, other = make_job(), make_job()
    key, _ = keys.issue(name="ci", owner=make_user(), jobs=[job])
    assert list(visible_jobs(key)) == [job]
    free, _ = keys.issue(name="all", owner=make_user())
    assert set(visible_jobs(free)) == {job, other}


@pytest.mark.parametrize("scheme", ["Token", "Bearer", "bearer"])
def test_token_and_bearer_are_accepted(scheme: str) -> None:
    key, text = keys.issue(name="ci", owner=make_user())
    request = APIRequestFactory().get("/", headers={"Authorization": f"{scheme} {text}"})
    assert ApiKeyAuthentication().authenticate(Request(request)) == (key.owner, key)


def test_a_wrong_key_fails_and_another_scheme_is_not_ours() -> None:
    wrong = APIRequestFactory().get("/", headers={"Authorization": "Bearer hw_x_y"})
    with pytest.raises(AuthenticationFailed):
        ApiKeyAuthentication().authenticate(Request(wrong))
    basic = APIRequestFactory().get("/", headers={"Authorization": "Basic eDp5"})
    assert ApiKeyAuthentication().authenticate(Request(basic)) is None


class View:
    required_scope = "run"


def test_a_key_needs_the_scope_and_a_person_the_permission() -> None:
    request = Request(APIRequestFactory().post("/"))
    key, _ = keys.issue(name="ci", owner=make_owner(), scopes=["read"])
    request.user, request.auth = key.owner, key
    with pytest.raises(PermissionDenied, match="has not the scope 'run'"):
        ScopedPermission().has_permission(request, View())
    key.scopes = ["run"]
    assert ScopedPermission().has_permission(request, View())
    person = make_user()
    request.user, request.auth = person, None
    assert not ScopedPermission().has_permission(request, View())
    person.user_permissions.add(Permission.objects.get(codename="run_job"))
    request.user = type(person).objects.get(pk=person.pk)
    assert ScopedPermission().has_permission(request, View())


def test_deleting_the_last_job_of_a_list_opens_no_other() -> None:
    listed, other = make_job(), make_job()
    key, _ = keys.issue(name="ci", owner=make_user(), jobs=[listed])
    listed.delete()
    key.refresh_from_db()
    assert key.allowed_jobs() == set()
    key.jobs.set([other])
    key.jobs.clear()
    assert key.allowed_jobs() is None


def test_a_scope_counts_only_while_the_owner_has_its_permission() -> None:
    owner = make_user()
    owner.user_permissions.add(Permission.objects.get(codename="run_job"))
    _, text = keys.issue(name="ci", owner=owner, scopes=["run", "cancel"])
    request = Request(APIRequestFactory().post("/"))
    key = keys.verify(text)
    assert key is not None
    request.user, request.auth = key.owner, key
    assert ScopedPermission().has_permission(request, View())
    assert scopes_of(key) == ["run"]
    owner.user_permissions.clear()
    key = keys.verify(text)
    assert key is not None
    request.user, request.auth = key.owner, key
    with pytest.raises(
        PermissionDenied, match=r"has the scope 'run', but .* lacks the permission jobs.run_job"
    ):
        ScopedPermission().has_permission(request, View())


def test_a_rotated_key_is_valid_with_both_secrets_while_they_overlap() -> None:
    key, first = keys.issue(name="ci", owner=make_user())
    now = timezone.now()
    second = keys.rotate(key, overlap=timedelta(hours=1), now=now)
    assert first.split("_")[:2] == second.split("_")[:2]
    found = keys.verify(first), keys.verify(second)
    assert [one is not None and one.on_former_secret for one in found] == [True, False]
    with time_machine.travel(now + timedelta(hours=1, seconds=1), tick=False):
        assert keys.verify(first) is None
        assert keys.verify(second) == key


def test_a_rotation_without_overlap_or_a_second_one_ends_the_former_secret_at_once() -> None:
    key, first = keys.issue(name="ci", owner=make_user())
    second = keys.rotate(key, overlap=timedelta(days=1), now=timezone.now())
    third = keys.rotate(key, overlap=timedelta(days=1), now=timezone.now())
    assert [keys.verify(text) is not None for text in (first, second, third)] == [False, True, True]
    fourth = keys.rotate(key, overlap=timedelta(), now=timezone.now())
    assert [keys.verify(text) is not None for text in (third, fourth)] == [False, True]


def test_a_revoked_key_is_not_rotated_and_an_overlap_has_bounds() -> None:
    key, _ = keys.issue(name="ci", owner=make_user())
    with pytest.raises(keys.NotRotated, match="expected 0 to 90 days"):
        keys.rotate(key, overlap=timedelta(days=91), now=timezone.now())
    keys.revoke(key)
    with pytest.raises(keys.NotRotated, match="is revoked: issue a new one"):
        keys.rotate(key, overlap=timedelta(days=1), now=timezone.now())


def test_revoking_ends_the_former_secret_too() -> None:
    key, first = keys.issue(name="ci", owner=make_user())
    keys.rotate(key, overlap=timedelta(days=1), now=timezone.now())
    keys.revoke(key)
    assert keys.verify(first) is None


def test_each_use_puts_a_sliding_end_off_and_a_fixed_end_stays() -> None:
    now = timezone.now()
    key, text = keys.issue(name="ci", owner=make_user(), idle_days=10, expires_at=now + timedelta(days=25))
    with time_machine.travel(now + timedelta(days=9), tick=False):
        assert keys.verify(text) is not None
        keys.touch(key, address=None, now=timezone.now())
    for days, valid in ((18, True), (20, False)):
        with time_machine.travel(now + timedelta(days=days), tick=False):
            assert (keys.verify(text) is not None) is valid
            assert ApiKey.objects.valid(timezone.now()).exists() is valid
    for days in (18, 24):
        with time_machine.travel(now + timedelta(days=days), tick=False):
            keys.touch(key, address=None, now=timezone.now())
    with time_machine.travel(now + timedelta(days=26), tick=False):
        assert keys.verify(text) is None


def test_unused_and_expiring_keys_are_flagged() -> None:
    now, owner = timezone.now(), make_user()
    keys.issue(name="soon", owner=owner, expires_at=now + timedelta(days=3))
    old, _ = keys.issue(name="old", owner=owner)
    ApiKey.objects.filter(pk=old.pk).update(created_at=now - timedelta(days=100))
    keys.issue(name="fine", owner=owner, expires_at=now + timedelta(days=300), idle_days=10)
    assert [key.name for key in ApiKey.objects.unused(now)] == ["old"]
    assert [key.name for key in ApiKey.objects.expiring(now)] == ["soon"]
    assert {key.name: bool(key.flags(now)) for key in ApiKey.objects.all()} == {
        "soon": True,
        "old": True,
        "fine": False,
    }


def test_a_sliding_key_is_flagged_when_half_of_its_time_is_over() -> None:
    now = timezone.now()
    key, _ = keys.issue(name="ci", owner=make_user(), idle_days=10)
    for days, flagged in ((4, False), (6, True)):
        then = now + timedelta(days=days)
        assert ApiKey.objects.expiring(then).exists() is flagged
        assert bool(key.flags(then)) is flagged
