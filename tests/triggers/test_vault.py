"""triggers.vault and triggers.cipher: what is stored tells nothing, opens where it belongs, and outlives its keys."""

import io

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from hypothesis import given
from hypothesis import settings as few
from hypothesis import strategies as st
from pytest_django import Settings

from tests.factories import make_event
from triggers import cipher, vault
from triggers.events import secrets
from triggers.models import Secret

ONE, TWO = cipher.key("a" * 40), cipher.key("b" * 40)


@few(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), st.text("abc:", max_size=10))
def test_what_was_sealed_opens_in_its_place_only(text: str, place: str) -> None:
    sealed = cipher.seal(text, key=ONE, place=place)
    assert cipher.unseal(sealed, keys=[TWO, ONE], place=place) == text
    for keys, where in (([TWO], place), ([], place), ([ONE], place + "x")):
        with pytest.raises(cipher.CannotOpen):
            cipher.unseal(sealed, keys=keys, place=where)


def test_equal_texts_are_not_sealed_alike_and_tell_nothing() -> None:
    one, two = (cipher.seal("a secret word", key=ONE, place="p") for _ in range(2))
    assert one != two
    assert "secret" not in one
    assert "a" * 40 not in repr(ONE)


@few(max_examples=50)
@given(st.data())
def test_a_changed_character_is_noticed(data: st.DataObject) -> None:
    sealed = cipher.seal("a secret word", key=ONE, place="p")
    index = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda sign: sign != sealed[index]))
    with pytest.raises(cipher.CannotOpen):
        cipher.unseal(sealed[:index] + other + sealed[index + 1 :], keys=[ONE], place="p")


@few(max_examples=30)
@given(st.text(max_size=100))
def test_any_other_text_does_not_open(text: str) -> None:
    with pytest.raises(cipher.CannotOpen):
        cipher.unseal(text, keys=[ONE], place="p")


@pytest.mark.django_db
def test_the_table_holds_no_secret_in_the_clear() -> None:
    make_event(secret="open sesame")
    with connection.cursor() as cursor:
        cursor.execute("SELECT s::text FROM triggers_secret s")
        (row,) = cursor.fetchone()
    assert "sesame" not in row
    assert "sesame" not in str(Secret.objects.get())


@pytest.mark.django_db
def test_rotation_seals_anew_so_that_the_former_key_can_go(settings: Settings) -> None:
    former, new = "f" * 40, "n" * 40
    settings.VAULT_KEYS = [former]
    made = [make_event() for _ in range(3)]
    settings.VAULT_KEYS = [new, former]
    told = io.StringIO()
    call_command("rotate_secrets", stdout=told)
    assert told.getvalue().startswith("Sealed 3 secrets with the key ")
    settings.VAULT_KEYS = [new]
    for trigger, text in made:
        assert secrets.valid(trigger, now=Secret.objects.first().created_at) == [text]  # type: ignore[union-attr]
    assert vault.rotate() == (0, 0)


@pytest.mark.django_db
def test_rotation_goes_on_past_what_no_key_opens_and_says_so(settings: Settings) -> None:
    settings.VAULT_KEYS = ["gone" * 10]
    lost, _ = make_event()
    settings.VAULT_KEYS = ["f" * 40]
    kept, text = make_event()
    settings.VAULT_KEYS = ["n" * 40, "f" * 40]
    complaint = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("rotate_secrets", stdout=io.StringIO(), stderr=complaint)
    assert complaint.getvalue().startswith("1 can't be opened")
    assert secrets.valid(kept, now=kept.created_at) == [text]
    with pytest.raises(vault.VaultLocked, match="HEADWAY_VAULT_KEYS"):
        secrets.valid(lost, now=lost.created_at)


@pytest.mark.django_db
def test_a_rotation_that_was_stopped_is_taken_up_where_it_was(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.VAULT_KEYS = ["f" * 40]
    for _ in range(3):
        make_event()
    settings.VAULT_KEYS = ["n" * 40, "f" * 40]
    monkeypatch.setattr(vault, "BATCH", 1)
    seal, calls = vault.seal, iter(range(9))

    def stop(text: str, *, place: str) -> tuple[str, str]:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return seal(text, place=place)

    monkeypatch.setattr(vault, "seal", stop)
    with pytest.raises(KeyboardInterrupt):
        vault.rotate()
    monkeypatch.setattr(vault, "seal", seal)
    assert vault.rotate() == (1, 0)


@pytest.mark.django_db
def test_without_a_key_nothing_is_stored_and_the_variable_is_named(settings: Settings) -> None:
    settings.VAULT_KEYS = []
    with pytest.raises(vault.VaultLocked, match="HEADWAY_VAULT_KEYS"):
        make_event()
    with pytest.raises(CommandError, match="HEADWAY_VAULT_KEYS"):
        call_command("rotate_secrets")
