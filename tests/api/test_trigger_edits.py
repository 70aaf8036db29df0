"""runs.api.trigger_edits: triggers are made, changed, switched, fired and removed, and lost races are told."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.http import HttpResponse
from django.utils import timezone

from runs import followers
from runs.firing import fire_due
from runs.models import Run
from tests.api.conftest import NewKey, Program, problem, read
from tests.factories import make_dependency, make_job, make_schedule, make_user
from tests.runs.endings import ended_run, settle_failed
from triggers.models import Kind, Trigger

pytestmark = pytest.mark.django_db

SECRET = {
    "type": "object",
    "properties": {"word": {"type": "string", "format": "password"}, "n": {"type": "integer"}},
}
NEW_YORK = {"kind": "schedule", "name": "nightly", "cron": "0 2 * * *", "timezone": "America/New_York"}


def send(program: Program, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
    data = b"" if body is None else json.dumps(body).encode()
    return program.call(method, path, data=data, content_type="application/json", headers=headers)


def address(trigger: Trigger) -> str:
    return f"/api/jobs/{trigger.job.slug}/triggers/{trigger.pk}"


class TestMaking:
    def test_a_schedule_is_made_and_planned(self, program: Program) -> None:
        job = make_job()
        answer = program.post(f"/api/jobs/{job.slug}/triggers", NEW_YORK)
        body = read(answer, 201)
        assert answer["Location"].endswith(f"/api/jobs/{job.slug}/triggers/{body['id']}")
        assert answer["ETag"] == '"1"'
        assert (body["cron"], body["timezone"], body["misfire"]) == (
            "0 2 * * *",
            "America/New_York",
            "run_once",
        )
        fire_due(timezone.now())
        assert read(program.get(answer["Location"]))["next_run_at"] == body["next_run_at"] is not None

    def test_a_dependency_is_made_with_all_it_has(self, program: Program) -> None:
        upstream, job = make_job(), make_job()
        body = {
            "kind": "dependency", "name": "after", "upstream": upstream.slug, "condition": "on_failure",
            "delay_minutes": 5, "mapping": {}, "priority": "immediate",
        }  # fmt: skip
        made = read(program.post(f"/api/jobs/{job.slug}/triggers", body), 201)
        assert {**made, **body, "priority": 1} == made
        assert made["upstreams"] == [upstream.slug]
        assert list(Trigger.objects.get(pk=made["id"]).upstreams.all()) == [upstream]

    def test_a_schedule_that_needs_another_job_is_made_written_back_and_freed(self, program: Program) -> None:
        load, job = make_job(), make_job()
        body = {**NEW_YORK, "upstream": load.slug, "wait_until": "10:00", "since": "day"}
        made = read(program.post(f"/api/jobs/{job.slug}/triggers", body), 201)
        assert {**made, **body} == made
        assert (made["condition"], made["needs"], made["wait_minutes"]) == ("on_success", "any", None)
        path = f"/api/jobs/{job.slug}/triggers/{made['id']}"
        written = read(send(program, "PUT", path, read(program.get(path))))
        assert (written["upstream"], written["wait_until"]) == (load.slug, "10:00")
        changed = read(send(program, "PATCH", path, {"wait_until": None, "wait_minutes": 90}))
        assert (changed["upstreams"], changed["wait_minutes"]) == ([load.slug], 90)
        back = {"kind": "dependency", "upstream": job.slug}
        refused = problem(program.post(f"/api/jobs/{load.slug}/triggers", back), 400, "circular_dependency")
        assert refused["chain"][0] == refused["chain"][-1]
        assert read(send(program, "PATCH", path, {"otherwise": "run"}))["otherwise"] == "run"
        hollow = problem(send(program, "PATCH", path, {"wait_minutes": None}), 400, "invalid_body")
        assert hollow["errors"][0]["pointer"] == "/otherwise"
        wrong = send(program, "PATCH", path, {"wait_until": "25:00"})
        assert problem(wrong, 400, "invalid_body")["errors"][0]["pointer"] == "/wait_until"
        freed = read(send(program, "PATCH", path, {"upstream": []}))
        assert (freed["upstreams"], freed["condition"], freed["wait_minutes"]) == ([], None, None)
        assert freed["otherwise"] == "skip"

    def test_several_upstreams_are_a_list(self, program: Program) -> None:
        one, two = make_job(), make_job()
        body = {"kind": "dependency", "upstream": [one.slug, two.slug], "needs": "all", "window_minutes": 60}
        made = read(program.post(f"/api/jobs/{make_job().slug}/triggers", body), 201)
        assert (made["upstream"], made["needs"], made["window_minutes"]) == (
            sorted([one.slug, two.slug]),
            "all",
            60,
        )
        assert made["condition"] == "on_success"

    @pytest.mark.parametrize(
        ("changed", "pointer"),
        [
            ({"cron": "61 * * * *"}, "/cron"),
            ({"cron": ""}, "/cron"),
            ({"cron": 5}, "/cron"),
            ({"timezone": "Mars/Phobos"}, "/timezone"),
            ({"misfire": "maybe"}, "/misfire"),
            ({"misfire_deadline_seconds": 59}, "/misfire_deadline_seconds"),
            ({"jitter_seconds": -1}, "/jitter_seconds"),
            ({"starts_at": "soon"}, "/starts_at"),
            ({"starts_at": "2026-02-01T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"}, "/ends_at"),
            ({"priority": 101}, "/priority"),
            ({"name": "x" * 201}, "/name"),
            ({"upstream": 5}, "/upstream"),
            ({"delay_minutes": 5}, "/delay_minutes"),
            ({"wait_minutes": 0}, "/wait_minutes"),
            ({"wait_minutes": 5}, "/wait_minutes"),
            ({"wait_until": "10:00"}, "/wait_until"),
            ({"otherwise": "run"}, "/otherwise"),
            ({"otherwise": "maybe"}, "/otherwise"),
            ({"colour": "red"}, "/colour"),
            ({"kind": "remote"}, "/kind"),
            ({"kind": "manual"}, "/kind"),
            ({"enabled": "yes"}, "/enabled"),
        ],
    )
    def test_what_is_wrong_is_a_400_that_names_it(
        self, program: Program, changed: dict[str, Any], pointer: str
    ) -> None:
        job = make_job()
        told = problem(
            program.post(f"/api/jobs/{job.slug}/triggers", NEW_YORK | changed), 400, "invalid_body"
        )
        assert pointer in [error["pointer"] for error in told["errors"]]
        assert job.triggers.count() == 1

    @pytest.mark.parametrize(
        ("changed", "pointer"),
        [
            ({"condition": "on_monday"}, "/condition"),
            ({"delay_minutes": 61}, "/delay_minutes"),
            ({"delay_minutes": 1.5}, "/delay_minutes"),
            ({"mapping": {"n": "result"}}, "/mapping"),
            ({"mapping": {"n": 5}}, "/mapping/n"),
            ({"upstream": []}, "/upstream"),
            ({"cron": "* * * * *"}, "/cron"),
        ],
    )
    def test_so_is_what_is_wrong_with_a_dependency(
        self, program: Program, changed: dict[str, Any], pointer: str
    ) -> None:
        body = {"kind": "dependency", "upstream": make_job().slug, **changed}
        told = problem(program.post(f"/api/jobs/{make_job().slug}/triggers", body), 400, "invalid_body")
        assert [error["pointer"] for error in told["errors"]] == [pointer]

    def test_parameters_that_no_run_could_have_are_a_422(self, program: Program) -> None:
        job = make_job(schema=SECRET)
        answer = program.post(f"/api/jobs/{job.slug}/triggers", NEW_YORK | {"parameters": {"n": "many"}})
        assert problem(answer, 422, "invalid_parameters")["errors"][0]["pointer"] == "/parameters/n"

    def test_a_circle_is_a_400_with_the_chain(self, program: Program) -> None:
        a, b, c = (make_job(slug=slug) for slug in "abc")
        make_dependency(a, job=b)
        make_dependency(b, job=c)
        answer = program.post("/api/jobs/a/triggers", {"kind": "dependency", "upstream": "c"})
        told = problem(answer, 400, "circular_dependency")
        assert told["chain"] == ["a", "b", "c", "a"]
        assert "a → b → c → a" in told["detail"]

    def test_a_chain_does_not_name_jobs_that_the_key_may_not_see(self, new_key: NewKey) -> None:
        a, hidden, c = (make_job(slug=slug) for slug in ("a", "hidden", "c"))
        make_dependency(a, job=hidden)
        make_dependency(hidden, job=c)
        answer = new_key(jobs=(a, c)).post("/api/jobs/a/triggers", {"kind": "dependency", "upstream": "c"})
        assert problem(answer, 400, "circular_dependency")["chain"] == ["a", "…", "c", "a"]
        assert "hidden" not in answer.content.decode()

    def test_an_upstream_that_is_not_there_or_not_to_be_seen_is_a_404(self, new_key: NewKey) -> None:
        job, other = make_job(), make_job()
        for slug in (other.slug, "nothing"):
            body = {"kind": "dependency", "upstream": slug}
            told = problem(
                new_key(jobs=(job,)).post(f"/api/jobs/{job.slug}/triggers", body), 404, "not_found"
            )
            assert slug in told["detail"]

    def test_reading_is_not_enough(self, new_key: NewKey) -> None:
        answer = new_key(scopes=("read", "run")).post(f"/api/jobs/{make_job().slug}/triggers", NEW_YORK)
        problem(answer, 403, "permission_denied")

    def test_a_person_needs_the_permission_of_the_act(self, client: Any) -> None:
        trigger = make_schedule()
        person = make_user()
        client.force_login(person)
        codenames = {"PATCH": "change_trigger", "DELETE": "delete_trigger"}
        for method, codename in codenames.items():
            options: dict[str, Any] = {"data": "{}", "content_type": "application/json"}
            problem(client.generic(method, address(trigger), **options), 403, "permission_denied")
            person.user_permissions.add(Permission.objects.get(codename=codename))
            assert client.generic(method, address(trigger), **options).status_code in (200, 204)


class TestChanging:
    def test_a_patch_changes_what_it_names(self, program: Program) -> None:
        trigger = make_schedule(timezone="Europe/Berlin")
        answer = send(program, "PATCH", address(trigger), {"cron": "0 3 * * *"})
        body = read(answer)
        assert (body["cron"], body["timezone"], body["name"]) == ("0 3 * * *", "Europe/Berlin", "nightly")
        assert answer["ETag"] == '"2"'

    def test_a_put_writes_it_whole(self, program: Program) -> None:
        trigger = make_schedule(timezone="Europe/Berlin", overlap="queue")
        body = read(send(program, "PUT", address(trigger), {"cron": "0 3 * * *"}))
        assert (body["timezone"], body["overlap"], body["name"]) == ("UTC", "skip", "")

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_what_was_read_can_be_sent_back(self, program: Program, method: str) -> None:
        job = make_job(schema=SECRET)
        triggers = [
            make_schedule(job, parameters={"word": "hunter22"}),
            make_dependency(job=job, mapping={"n": "/run"}),
            job.triggers.get(kind=Kind.REMOTE),
        ]
        for trigger in triggers:
            before = read(program.get(address(trigger)))
            sent = {**before, "name": before["name"] or "x"}
            after = read(send(program, method, address(trigger), sent))
            assert {**after, "updated_at": None} == {**sent, "updated_at": None}
        triggers[0].refresh_from_db()
        assert triggers[0].parameters == {"word": "hunter22"}

    def test_the_upstreams_can_be_changed_and_stay_otherwise(self, program: Program) -> None:
        trigger = make_dependency(make_job(slug="one"))
        make_job(slug="two")
        assert read(send(program, "PATCH", address(trigger), {"upstream": "two"}))["upstream"] == "two"
        body = read(send(program, "PATCH", address(trigger), {"delay_minutes": 7}))
        assert (body["upstream"], body["delay_minutes"]) == ("two", 7)

    def test_a_lost_race_is_a_412(self, program: Program) -> None:
        trigger = make_schedule()
        tag = program.get(address(trigger))["ETag"]
        read(send(program, "PATCH", address(trigger), {"name": "first"}, **{"If-Match": tag}))
        second = send(program, "PATCH", address(trigger), {"name": "second"}, **{"If-Match": tag})
        assert "somebody changed it" in problem(second, 412, "precondition_failed")["detail"]
        problem(send(program, "DELETE", address(trigger), **{"If-Match": tag}), 412, "precondition_failed")
        read(send(program, "PATCH", address(trigger), {"name": "third"}, **{"If-Match": "*"}))
        bad = send(program, "PATCH", address(trigger), {"name": "x"}, **{"If-Match": "yesterday"})
        problem(bad, 400, "invalid_header")

    def test_a_trigger_is_switched_off_and_on(self, program: Program) -> None:
        trigger = make_schedule()
        assert read(send(program, "PATCH", f"{address(trigger)}/disable"))["enabled"] is False
        answer = send(program, "PATCH", f"{address(trigger)}/enable", {}, **{"If-Match": '"2"'})
        assert read(answer)["enabled"] is True
        assert answer["ETag"] == '"3"'

    def test_a_disabled_remote_trigger_refuses_launches(self, program: Program) -> None:
        job = make_job()
        read(send(program, "PATCH", f"{address(job.triggers.get())}/disable"))
        problem(program.post(f"/api/jobs/{job.slug}/trigger", {}), 409, "trigger_disabled")

    def test_a_removed_trigger_leaves_its_runs(self, program: Program) -> None:
        trigger = make_dependency(upstream := make_job())
        followers.follow(ended_run(upstream).pk)
        run = Run.objects.get(trigger=trigger)
        answer = send(program, "DELETE", address(trigger))
        assert (answer.status_code, answer.content) == (204, b"")
        problem(program.get(address(trigger)), 404, "not_found")
        run.refresh_from_db()
        assert (run.trigger_id, run.trigger_name, run.trigger_kind) == (None, "next", "dependency")

    def test_a_remote_trigger_stays(self, program: Program) -> None:
        answer = send(program, "DELETE", address(make_job().triggers.get()))
        assert "disable it instead" in problem(answer, 409, "refused")["detail"]


class TestFiring:
    def test_it_launches_a_manual_run_with_its_parameters(self, program: Program) -> None:
        trigger = make_schedule(make_job(schema=SECRET), parameters={"n": 1}, priority=7)
        run = read(program.post(f"{address(trigger)}/fire", {}), 202)
        assert (run["trigger"], run["parameters"], run["priority"], run["slot"]) == (
            "manual",
            {"n": 1},
            7,
            None,
        )
        assert run["cause"].endswith("with the parameters of nightly")
        other = read(program.post(f"{address(trigger)}/fire", {"parameters": {"n": 2}}), 202)
        assert other["parameters"] == {"n": 2}

    def test_once_for_each_idempotency_key(self, program: Program) -> None:
        trigger = make_schedule()
        first = read(program.post(f"{address(trigger)}/fire", {}, key="k"), 202)
        assert read(program.post(f"{address(trigger)}/fire", {}, key="k"), 200)["id"] == first["id"]

    def test_a_disabled_one_does_not_fire(self, program: Program) -> None:
        trigger = make_schedule(enabled=False)
        problem(program.post(f"{address(trigger)}/fire", {}), 409, "trigger_disabled")


def test_the_history_of_a_dependency_says_why_it_did_not_fire(program: Program) -> None:
    trigger = make_dependency(upstream := make_job(slug="ingest"))
    good, bad = ended_run(upstream), ended_run(upstream, settle_failed)
    for run in (good, bad):
        followers.follow(run.pk)
    second, first = read(program.get(f"{address(trigger)}/history"))["results"]
    assert (first["upstream"], first["upstream_run"], first["outcome"]) == ("ingest", good.pk, "fired")
    assert first["run_name"].startswith("chained_")
    assert (second["outcome"], second["run"], second["upstream_status"]) == ("skipped", None, "failed")
    assert "on_success" in second["reason"]


@pytest.mark.parametrize("name", ["starts_at", "ends_at"])
@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2500-01-01T00:00:00Z"])
def test_a_start_or_end_beyond_the_years_that_have_slots_is_refused(
    program: Program, name: str, at: str
) -> None:
    body = {"kind": "schedule", "cron": "0 2 * * *", name: at}
    refused = problem(program.post(f"/api/jobs/{make_job().slug}/triggers", body), 400, "invalid_body")
    assert refused["errors"][0]["pointer"] == f"/{name}"
    assert "expected an instant from 1970 to 2499" in refused["detail"]


def test_a_trigger_stays_with_its_job_and_says_so(program: Program) -> None:
    trigger, other = make_schedule(), make_job()
    for method in ("PATCH", "PUT"):
        body = {"kind": "schedule", "cron": "0 3 * * *", "job": other.slug}
        refused = problem(send(program, method, address(trigger), body), 400, "invalid_body")
        assert refused["errors"][0]["pointer"] == "/job"
        assert f"expected '{trigger.job.slug}': a trigger stays with its job" in refused["detail"]
    read(send(program, "PATCH", address(trigger), {"job": trigger.job.slug, "cron": "0 3 * * *"}))


def test_a_condition_without_a_job_to_end_so_is_refused(program: Program) -> None:
    trigger = make_schedule()
    for body in ({"condition": "on_failure"}, {"upstream": None, "condition": "on_success"}):
        refused = problem(send(program, "PATCH", address(trigger), body), 400, "invalid_body")
        assert refused["errors"][0]["pointer"] == "/condition"
        assert "expected 'upstream' beside it" in refused["detail"]


def test_null_for_what_a_schedule_needs_frees_it(program: Program) -> None:
    job, load = make_job(), make_job()
    body = {"kind": "schedule", "cron": "0 2 * * *", "upstream": load.slug}
    made = read(program.post(f"/api/jobs/{job.slug}/triggers", body), 201)
    path = f"/api/jobs/{job.slug}/triggers/{made['id']}"
    assert read(send(program, "PATCH", path, {"name": "x"}))["upstream"] == load.slug
    freed = read(send(program, "PATCH", path, {"upstream": None}))
    assert (freed["upstream"], freed["condition"]) == (None, None)
