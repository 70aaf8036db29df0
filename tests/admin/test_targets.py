"""The admin of paused targets."""

from django.test import Client

from runs import targets
from runs.models import PausedTarget, Run
from tests.admin.conftest import Login
from tests.factories import claim, make_run, make_slot

ROOT = "/admin/runs/pausedtarget/"


def text(answer: object) -> str:
    return answer.content.decode()  # type: ignore[attr-defined,no-any-return]


def test_a_target_is_paused_by_adding_it_and_resumed_by_a_button(boss: Client) -> None:
    run = make_run(target="shop-7")
    asked = {"name": "shop-7", "paused_reason": "moving house", "paused_until": "2100-01-31T09:30:00"}
    shown = text(boss.post(f"{ROOT}add/", asked, follow=True))
    assert "moving house" in shown
    paused = PausedTarget.objects.get()
    assert paused.paused_by
    assert "_save" not in text(boss.get(f"{ROOT}{paused.pk}/change/"))
    before = paused.paused_at
    boss.post(f"{ROOT}{paused.pk}/change/", {})
    assert PausedTarget.objects.get().paused_at == before
    assert claim(make_slot()) == []
    asked = {"_confirmed": "yes", "reason": "still moving", "until": ""}
    assert "still moving" in text(boss.post(f"{ROOT}{paused.pk}/pause/", asked, follow=True))
    assert "Resumed the target shop-7." in text(boss.post(f"{ROOT}{paused.pk}/resume/", follow=True))
    assert [each.id for each in claim(make_slot())] == [run.pk]


def test_what_can_be_no_pause_is_said_beside_the_form(boss: Client) -> None:
    targets.pause("shop-7", by="ada")
    for asked, said in (
        ({"name": "shop-7"}, "already exists"),
        ({"name": ""}, "required"),
        ({"name": "a\0b"}, "Null characters"),
        ({"name": "a", "paused_until": "2001-01-01T00:00:00"}, "is over"),
    ):
        assert said in text(boss.post(f"{ROOT}add/", asked)), asked
    assert PausedTarget.objects.count() == 1


def test_who_may_only_look_pauses_no_target(login: Login) -> None:
    targets.pause("shop-7", by="ada")
    client = login("runs.view_pausedtarget")
    assert "shop-7" in text(client.get(ROOT))
    assert client.post(f"{ROOT}add/", {"name": "a"}).status_code == 403
    client.post(f"{ROOT}{PausedTarget.objects.get().pk}/resume/", follow=True)
    assert PausedTarget.objects.count() == 1
    assert not Run.objects.exists()
