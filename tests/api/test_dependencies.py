"""runs.api.dependencies and runs.api.completion: who follows whom, and what a reported end starts."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs import wire
from jobs.models import Job
from runs import firing
from runs.models import Run
from tests.api.conftest import NewKey, Program, problem, read
from tests.factories import claim_one, make_dependency, make_job, make_run, make_schedule, make_slot
from tests.runs.endings import cancel_queued, ended_run
from triggers import pausing, requirements
from triggers.models import Trigger

pytestmark = pytest.mark.django_db


@pytest.fixture
def chain() -> None:
    a, b, c, d = (make_job(slug=slug) for slug in "abcd")
    make_dependency(a, job=b)
    make_dependency(b, job=c, delay_minutes=5, condition="on_completion", name="later")
    make_dependency(a, job=d, enabled=False)
    make_job(slug="alone")


def slot_that_waits(job: Job, upstreams: list[Job], slot: datetime, *, needs: str = "any") -> Trigger:
    """A schedule whose slot has come and that waits an hour for `upstreams`."""
    trigger = make_schedule(
        job=job, cron="0 0 1 1 *", since="window", wait_minutes=60, condition="on_success", needs=needs
    )
    requirements.save(trigger, upstreams=upstreams)
    Trigger.objects.filter(pk=trigger.pk).update(next_slot=slot, next_run_at=slot)
    return trigger


@pytest.mark.usefixtures("chain")
class TestGraph:
    def test_available_are_those_that_keep_it_acyclic(self, program: Program) -> None:
        def available(slug: str) -> set[str]:
            found = read(program.get("/api/jobs/available-upstream", {"for": slug}))["results"]
            return {job["slug"] for job in found}

        assert available("a") == {"alone"}
        assert available("b") == {"a", "d", "alone"}
        assert available("alone") == {"a", "b", "c", "d"}

    def test_for_whom_must_be_said_and_be_there(self, program: Program) -> None:
        problem(program.get("/api/jobs/available-upstream"), 400, "invalid_query")
        problem(program.get("/api/jobs/available-upstream", {"for": "nothing"}), 400, "invalid_query")

    def test_an_edge_is_judged_without_being_made(self, program: Program) -> None:
        good = read(program.post("/api/jobs/alone/triggers/validate-dependency", {"upstream": "c"}))
        assert good == {"valid": True, "message": "'alone' may follow 'c'."}
        bad = read(program.post("/api/jobs/a/triggers/validate-dependency", {"upstream": "c"}))
        assert (bad["valid"], bad["chain"]) == (False, ["a", "b", "c", "a"])
        assert "a → b → c → a" in bad["error"]
        answer = program.post("/api/jobs/a/triggers/validate-dependency", {"upstream": "nothing"})
        problem(answer, 404, "not_found")
        problem(program.post("/api/jobs/a/triggers/validate-dependency", {}), 400, "invalid_body")

    def test_the_graph_around_a_job_has_nodes_and_edges(self, program: Program) -> None:
        body = read(program.get("/api/jobs/b/triggers/dependencies"))
        assert (body["upstream"], body["downstream"]) == (["a"], ["c"])
        assert [node["job"] for node in body["nodes"]] == ["a", "b", "c"]
        edge = body["edges"][1]
        assert (edge["upstream"], edge["downstream"], edge["condition"]) == ("b", "c", "on_completion")
        assert (edge["delay_minutes"], edge["name"], edge["enabled"]) == (5, "later", True)
        alone = read(program.get("/api/jobs/alone/triggers/dependencies"))
        assert ([node["job"] for node in alone["nodes"]], alone["edges"]) == (["alone"], [])

    def test_it_says_what_would_follow_if_that_is_asked(self, program: Program) -> None:
        path = "/api/jobs/b/triggers/dependencies"
        assert read(program.get(path))["prospects"] is None
        (later,) = read(program.get(path, {"ended": "failed"}))["prospects"]
        assert (later["job"], later["would_start"], later["reason"]) == ("c", True, "")
        assert later["at"] > "2026"
        first, off = read(program.get("/api/jobs/a/triggers/dependencies", {"ended": "cancelled"}))[
            "prospects"
        ]
        assert (off["job"], off["reason"]) == ("d", "The trigger is disabled.")
        assert (first["would_start"], first["at"]) == (False, None)
        assert "Its condition is on_success" in first["reason"]
        problem(program.get(path, {"ended": "maybe"}), 400, "invalid_query")

    def test_a_key_sees_its_own_jobs_only(self, new_key: NewKey) -> None:
        limited = new_key(jobs=tuple(Job.objects.filter(slug__in="ab")))
        body = read(limited.get("/api/jobs/b/triggers/dependencies"))
        assert ([node["job"] for node in body["nodes"]], body["downstream"]) == (["a", "b"], [])
        assert read(limited.get("/api/jobs/b/triggers/dependencies", {"ended": "failed"}))["prospects"] == []
        found = read(limited.get("/api/jobs/available-upstream", {"for": "b"}))["results"]
        assert [job["slug"] for job in found] == ["a"]

    def test_a_node_says_how_its_last_run_ended(self, program: Program) -> None:
        run = ended_run(Job.objects.get(slug="a"))
        node = read(program.get("/api/jobs/a/triggers/dependencies"))["nodes"][0]
        assert (node["last_run_id"], node["last_run_status"]) == (run.pk, "succeeded")


class TestComplete:
    @pytest.mark.parametrize("word", ["succeeded", "completed", "finished", "success"])
    def test_the_documents_words_are_understood(self, program: Program, word: str) -> None:
        run = make_run()
        body = read(program.post(f"/api/runs/{run.pk}/complete", {"status": word, "result": {"rows": 3}}))
        assert body == {
            "run": run.pk,
            "status": "succeeded",
            "triggeredCount": 0,
            "triggered": [],
            "skipped": [],
        }
        assert read(program.get(f"/api/runs/{run.pk}"))["result"] == {"rows": 3}

    def test_it_tells_what_follows_and_what_does_not(self, program: Program) -> None:
        ingest = make_job(slug="ingest")
        for condition in ("on_success", "on_failure", "on_completion"):
            make_dependency(ingest, job=make_job(slug=condition.replace("_", "-")), condition=condition)
        run = make_run(ingest)
        body = read(program.post(f"/api/runs/{run.name}/complete", {"status": "completed"}))
        assert body["triggeredCount"] == 2
        assert [(each["job"], each["condition"]) for each in body["triggered"]] == [
            ("on-success", "on_success"),
            ("on-completion", "on_completion"),
        ]
        assert {each["run"] for each in body["triggered"]} == set(
            Run.objects.filter(parent=run).values_list("pk", flat=True)
        )
        (skipped,) = body["skipped"]
        assert (skipped["job"], skipped["run"]) == ("on-failure", None)
        assert "on_failure" in skipped["reason"]

    def test_it_names_the_slot_that_had_waited_and_what_other_slots_still_wait_for(
        self, program: Program
    ) -> None:
        load, other, report = make_job(slug="load"), make_job(slug="other"), make_job(slug="report")
        slot = timezone.now().replace(second=0, microsecond=0)
        released = slot_that_waits(report, [load], slot)
        waits = slot_that_waits(make_job(slug="both"), [load, other], slot, needs="all")
        paused = slot_that_waits(make_job(slug="paused"), [load], slot)
        firing.fire_due(timezone.now())
        pausing.pause(paused, by="ada", reason="stocktaking")
        body = read(program.post(f"/api/runs/{make_run(load).pk}/complete", {"status": "succeeded"}))
        run = Run.objects.get(trigger=released)
        assert body["triggeredCount"] == 1
        assert body["triggered"] == [
            {
                "job": "report",
                "run": run.pk,
                "trigger": released.pk,
                "condition": "on_success",
                "slot": wire.instant_text(slot),
            }
        ]
        assert [(each["job"], each["trigger"], each["run"]) for each in body["skipped"]] == [
            ("both", waits.pk, None),
            ("paused", paused.pk, None),
        ]
        assert body["skipped"][0]["reason"].endswith("for other.")
        assert "paused by ada: stocktaking" in body["skipped"][1]["reason"]

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            ("no answer", {"type": "Reported", "message": "no answer", "traceback": ""}),
            ({"type": "Timeout", "message": "x"}, {"type": "Timeout", "message": "x", "traceback": ""}),
            (None, {"type": "Reported", "message": "", "traceback": ""}),
        ],
    )
    def test_a_failure_keeps_what_was_reported(self, program: Program, error: Any, expected: Any) -> None:
        run = make_run()
        read(program.post(f"/api/runs/{run.pk}/complete", {"status": "failed", "error": error}))
        told = read(program.get(f"/api/runs/{run.pk}"))
        assert (told["status"], told["failure_reason"], told["error"]) == ("failed", "error", expected)

    def test_what_a_failed_run_came_to_is_kept_and_can_be_passed_on(self, program: Program) -> None:
        ingest, alert = (
            make_job(slug="ingest"),
            make_job(schema={"type": "object", "properties": {"rows": {"type": "integer"}}}),
        )
        make_dependency(ingest, job=alert, condition="on_failure", mapping={"rows": "/result/rows"})
        run = make_run(ingest)
        reported = {"status": "failed", "error": "half of it", "result": {"rows": 7}}
        (started,) = read(program.post(f"/api/runs/{run.pk}/complete", reported))["triggered"]
        assert read(program.get(f"/api/runs/{run.pk}"))["result"] == {"rows": 7}
        assert read(program.get(f"/api/runs/{started['run']}"))["parameters"] == {"rows": 7}

    def test_a_running_one_can_be_completed_and_an_ended_one_not(self, program: Program) -> None:
        run = make_run()
        claim_one(make_slot())
        read(program.post(f"/api/runs/{run.pk}/complete", {"status": "succeeded"}))
        again = program.post(f"/api/runs/{run.pk}/complete", {"status": "failed"})
        assert "is succeeded" in problem(again, 409, "refused")["detail"]
        cancelled = make_run()
        cancel_queued(cancelled)
        problem(program.post(f"/api/runs/{cancelled.pk}/complete", {"status": "failed"}), 409, "refused")
        later = make_run(run_at=timezone.now() + timedelta(hours=1))
        problem(program.post(f"/api/runs/{later.pk}/complete", {"status": "failed"}), 409, "refused")

    @pytest.mark.parametrize(
        "body",
        [
            {}, {"status": "running"}, {"status": "cancelled"}, {"status": 1}, {"status": "failed", "error": 5},
            {"status": "succeeded", "result": "x" * 300_000}, {"status": "succeeded", "why": "x"},
        ],
    )  # fmt: skip
    def test_what_cannot_be_reported_is_a_400(self, program: Program, body: dict[str, Any]) -> None:
        run = make_run()
        problem(program.post(f"/api/runs/{run.pk}/complete", body), 400, "invalid_body")
        assert Run.objects.get(pk=run.pk).status == "queued"

    def test_the_key_must_see_the_run_and_may_launch(self, new_key: NewKey) -> None:
        run = make_run()
        path, body = f"/api/runs/{run.pk}/complete", {"status": "succeeded"}
        problem(new_key(jobs=(make_job(),)).post(path, body), 404, "not_found")
        problem(new_key(scopes=("read",)).post(path, body), 403, "permission_denied")

    def test_dependents_that_the_key_may_not_see_are_not_told(self, new_key: NewKey) -> None:
        ingest = make_job()
        make_dependency(ingest)
        run = make_run(ingest)
        body = read(new_key(jobs=(ingest,)).post(f"/api/runs/{run.pk}/complete", {"status": "succeeded"}))
        assert body["triggeredCount"] == 0
        assert Run.objects.filter(parent=run).exists()
