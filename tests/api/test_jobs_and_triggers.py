"""runs.api.job_objects, runs.api.jobs, runs.api.triggers: what can be run, by what, and how that went."""

from typing import Any

import pytest
from django.utils import timezone

from jobs.executors import Failed, Succeeded
from runs import lifecycle, tallies
from runs.firing import fire_due
from tests.api.conftest import NewKey, Program, problem, read
from tests.factories import (
    claim_one,
    make_dependency,
    make_job,
    make_run,
    make_schedule,
    make_slot,
    make_user,
)
from triggers.models import Kind, Occurrence, Trigger

pytestmark = pytest.mark.django_db

SECRET = {"type": "object", "properties": {"word": {"type": "string", "format": "password"}}}


class TestJobs:
    def test_a_job_is_read_with_its_schema_and_policies(self, program: Program) -> None:
        job = make_job(schema=SECRET, defaults={"word": "hunter22"}, max_attempts=3, tags=["qa"])
        answer = program.get(f"/api/jobs/{job.slug}")
        body = read(answer)
        assert (body["slug"], body["schema"], body["max_attempts"], body["tags"]) == (
            job.slug,
            SECRET,
            3,
            ["qa"],
        )
        assert body["defaults"] == {"word": "••••••"}
        assert answer["ETag"] == f'"{body["version"]}"'
        job.name = "Other"
        job.save(update_fields=["name"])
        assert program.get(f"/api/jobs/{job.slug}")["ETag"] != answer["ETag"]

    def test_the_values_of_headers_and_environment_are_hidden(self, program: Program) -> None:
        configuration = {"argv": ["python"], "env": {"TOKEN": "hunter22"}}
        answer = program.get(f"/api/jobs/{make_job(configuration=configuration).slug}")
        assert read(answer)["configuration"] == {"argv": ["python"], "env": {"TOKEN": "••••••"}}

    def test_the_list_is_newest_first_and_filtered_by_status(self, program: Program) -> None:
        first, second = make_job(), make_job(status="inactive")
        both = [job["slug"] for job in read(program.get("/api/jobs"))["results"]]
        assert both == [second.slug, first.slug]
        active = read(program.get("/api/jobs", {"status": "active"}))["results"]
        assert [job["slug"] for job in active] == [first.slug]
        problem(program.get("/api/jobs", {"status": "gone"}), 400, "invalid_query")
        problem(program.get("/api/jobs", {"colour": "red"}), 400, "invalid_query")

    def test_jobs_off_the_keys_list_are_neither_listed_nor_found(self, new_key: NewKey) -> None:
        mine, other = make_job(), make_job()
        limited = new_key(jobs=(mine,))
        assert [job["slug"] for job in read(limited.get("/api/jobs"))["results"]] == [mine.slug]
        for path in ("", "/runs", "/stats", "/triggers", f"/triggers/{other.triggers.get().pk}"):
            problem(limited.get(f"/api/jobs/{other.slug}{path}"), 404, "not_found")
        problem(limited.get("/api/runs", {"job": other.slug}), 400, "invalid_query")

    def test_a_person_needs_the_permission_to_view_jobs(self, client: Any) -> None:
        client.force_login(make_user())
        problem(client.get("/api/jobs"), 403, "permission_denied")

    def test_its_runs_can_be_listed_and_filtered(self, program: Program) -> None:
        run = make_run()
        make_run()
        path = f"/api/jobs/{run.job.slug}/runs"
        assert [found["id"] for found in read(program.get(path))["results"]] == [run.pk]
        assert read(program.get(path, {"status": "failed"}))["results"] == []
        problem(program.get("/api/jobs/nothing/runs"), 404, "not_found")

    def test_its_stats_change_with_each_ending(self, program: Program) -> None:
        job = make_job()
        outcomes: list[Any] = [
            Succeeded(result=None),
            Failed(reason="error", type="E", message="", traceback=""),
        ]
        for outcome in outcomes:
            last = make_run(job)
            lifecycle.settle([(claim_one(make_slot()), outcome)])
        before = read(program.get(f"/api/jobs/{job.slug}/stats"))
        assert (before["run_count"], before["succeeded"], before["failed"]) == (2, 1, 1)
        assert (before["success_rate"], before["last_run_id"], before["last_run_status"]) == (
            0.5,
            last.pk,
            "failed",
        )
        tallies.fold()
        assert read(program.get(f"/api/jobs/{job.slug}/stats")) == before


class TestTriggers:
    def test_a_schedule_is_read_whole(self, program: Program) -> None:
        schedule = make_schedule(
            make_job(schema=SECRET), timezone="America/New_York", parameters={"word": "hunter22"}
        )
        fire_due(timezone.now())
        answer = program.get(f"/api/jobs/{schedule.job.slug}/triggers/{schedule.pk}")
        body = read(answer)
        assert (body["kind"], body["cron"], body["timezone"]) == ("schedule", "0 2 * * *", "America/New_York")
        assert (body["misfire"], body["overlap"], body["enabled"]) == ("run_once", "skip", True)
        assert body["next_run_at"].endswith("Z")
        assert body["parameters"] == {"word": "••••••"}
        assert body["public_id"] == str(schedule.public_id)
        assert (body["fired_count"], body["last_fired_at"], body["success_rate"]) == (0, None, None)
        assert answer["ETag"]

    def test_every_job_has_its_remote_trigger_in_the_list(self, program: Program) -> None:
        schedule = make_schedule()
        found = read(program.get(f"/api/jobs/{schedule.job.slug}/triggers"))["results"]
        assert [trigger["kind"] for trigger in found] == ["schedule", "remote"]
        assert (found[1]["cron"], found[1]["misfire"]) == (None, None)

    def test_its_use_is_counted_before_and_after_the_fold(self, program: Program) -> None:
        job = make_job()
        program.post(f"/api/jobs/{job.slug}/trigger", {})
        lifecycle.settle([(claim_one(make_slot()), Succeeded(result=None))])
        path = f"/api/jobs/{job.slug}/triggers/{job.triggers.get().pk}"
        before = read(program.get(path))
        assert (before["fired_count"], before["success_rate"]) == (1, 1.0)
        assert before["last_fired_at"]
        tallies.fold()
        assert read(program.get(path)) == before

    def test_a_trigger_of_another_job_is_a_404(self, program: Program) -> None:
        one, other = make_job(), make_job()
        problem(program.get(f"/api/jobs/{one.slug}/triggers/{other.triggers.get().pk}"), 404, "not_found")
        problem(program.get(f"/api/jobs/{one.slug}/triggers/{'9' * 30}"), 404, "not_found")

    def test_the_history_of_a_schedule_is_its_ledger(self, program: Program) -> None:
        schedule = make_schedule()
        Trigger.objects.filter(pk=schedule.pk).update(next_run_at=timezone.now(), next_slot=timezone.now())
        fire_due(timezone.now())
        Occurrence.objects.create(
            trigger=schedule,
            slot=timezone.now(),
            outcome=Occurrence.Outcome.SKIPPED,
            reason="The job is paused.",
        )
        path = f"/api/jobs/{schedule.job.slug}/triggers/{schedule.pk}/history"
        skipped, fired = read(program.get(path))["results"]
        assert (skipped["outcome"], skipped["reason"], skipped["run"]) == (
            "skipped",
            "The job is paused.",
            None,
        )
        assert (fired["outcome"], fired["run_status"]) == ("fired", "queued")
        assert fired["run_name"].startswith("scheduled_")
        assert (fired["late_seconds"] >= 0, fired["run_wait_seconds"]) == (True, None)
        for outcome, entries in (("fired", [fired]), ("skipped", [skipped]), ("missed", [])):
            assert read(program.get(path, {"outcome": outcome}))["results"] == entries
        assert (
            "expected one of fired"
            in problem(program.get(path, {"outcome": "lost"}), 400, "invalid_query")["detail"]
        )

    def test_the_history_of_a_remote_trigger_are_its_runs(self, program: Program) -> None:
        job = make_job()
        runs = [read(program.post(f"/api/jobs/{job.slug}/trigger", {}), 202)["id"] for _ in range(3)]
        path = f"/api/jobs/{job.slug}/triggers/{job.triggers.get(kind=Kind.REMOTE).pk}/history"
        page = read(program.get(path, {"limit": 2}))
        assert [entry["run"] for entry in page["results"]] == runs[:0:-1]
        assert [entry["run"] for entry in read(program.get(page["next"]))["results"]] == runs[:1]
        assert len(read(program.get(path, {"outcome": "fired"}))["results"]) == 3
        assert read(program.get(path, {"outcome": "skipped"}))["results"] == []


class TestPreview:
    def test_new_york_at_two_is_what_the_decision_says(self, program: Program) -> None:
        query = {
            "cron": "0 2 * * *",
            "timezone": "America/New_York",
            "count": 1,
            "from": "2024-01-20T04:00:00Z",
        }
        body = read(program.get("/api/schedule/preview", query))
        assert body.keys() == {"timezone", "description", "requirement", "next_runs", "warnings"}
        (slot,) = body["next_runs"]
        assert (body["requirement"], slot["viewer"], slot["waits_until"]) == ("", None, None)
        assert slot["timestamp"] == 1705734000
        assert (slot["utc"], slot["local"]) == ("2024-01-20T07:00:00Z", "2024-01-20T02:00:00-05:00")

    def test_a_body_does_the_same_with_a_job_and_without(self, program: Program) -> None:
        body = {
            "cron": "*/15 * * * *",
            "timezone": "Europe/Berlin",
            "count": 200,
            "from": "2024-03-30T00:00:00Z",
        }
        job = make_job()
        answers = [
            read(program.post(path, body))
            for path in ("/api/schedule/preview", f"/api/jobs/{job.slug}/triggers/schedule/preview")
        ]
        assert answers[0] == answers[1]
        assert len(answers[0]["next_runs"]) == 200
        by_query = read(program.get(f"/api/jobs/{job.slug}/triggers/schedule/preview", body))
        assert by_query == answers[0]

    def test_what_the_clock_change_does_is_said(self, program: Program) -> None:
        query = {
            "cron": "30 2 * * *",
            "timezone": "Europe/Berlin",
            "from": "2024-03-30T12:00:00Z",
            "count": 1,
        }
        body = read(program.get("/api/schedule/preview", query))
        assert "skipped by the clock" in body["next_runs"][0]["note"]
        assert any(warning["code"] == "clock_forward" for warning in body["warnings"])

    def test_what_it_would_need_and_until_when_it_waits_is_said(self, program: Program) -> None:
        load, report = make_job(slug="load"), make_job(slug="report")
        asked = {
            "cron": "30 8 * * *", "timezone": "Europe/Berlin", "from": "2026-06-01T00:00:00Z", "count": 1,
            "upstream": "load", "wait_until": "10:00", "otherwise": "run", "viewer_timezone": "America/New_York",
        }  # fmt: skip
        path = f"/api/jobs/{report.slug}/triggers/schedule/preview"
        body = read(program.get(path, asked))
        assert body == read(program.post(path, asked))
        needs = "only if load succeeded the same day; waits until 10:00, then runs anyway"
        assert (body["description"], body["requirement"]) == (f"Daily at 8:30 AM, {needs}", needs)
        (slot,) = body["next_runs"]
        assert (slot["utc"], slot["waits_until"]) == ("2026-06-01T06:30:00Z", "2026-06-01T08:00:00Z")
        assert slot["viewer"] == "2026-06-01T02:30:00-04:00"
        saved = make_schedule(report, cron="0 9 * * *", timezone="Europe/Berlin")
        warned = read(program.get(path, {**asked, "trigger": saved.pk}))["warnings"]
        assert (warned[0]["code"], "the next run moves from" in warned[0]["message"]) == ("changed", True)
        make_dependency(load, job=report)
        refused = problem(program.post(path, {**asked, "upstream": "report"}), 400, "invalid_body")
        assert refused["errors"][0]["code"] == "circular_dependency"
        later = f"/api/jobs/{load.slug}/triggers/schedule/preview"
        (fault,) = problem(
            program.post(later, {"cron": "@daily", "upstream": "report"}), 400, "invalid_body"
        )["errors"]
        assert (fault["pointer"], fault["detail"]) == (
            "/upstream",
            "'load' can't need 'report', which comes after it.",
        )

    @pytest.mark.parametrize(
        ("changed", "pointer"),
        [
            ({"cron": "61 * * * *"}, "/cron"),
            ({"upstream": "nowhere"}, "/upstream"),
            ({"wait_until": "25:00"}, "/wait_until"),
            ({"wait_until": "10:00"}, "/wait_until"),
            ({"otherwise": "run"}, "/otherwise"),
            ({"condition": "on_failure"}, "/condition"),
            ({"otherwise": "maybe"}, "/otherwise"),
            ({"wait_minutes": "long"}, "/wait_minutes"),
            ({"viewer_timezone": "Mars/Phobos"}, "/viewer_timezone"),
            ({"trigger": 1}, "/trigger"),
            ({"cron": "0 0 31 2 *"}, "/cron"),
            ({"cron": "x" * 5000}, "/cron"),
            ({"timezone": "Mars/Phobos"}, "/timezone"),
            ({"count": 0}, "/count"),
            ({"count": 201}, "/count"),
            ({"count": "many"}, "/count"),
            ({"from": "soon"}, "/from"),
            ({"from": "1066-10-14T00:00:00Z"}, "/from"),
            ({"when": "now"}, "/when"),
            ({"starts_at": "soon"}, "/starts_at"),
            ({"starts_at": "8000-01-01T00:00:00Z"}, "/starts_at"),
            ({"starts_at": "2027-01-01T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"}, "/ends_at"),
            ({"jitter_seconds": 90_000}, "/jitter_seconds"),
            ({"misfire": "maybe"}, "/misfire"),
            ({"misfire_deadline_seconds": 5}, "/misfire_deadline_seconds"),
            ({"overlap": "later"}, "/overlap"),
        ],
    )
    def test_what_is_wrong_is_a_400_that_names_it(
        self, program: Program, changed: dict[str, Any], pointer: str
    ) -> None:
        asked = {"cron": "0 2 * * *", **changed}
        by_query = problem(program.get("/api/schedule/preview", asked), 400, "invalid_query")
        by_body = problem(program.post("/api/schedule/preview", asked), 400, "invalid_body")
        assert by_query["errors"][0]["pointer"] == by_body["errors"][0]["pointer"] == pointer

    def test_all_that_is_wrong_is_told_at_once(self, program: Program) -> None:
        asked = {"cron": "61 * * * *", "timezone": "Mars/Phobos", "calendars": "Year", "upstream": "nowhere"}
        refused = problem(program.post("/api/schedule/preview", asked), 400, "invalid_body")
        pointers = {error["pointer"] for error in refused["errors"]}
        assert pointers == {"/cron", "/timezone", "/calendars", "/upstream"}

    def test_the_start_may_be_a_slot_and_after_the_end_none_comes(self, program: Program) -> None:
        asked = {
            "cron": "0 2 * * *", "from": "2026-01-01T00:00:00Z", "count": 9,
            "starts_at": "2026-01-05T02:00:00Z", "ends_at": "2026-01-07T02:00:00Z",
        }  # fmt: skip
        body = read(program.get("/api/schedule/preview", asked))
        assert [slot["utc"] for slot in body["next_runs"]] == [
            f"2026-01-0{day}T02:00:00Z" for day in (5, 6, 7)
        ]
        over = read(program.post("/api/schedule/preview", {**asked, "from": "2026-02-01T00:00:00Z"}))
        assert over["next_runs"] == []

    def test_what_is_not_given_is_as_the_saved_schedule_has_it(self, program: Program) -> None:
        saved = make_schedule(
            cron="0 2 * * *", timezone="Asia/Tokyo", ends_at="2026-01-03T00:00Z", overlap="queue"
        )
        path = f"/api/jobs/{saved.job.slug}/triggers/schedule/preview"
        asked = {"cron": "0 2 * * *", "trigger": saved.pk, "from": "2026-01-01T00:00:00Z"}
        same = read(program.post(path, asked))
        assert (same["timezone"], len(same["next_runs"]), same["warnings"]) == ("Asia/Tokyo", 2, [])
        other = read(program.post(path, {**asked, "ends_at": None, "overlap": "allow", "jitter_seconds": 60}))
        assert [warning["message"] for warning in other["warnings"]] == [
            "Saved is 'Daily at 2:00 AM' in Asia/Tokyo until 2026-01-03 09:00: the next run stays the same, and 3 of "
            "the next 5 slots are new.",
            "Its overlap policy would change from 'queue' to 'allow'.",
            "Its jitter in seconds would change from 0 to 60.",
        ]

    def test_a_cron_text_is_needed(self, program: Program) -> None:
        problem(program.get("/api/schedule/preview"), 400, "invalid_query")

    def test_an_unknown_job_is_a_404(self, program: Program) -> None:
        problem(
            program.get("/api/jobs/nothing/triggers/schedule/preview", {"cron": "0 2 * * *"}),
            404,
            "not_found",
        )

    def test_reading_is_enough_for_a_preview_by_post(self, new_key: NewKey) -> None:
        read(new_key(scopes=("read",)).post("/api/schedule/preview", {"cron": "@daily"}))
