"""runs.api.runs and acts: a run is read whole, followed to its end, cancelled and launched again."""

import json
import time
from datetime import timedelta
from threading import BoundedSemaphore, Thread
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from jobs import pausing
from jobs.executors import Cancelled, Failed, Succeeded, Waiting
from runs import lifecycle
from runs.api import waiting
from runs.logs import LogWriter
from runs.models import Run
from tests.api.conftest import NewKey, Program, problem, read
from tests.factories import claim_one, make_job, make_owner, make_run, make_slot, make_user
from triggers import keys

FIELDS = """
    id name job job_name status trigger trigger_id trigger_name cause campaign parent root priority lane parameters
    result failure_reason error attempt max_attempts attempts tags metadata dedup_key created_at run_at queued_at
    started_at finished_at wait_seconds duration_seconds resume_at next_step cancel_requested_at cancelled_by
    retry_of slot retry_at executor api_key created_by skip_reason target context progress engine external_id
    external_status synced_at worker why links
"""
SECRET = {
    "type": "object",
    "properties": {"word": {"type": "string", "writeOnly": True}, "n": {"type": "integer"}},
}


def finish(run: Run, outcome: Any = None) -> Run:
    """Carries `run` out, with the given outcome."""
    claim = claim_one(make_slot())
    assert claim.id == run.pk
    lifecycle.settle([(claim, outcome or Succeeded(result={"n": 1}))])
    run.refresh_from_db()
    return run


@pytest.mark.django_db
class TestReading:
    def test_the_run_object_has_every_field_of_the_contract(self, program: Program) -> None:
        run = make_run()
        body = read(program.get(f"/api/runs/{run.pk}"))
        assert body.keys() >= set(FIELDS.split())
        assert body["id"] == run.pk
        assert body["why_code"] == "no_worker"
        assert body["created_at"].endswith("Z")

    def test_a_run_that_ended_tells_its_times_result_and_worker(self, program: Program) -> None:
        run = finish(make_run())
        body = read(program.get(f"/api/runs/{run.pk}"))
        assert (body["status"], body["result"], body["why"]) == ("succeeded", {"n": 1}, None)
        assert body["duration_seconds"] == pytest.approx(
            run.duration.total_seconds() if run.duration else None
        )
        assert body["wait_seconds"] is not None
        assert body["worker"] == "worker@test:1"

    def test_every_attempt_is_told_with_its_error(self, program: Program) -> None:
        run = make_run(make_job(max_attempts=2))
        failed = Failed(reason="error", type="ValueError", message="no", traceback="Traceback …")
        finish(run, failed)
        body = read(program.get(f"/api/runs/{run.pk}"))
        assert (body["status"], body["why_code"]) == ("scheduled", "retry_delay")
        assert body["retry_at"]
        (attempt,) = body["attempts"]
        assert (attempt["attempt"], attempt["outcome"]) == (1, "error")
        assert attempt["started_at"].endswith("Z")
        assert attempt["error"]["message"] == "no"

    def test_a_waiting_run_tells_when_and_what_comes_next(self, program: Program) -> None:
        run = finish(
            make_run(),
            Waiting(resume_at=timezone.now() + timedelta(hours=1), next_step="second", state={"secret": 1}),
        )
        answer = program.get(f"/api/runs/{run.pk}")
        body = read(answer)
        assert (body["status"], body["next_step"]) == ("waiting", "second")
        assert body["resume_at"]
        assert b"secret" not in answer.content

    def test_a_run_is_found_by_its_name(self, program: Program) -> None:
        run = make_run()
        assert read(program.get(f"/api/runs/{run.name}"))["id"] == run.pk
        other = run.name.replace(run.job.slug, "other-job")
        problem(program.get(f"/api/runs/{other}"), 404, "not_found")

    @pytest.mark.parametrize(
        "text", ["0", "999999999", "9" * 30, "nothing", "triggered_x_1_zzzzzzzzzzzzzzzzzzz", "-1"]
    )
    def test_an_unknown_run_is_a_404_for_every_part_of_it(self, program: Program, text: str) -> None:
        for part in ("", "/logs", "/events", "/steps"):
            problem(program.get(f"/api/runs/{text}{part}"), 404, "not_found")
        for act in ("cancel", "retry", "rerun"):
            problem(program.post(f"/api/runs/{text}/{act}", {}), 404, "not_found")

    def test_secrets_are_masked_everywhere(self, program: Program) -> None:
        run = make_run(make_job(schema=SECRET), parameters={"word": "hunter22", "n": 1})
        for path in (f"/api/runs/{run.pk}", "/api/runs", f"/api/jobs/{run.job.slug}/runs"):
            answer = program.get(path)
            assert "••••••" in answer.content.decode()
            assert b"hunter22" not in answer.content

    def test_a_key_sees_only_the_runs_of_its_jobs(self, new_key: NewKey) -> None:
        mine, other = make_run(), make_run()
        limited = new_key(jobs=(mine.job,))
        assert [run["id"] for run in read(limited.get("/api/runs"))["results"]] == [mine.pk]
        assert read(limited.get("/api/runs", {"search": other.pk}))["results"] == []
        for path in ("", "/logs", "/events", "/steps"):
            problem(limited.get(f"/api/runs/{other.pk}{path}"), 404, "not_found")
        for act in ("cancel", "retry", "rerun"):
            problem(limited.post(f"/api/runs/{other.pk}/{act}", {}), 404, "not_found")
        other.refresh_from_db()
        assert other.status == "queued"

    def test_an_unknown_query_is_a_400_with_a_hint(self, program: Program) -> None:
        run = make_run()
        body = problem(program.get(f"/api/runs/{run.pk}", {"wiat": "5"}), 400, "invalid_query")
        assert "did you mean 'wait'?" in body["detail"]
        for value in ("x", "-1", "61", "1.5", ""):
            problem(program.get(f"/api/runs/{run.pk}", {"wait": value}), 400, "invalid_query")
        problem(program.get(f"/api/runs/{run.pk}?wait=1&wait=2"), 400, "invalid_query")

    def test_a_list_costs_the_same_number_of_queries_for_any_length(
        self, program: Program, django_assert_max_num_queries: Any
    ) -> None:
        for _ in range(12):
            make_run()
        program.get("/api/runs")
        with django_assert_max_num_queries(6):
            assert len(read(program.get("/api/runs"))["results"]) == 12


@pytest.mark.django_db
class TestLogs:
    @pytest.fixture
    def running(self) -> Run:
        run = make_run()
        claim = claim_one(make_slot())
        writer = LogWriter(run_id=run.pk, attempt=1, token=claim.token, mask=lambda text: text)
        for text in ("one", "two", "drei €"):
            writer.write(text)
            writer.flush()
        return run

    def test_lines_come_with_numbers_and_go_on_from_the_last(self, program: Program, running: Run) -> None:
        body = read(program.get(f"/api/runs/{running.pk}/logs", {"limit": 2}))
        assert [(line["seq"], line["text"]) for line in body["lines"]] == [(1, "one"), (2, "two")]
        assert (body["next"], body["complete"]) == (2, False)
        assert body["lines"][0]["at"].endswith("Z")
        body = read(program.get(f"/api/runs/{running.pk}/logs", {"after": body["next"]}))
        assert [line["text"] for line in body["lines"]] == ["drei €"]
        body = read(program.get(f"/api/runs/{running.pk}/logs", {"after": body["next"]}))
        assert (body["lines"], body["next"], body["complete"]) == ([], 3, False)

    def test_the_log_is_complete_when_the_run_has_ended_and_no_line_is_left(
        self, program: Program, running: Run
    ) -> None:
        lifecycle.settle(
            [
                (claim, Succeeded(result=None))
                for claim in [lifecycle.held(running.pk, token=Run.objects.get().claim_token or 0)]
                if claim
            ]
        )
        assert read(program.get(f"/api/runs/{running.pk}/logs", {"limit": 2}))["complete"] is False
        assert read(program.get(f"/api/runs/{running.pk}/logs", {"limit": 3}))["complete"] is True

    def test_accept_text_gives_the_plain_text(self, program: Program, running: Run) -> None:
        answer = program.get(f"/api/runs/{running.pk}/logs", Accept="text/plain")
        assert answer["Content-Type"].startswith("text/plain")
        lines = answer.content.decode().splitlines()
        assert [line.split(" ", 1)[1] for line in lines] == ["one", "two", "drei €"]
        rest = program.get(f"/api/runs/{running.pk}/logs", {"after": 2}, Accept="text/plain")
        assert rest.content.decode().splitlines() == lines[2:]

    def test_an_error_is_a_problem_whatever_was_accepted(self, program: Program) -> None:
        problem(program.get("/api/runs/1/logs", Accept="text/plain"), 404, "not_found")


@pytest.mark.django_db
class TestCancel:
    def test_a_queued_run_is_cancelled_at_once_and_says_by_whom(self, program: Program) -> None:
        run = make_run()
        body = read(program.post(f"/api/runs/{run.pk}/cancel"))
        assert body["status"] == "cancelled"
        assert body["cancelled_by"].startswith("API key ci-bot (hw_")
        (event,) = read(program.get(f"/api/runs/{run.pk}/events"))["results"]
        assert (event["kind"], event["actor"]) == ("cancel_requested", body["cancelled_by"])

    def test_a_running_one_is_asked_and_stays_running_until_its_work_has_stopped(
        self, program: Program
    ) -> None:
        run = make_run()
        claim = claim_one(make_slot())
        for _ in range(2):
            body = read(program.post(f"/api/runs/{run.pk}/cancel", {}), 202)
            assert body["status"] == "running"
            assert body["cancel_requested_at"]
        lifecycle.settle([(claim, Cancelled())])
        assert read(program.post(f"/api/runs/{run.pk}/cancel"))["status"] == "cancelled"

    def test_what_has_ended_otherwise_can_not_be_cancelled(self, program: Program) -> None:
        run = finish(make_run())
        assert "succeeded" in problem(program.post(f"/api/runs/{run.pk}/cancel"), 409, "refused")["detail"]

    def test_it_needs_the_scope_cancel(self, new_key: NewKey) -> None:
        run = make_run()
        problem(new_key(scopes=("read", "run")).post(f"/api/runs/{run.pk}/cancel"), 403, "permission_denied")
        read(new_key(scopes=("cancel",)).post(f"/api/runs/{run.pk}/cancel"))

    def test_a_body_with_anything_in_it_is_refused(self, program: Program) -> None:
        problem(program.post(f"/api/runs/{make_run().pk}/cancel", {"force": True}), 400, "invalid_body")


@pytest.mark.django_db
class TestAgain:
    def test_a_retry_is_a_new_manual_run_with_the_same_parameters(self, program: Program) -> None:
        run = finish(make_run(make_job(schema=SECRET), parameters={"word": "hunter22", "n": 1}, tags=("a",)))
        answer = program.post(f"/api/runs/{run.pk}/retry")
        body = read(answer, 202)
        assert (body["retry_of"], body["trigger"], body["tags"]) == (run.pk, "manual", ["a"])
        assert f"#{run.pk}" in body["cause"]
        assert "ci-bot" in body["cause"]
        assert Run.objects.get(pk=body["id"]).parameters == run.parameters

    def test_a_rerun_lays_the_given_parameters_over_its_own(self, program: Program) -> None:
        run = finish(make_run(make_job(schema=SECRET), parameters={"word": "hunter22", "n": 1}))
        shown = read(program.get(f"/api/runs/{run.pk}"))["parameters"]
        again = read(program.post(f"/api/runs/{run.pk}/rerun", {"parameters": {**shown, "n": 2}}), 202)
        assert Run.objects.get(pk=again["id"]).parameters == {"word": "hunter22", "n": 2}
        refused = program.post(f"/api/runs/{run.pk}/rerun", {"parameters": {"n": "x"}})
        assert problem(refused, 422, "invalid_parameters")["errors"][0]["pointer"] == "/parameters/n"

    def test_an_open_run_can_not_be_repeated(self, program: Program) -> None:
        run = make_run()
        for act in ("retry", "rerun"):
            assert (
                "queued" in problem(program.post(f"/api/runs/{run.pk}/{act}", {}), 409, "refused")["detail"]
            )

    def test_a_paused_job_refuses_it(self, program: Program) -> None:
        run = finish(make_run())
        pausing.pause(run.job, by="ada", reason="", until=None)
        problem(program.post(f"/api/runs/{run.pk}/retry"), 409, "job_paused")

    def test_a_person_needs_the_permission_to_retry(self, client: Any) -> None:
        run = finish(make_run())
        client.force_login(make_user())
        answer = client.post(f"/api/runs/{run.pk}/retry", content_type="application/json")
        problem(answer, 403, "permission_denied")

    def test_a_run_of_no_flow_has_no_steps(self, program: Program) -> None:
        assert read(program.get(f"/api/runs/{make_run().pk}/steps")) == {"steps": []}


class TestWaiting:
    @pytest.fixture
    def waiter(self, transactional_db: None) -> Program:
        return Program(text=keys.issue(name="waiter", owner=make_owner())[1])

    def test_an_answer_is_held_back_until_the_run_has_ended(self, waiter: Program) -> None:
        run = make_run()
        answers: list[Any] = []

        def wait() -> None:
            try:
                answers.append(json.loads(waiter.get(f"/api/runs/{run.pk}", {"wait": 30}).content))
            finally:
                connections.close_all()

        thread = Thread(target=wait)
        thread.start()
        finish(run)
        thread.join(timeout=30)
        assert answers[0]["status"] == "succeeded"

    def test_an_open_run_is_answered_as_it_is_when_the_time_is_over(self, waiter: Program) -> None:
        run = make_run()
        assert read(waiter.get(f"/api/runs/{run.pk}", {"wait": 1}))["status"] == "queued"

    def test_while_it_waits_it_holds_no_connection(
        self, waiter: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        held: list[bool] = []
        sleep = time.sleep

        def look(seconds: float) -> None:
            held.append(connection.connection is not None)
            sleep(seconds)

        monkeypatch.setattr("runs.api.waiting.time.sleep", look)
        read(waiter.get(f"/api/runs/{make_run().pk}", {"wait": 1}))
        assert held
        assert not any(held)

    def test_when_too_many_wait_the_answer_comes_at_once(
        self, waiter: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = make_run()
        seats = BoundedSemaphore(1)
        monkeypatch.setattr(waiting, "_seats", seats)
        with seats:
            answer = waiter.get(f"/api/runs/{run.pk}", {"wait": 60})
        assert read(answer)["status"] == "queued"
        assert answer["Retry-After"] == "1"
