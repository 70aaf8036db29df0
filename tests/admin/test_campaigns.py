"""The admin of campaigns."""

from django.test import Client

from jobs.executors import Failed
from runs import lifecycle, lists, orders, tending
from runs.models import Campaign, RecipientList, Run
from tests.admin.conftest import Login
from tests.admin.pages import address, text_of
from tests.factories import claim, make_job, make_slot

LIST = "runs_campaign_changelist"


def make_campaign() -> Campaign:
    schema = {"properties": {"token": {"type": "string", "writeOnly": True}}}
    order = orders.Order(job=make_job(schema=schema), name="spring", parameters={"token": "s3cr3t"})
    made = orders.order(order, [(1, {"key": "a"}), (2, {"key": "b"})]).campaign
    tending.at_once(made)
    return made


def test_every_button_does_what_it_says_and_the_timeline_tells_of_it(boss: Client) -> None:
    campaign = make_campaign()
    assert "0 of 2 ended" in text_of(boss.get(address(LIST)))

    def press(button: str) -> str:
        return text_of(boss.post(address(f"runs_campaign_{button}", campaign.pk), follow=True))

    assert f"Paused campaign #{campaign.pk}." in press("pause")
    assert f"Resumed campaign #{campaign.pk}." in press("resume")
    (first, _) = claim(make_slot(), lane="bulk", limit=2)
    no = Failed(reason="error", type="ValueError", message="no", traceback="", retryable=False)
    lifecycle.settle([(first, no)])
    assert "Retried what failed" in press("retry_failed")
    assert Run.objects.filter(retry_of=first.id).exists()
    assert "Made the draft" in press("duplicate")
    assert f"Campaign #{campaign.pk} is cancelling." in press("cancel")
    assert "only one that is" in press("pause")
    page = text_of(boss.get(address("runs_campaign_change", campaign.pk)))
    for words in ("paused: ada", "resumed: ada", "retried: ada all that failed", "cancelled: ada"):
        assert words in page
    assert "s3cr3t" not in page


def test_who_may_only_look_is_offered_nothing(login: Login) -> None:
    campaign = make_campaign()
    reader = login("runs.view_campaign")
    assert "spring" in text_of(reader.get(address(LIST)))
    assert reader.post(address("runs_campaign_cancel", campaign.pk)).status_code == 403


def test_a_saved_list_is_renamed_and_made_on_its_page(boss: Client) -> None:
    saved = lists.save("spring", [(1, {"key": "a"})], is_text=False, by="ada")
    other = lists.save("autumn", [(1, {"key": "a"})], is_text=False, by="ada")
    boss.post(address("runs_recipientlist_change", saved.pk), {"name": "summer"})
    assert RecipientList.objects.get(pk=saved.pk).name == "summer"
    taken = boss.post(address("runs_recipientlist_change", saved.pk), {"name": other.name})
    assert "already exists" in text_of(taken)
    assert boss.get(address("runs_recipientlist_add"))["Location"] == "/campaigns/lists/"
