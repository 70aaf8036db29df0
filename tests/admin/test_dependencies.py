"""The admin of dependencies: what may be followed, circles with their chain, what became of upstream runs."""

import pytest
from django.test import Client

from runs import followers
from runs.models import Run
from tests.admin.conftest import Login
from tests.admin.pages import address, form_of, text_of
from tests.factories import make_dependency, make_job
from tests.runs.endings import ended_run, settle_failed
from triggers import dependencies
from triggers.models import Trigger

LIST = "triggers_dependency_changelist"
ADD = "triggers_dependency_add"
CHANGE = "triggers_dependency_change"


def offered(client: Client, url: str) -> set[str]:
    field = client.get(url).context["adminform"].form.fields["upstream"]
    return {job.slug for job in field.queryset}


def test_a_dependency_is_added_for_a_job(boss: Client) -> None:
    upstream, job = make_job(), make_job()
    url = address(ADD) + f"?job={job.pk}"
    sent = form_of(boss, url) | {"upstream": [upstream.pk], "delay_minutes": "5", "mapping": '{"n": "/run"}'}
    assert sent["condition"] == "on_success"
    assert boss.post(url, sent).status_code == 302
    trigger = Trigger.objects.get(job=job, kind="dependency")
    assert list(trigger.upstreams.all()) == [upstream]
    assert (trigger.condition, trigger.delay_minutes, trigger.mapping) == ("on_success", 5, {"n": "/run"})


def test_only_jobs_that_keep_the_graph_acyclic_are_offered(boss: Client) -> None:
    a, b, c = (make_job(slug=slug) for slug in "abc")
    make_dependency(a, job=b)
    trigger = make_dependency(b, job=c)
    assert offered(boss, address(ADD) + f"?job={a.pk}") == set()
    assert offered(boss, address(CHANGE, trigger.pk)) == {"a", "b"}
    assert offered(boss, address(ADD)) == {"a", "b", "c"}
    assert offered(boss, address(ADD) + "?job=x") == {"a", "b", "c"}


def test_a_circle_is_refused_with_its_chain(boss: Client) -> None:
    a, b, c = (make_job(slug=slug) for slug in "abc")
    make_dependency(a, job=b)
    make_dependency(b, job=c)
    page = boss.post(address(ADD), form_of(boss, address(ADD)) | {"job": a.pk, "upstream": [c.pk]})
    assert page.status_code == 200
    assert "a → b → c → a" in text_of(page)
    assert not Trigger.objects.filter(job=a, kind="dependency").exists()


def test_an_edit_that_lost_the_race_to_close_a_circle_is_told_and_saves_nothing(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = make_job(slug="a"), make_job(slug="b")
    url = address(ADD)
    sent = form_of(boss, url) | {"job": a.pk, "upstream": [b.pk]}
    check = dependencies.check

    def check_and_lose(**options: object) -> None:
        monkeypatch.setattr(dependencies, "check", check)
        make_dependency(a, job=b)

    monkeypatch.setattr(dependencies, "check", check_and_lose)
    page = boss.post(url, sent, follow=True)
    assert "Nothing was saved: 'a' can't follow 'b', which comes after it: a → b → a." in text_of(page)
    assert not Trigger.objects.filter(job=a, kind="dependency").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"upstream": []}, "This field is required"),
        ({"delay_minutes": "61"}, "61 minutes: expected 0 to 60"),
        ({"mapping": '{"n": "result"}'}, "expected it to begin with"),
        ({"mapping": "[]"}, "expected an object"),
        ({"condition": "on_monday"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_told(boss: Client, changed: dict[str, object], message: str) -> None:
    sent = form_of(boss, address(ADD)) | {"job": make_job().pk, "upstream": [make_job().pk]}
    page = boss.post(address(ADD), sent | changed)
    assert message in text_of(page)
    assert not Trigger.objects.filter(kind="dependency").exists()


def test_a_dependency_is_changed_and_keeps_its_job(boss: Client) -> None:
    trigger, other = make_dependency(), make_job()
    url = address(CHANGE, trigger.pk)
    assert boss.post(url, form_of(boss, url) | {"upstream": [other.pk], "name": "new"}).status_code == 302
    trigger.refresh_from_db()
    assert (trigger.name, list(trigger.upstreams.all())) == ("new", [other])


def test_its_page_shows_what_became_of_upstream_runs(boss: Client) -> None:
    trigger = make_dependency(upstream := make_job(slug="ingest"))
    good, bad = ended_run(upstream), ended_run(upstream, settle_failed)
    for run in (good, bad):
        followers.follow(run.pk)
    text = text_of(boss.get(address(CHANGE, trigger.pk)))
    assert f"ingest #{good.pk} succeeded fired #{Run.objects.get(parent=good).pk}" in text
    assert "failed skipped – Its condition is on_success, and the upstream run failed." in text


def test_the_list_tells_the_rules_in_words(boss: Client) -> None:
    one, two = make_job(slug="one"), make_job(slug="two")
    make_dependency(one, delay_minutes=5)
    make_dependency(one, two, needs="all", condition="on_completion", window_minutes=120)
    text = text_of(boss.get(address(LIST)))
    assert "after one, on success, 5 minutes later" in text
    assert "after all of one, two, on completion, within 2 hours" in text


def test_the_number_of_queries_does_not_grow_with_the_list(
    boss: Client, django_assert_max_num_queries: object
) -> None:
    for _ in range(5):
        make_dependency()
    with django_assert_max_num_queries(12):  # type: ignore[operator]
        boss.get(address(LIST))


def test_who_may_only_look_changes_nothing(login: Login) -> None:
    trigger = make_dependency()
    reader = login("triggers.view_trigger")
    assert reader.get(address(CHANGE, trigger.pk)).status_code == 200
    assert reader.post(address(CHANGE, trigger.pk), {}).status_code == 403
    assert reader.get(address(ADD)).status_code == 403


def test_it_is_deleted_with_its_history(boss: Client) -> None:
    trigger = make_dependency(upstream := make_job())
    followers.follow(ended_run(upstream).pk)
    url = address("triggers_dependency_delete", trigger.pk)
    assert "entries of their history: 1" in text_of(boss.get(url)).lower()
    assert boss.post(url, {"post": "yes"}).status_code == 302
    assert not Trigger.objects.filter(pk=trigger.pk).exists()
