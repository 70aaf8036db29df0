"""The admin of runs, lanes and workers."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs.executors import Failed, Succeeded
from runs import lifecycle, sweep
from runs.admin.run import RunAdmin
from runs.models import BulkOperation, Lane, Run
from tests.admin.conftest import Login
from tests.admin.pages import address, text_of
from tests.factories import claim_one, make_job, make_run, make_slot

LIST = "runs_run_changelist"


def messages_of(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def end(run: Run, outcome: Any = None) -> Run:
    lifecycle.settle([(claim_one(make_slot()), outcome or Succeeded(result={"done": 1}))])
    run.refresh_from_db()
    return run


def test_the_list_shows_why_each_run_exists_and_what_came_of_it(boss: Client) -> None:
    run = make_run(make_job(name="Daily report"))
    end(run, Failed(reason="error", type="ValueError", message="first line\nsecond line"))
    text = text_of(boss.get(address(LIST)))
    assert f"#{run.pk}" in text
    assert "Daily report" in text
    assert "Started by hand by the command line" in text
    assert "first line" in text
    assert "second line" not in text


def test_the_list_neither_counts_nor_skips_runs(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunAdmin, "list_per_page", 2)
    runs = [make_run() for _ in range(5)]
    shown: list[int] = []
    url = address(LIST)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        while True:
            page = boss.get(url)
            shown += [run.pk for run in page.context["cl"].result_list]
            if page.context["cl"].older is None:
                break
            url = address(LIST) + page.context["cl"].older
    assert shown == [run.pk for run in reversed(runs)]
    said = [query["sql"].upper() for query in queries if "RUNS_RUN" in query["sql"].upper()]
    assert said
    assert not [sql for sql in said if "COUNT(" in sql or "OFFSET" in sql]
    assert len(queries) <= 12 * 3


def test_newer_leads_back_to_where_one_came_from(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunAdmin, "list_per_page", 2)
    runs = [make_run().pk for _ in range(5)][::-1]
    second = boss.get(address(LIST) + f"?before={runs[1]}").context["cl"]
    assert [run.pk for run in second.result_list] == runs[2:4]
    first = boss.get(address(LIST) + second.newer).context["cl"]
    assert [run.pk for run in first.result_list] == runs[:2]
    assert first.newer is None
    assert first.older == f"?before={runs[1]}"


def test_runs_are_found_by_id_by_name_and_by_the_slug_of_their_job(boss: Client) -> None:
    run, other = make_run(), make_run()

    def found(term: str) -> list[int]:
        page = boss.get(address(LIST), {"q": term})
        return [run.pk for run in page.context["cl"].result_list]

    assert found(str(run.pk)) == found(run.name) == found(run.job.slug) == [run.pk]
    assert found(f"{run.name}x") == found("%") == found("no-such") == []
    assert found("") == [other.pk, run.pk]


def test_filters_by_status_kind_and_job(boss: Client) -> None:
    run = end(make_run())
    make_run()
    for query in ("status__exact=succeeded", f"job__id__exact={run.job_id}"):
        page = boss.get(f"{address(LIST)}?{query}")
        assert [run.pk for run in page.context["cl"].result_list] == [run.pk]
    assert boss.get(f"{address(LIST)}?trigger_kind__exact=schedule").context["cl"].result_count == 0


@pytest.mark.parametrize(
    "query", ["before=x", "after=%00", "before=99999999999999999999", "q=%00", "p=7", "o=1.2"]
)
def test_a_senseless_address_is_no_error(boss: Client, query: str) -> None:
    make_run()
    assert boss.get(f"{address(LIST)}?{query}", follow=True).status_code == 200


def test_the_page_of_a_run_shows_all_and_hides_secrets(boss: Client) -> None:
    schema = {"type": "object", "properties": {"token": {"type": "string", "format": "password"}, "n": {}}}
    job = make_job(schema=schema)
    run = make_run(job, parameters={"token": "hush hush", "n": 3})
    page = boss.get(address("runs_run_change", run.pk))
    body = page.content.decode()
    assert "hush" not in body
    assert f'href="/runs/{run.pk}/"' in body
    assert run.name in body
    assert "No worker is alive on the lane high" in text_of(page)


def test_history_can_be_neither_added_nor_changed_nor_deleted(boss: Client) -> None:
    run = make_run()
    assert boss.get(address("runs_run_add")).status_code == 403
    assert boss.post(address("runs_run_change", run.pk), {"status": "succeeded"}).status_code == 403
    assert boss.post(address("runs_run_delete", run.pk), {"post": "yes"}).status_code == 403
    assert "delete_selected" not in boss.get(address(LIST)).content.decode()


def test_cancel_ends_a_queued_run_and_asks_a_running_one(boss: Client) -> None:
    queued = make_run()
    page = boss.post(address("runs_run_cancel", queued.pk), follow=True)
    assert f"Cancelled run #{queued.pk}." in messages_of(page)
    running = make_run()
    claim_one(make_slot())
    page = boss.post(address("runs_run_cancel", running.pk), follow=True)
    assert f"Run #{running.pk} was asked to stop." in messages_of(page)
    queued.refresh_from_db()
    running.refresh_from_db()
    assert (queued.status, queued.cancelled_by) == ("cancelled", "ada")
    assert (running.status, running.is_cancelling) == ("running", True)
    assert LogEntry.objects.filter(object_id=str(queued.pk)).exists()


def test_retry_makes_a_new_manual_run_and_refuses_an_open_one(boss: Client) -> None:
    run = make_run()
    page = boss.post(address("runs_run_retry", run.pk), follow=True)
    assert any("only a run that has ended can be retried" in message for message in messages_of(page))
    end(run)
    boss.post(address("runs_run_retry", run.pk))
    again = Run.objects.get(retry_of=run)
    assert (again.trigger_kind, again.cause) == ("manual", f"Retry of #{run.pk} by ada")


def test_many_runs_are_cancelled_and_retried(boss: Client) -> None:
    runs = [make_run(), make_run()]
    chosen = {"_selected_action": [run.pk for run in runs]}
    boss.post(address(LIST), {"action": "cancel_selected", **chosen})
    assert set(Run.objects.values_list("status", flat=True)) == {"cancelled"}
    boss.post(address(LIST), {"action": "retry_selected", **chosen})
    assert Run.objects.filter(retry_of__in=runs).count() == 2


def test_each_act_needs_its_own_permission(login: Login) -> None:
    run = make_run()
    client = login("runs.view_run")
    for button in ("cancel", "retry"):
        assert client.post(address(f"runs_run_{button}", run.pk)).status_code == 403
        assert address(f"runs_run_{button}", run.pk) not in client.get(address(LIST)).content.decode()
    chosen = {"_selected_action": [run.pk]}
    client.post(address(LIST), {"action": "cancel_selected", **chosen})
    run.refresh_from_db()
    assert run.status == "queued"
    assert login("runs.cancel_run").post(address("runs_run_cancel", run.pk)).status_code == 403


def test_a_lane_is_paused_with_a_reason_and_resumed(boss: Client) -> None:
    url = address("runs_lane_pause", "bulk")
    assert boss.get(url).status_code == 200
    boss.post(url, {"_confirmed": "yes", "reason": "database at work"})
    lane = Lane.objects.get(name="bulk")
    assert (lane.paused_by, lane.paused_reason) == ("ada", "database at work")
    assert "paused" in text_of(boss.get(address("runs_lane_changelist")))
    boss.post(address("runs_lane_resume", "bulk"))
    lane.refresh_from_db()
    assert (lane.paused_at, lane.paused_by) == (None, "")


def test_a_lane_is_paused_by_those_who_may_change_it(login: Login) -> None:
    client = login("runs.view_lane")
    assert client.post(address("runs_lane_pause", "bulk")).status_code == 403
    assert client.get(address("runs_lane_change", "bulk")).status_code == 200


def test_workers_are_shown_and_not_edited(boss: Client) -> None:
    worker = make_slot().worker
    assert "worker@test" in text_of(boss.get(address("runs_worker_changelist")))
    assert boss.get(address("runs_worker_change", worker.pk)).status_code == 200
    assert boss.get(address("runs_worker_add")).status_code == 403
    assert boss.post(address("runs_worker_delete", worker.pk), {"post": "yes"}).status_code == 403


def test_a_worker_is_drained_by_a_button_and_takes_work_again(boss: Client) -> None:
    worker = make_slot().worker
    boss.post(f"{address('runs_worker_changelist')}{worker.pk}/drain/")
    assert "draining" in text_of(boss.get(address("runs_worker_changelist")))
    boss.post(f"{address('runs_worker_changelist')}{worker.pk}/take-back/")
    worker.refresh_from_db()
    assert worker.draining_at is None


def test_an_action_is_done_to_all_that_match_in_the_background(boss: Client) -> None:
    job, other = make_job(slug="nightly"), make_run()
    runs = [make_run(job) for _ in range(3)]
    url = address(LIST) + "?q=nightly"
    assert 'name="all_matching"' in boss.get(url).content.decode()
    boss.post(url, {"action": "cancel_selected", "index": "0", "all_matching": "1"})
    made = BulkOperation.objects.get()
    assert (made.total, made.filter, made.by) == (3, "“nightly”", "ada")
    assert {run.status for run in Run.objects.all()} == {"queued"}
    assert sweep.run(sweep.database_now())
    assert set(Run.objects.filter(status="cancelled")) == set(runs)
    assert Run.objects.get(pk=other.pk).status == "queued"


def test_a_priority_for_all_that_match_is_asked_for_first(boss: Client) -> None:
    make_run()
    given = {"action": "prioritise_selected", "index": "0", "all_matching": "1"}
    asked = boss.post(address(LIST), given)
    assert 'name="all_matching"' in asked.content.decode()
    assert not BulkOperation.objects.exists()
    boss.post(address(LIST), {**given, "_confirmed": "yes", "priority": "70"})
    assert BulkOperation.objects.get().priority == 70


def test_all_that_match_needs_an_action_that_the_person_may_do(login: Login) -> None:
    make_run()
    viewer = login("runs.view_run")
    for action in ("cancel_selected", "delete_selected", ""):
        viewer.post(address(LIST), {"action": action, "index": "0", "all_matching": "1"})
    assert not BulkOperation.objects.exists()


def test_a_lane_is_purged_once_its_name_was_typed(boss: Client) -> None:
    lane, run = Lane.objects.get(pk="high"), make_run()
    url = address("runs_lane_purge", lane.pk)
    assert "Type the lane’s name" in text_of(boss.get(url))
    boss.post(url, {"_confirmed": "yes", "confirm": "bulk"})
    assert not BulkOperation.objects.exists()
    boss.post(url, {"_confirmed": "yes", "confirm": "high"})
    assert sweep.run(sweep.database_now())
    assert Run.objects.get(pk=run.pk).status == "cancelled"
