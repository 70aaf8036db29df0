"""Finding jobs on the page /jobs/, and what is done to several of them at once."""

import re

import pytest
from django.test import Client

from jobs.models import Job
from runs import tallies
from runs.models import Run
from tests.admin.pages import address
from tests.factories import make_job, make_owner, make_schedule
from tests.pages.conftest import Visitor, text, words
from tests.runs.endings import ended_run, settle_failed

pytestmark = pytest.mark.django_db


def shown(client: Client, query: str) -> list[str]:
    return re.findall(r'<a class="name" href="/jobs/([a-z-]+)/">', text(client.get(f"/jobs/?{query}")))


def test_jobs_are_found_by_their_last_run_before_and_behind_the_fold(ada: Client) -> None:
    good, bad = make_job(slug="good", name="A"), make_job(slug="bad", name="B", tags=["etl"])
    make_job(slug="new", name="C")
    ended_run(good, settle_failed)
    ended_run(good)
    ended_run(bad, settle_failed)
    for _ in range(2):
        assert shown(ada, "last=succeeded") == ["good"]
        assert shown(ada, "last=failed") == ["bad"]
        assert shown(ada, "last=never") == ["new"]
        tallies.fold()
    assert shown(ada, "last=failed&tag=etl") == ["bad"]


def test_jobs_are_found_by_trigger_lane_owner_tag_and_schedule(ada: Client) -> None:
    make_job(slug="urgent", name="A", priority=3, owner=make_owner(username="eve"))
    make_job(slug="slow", name="B", priority=100, tags=["Big data"])
    make_schedule(make_job(slug="timed", name="C"))
    assert shown(ada, "lane=high") == ["urgent"]
    assert shown(ada, "lane=bulk") == ["slow"]
    assert shown(ada, "lane=unset") == ["timed"]
    assert shown(ada, "owner=eve") == ["urgent"]
    assert shown(ada, "tag=Big data") == ["slow"]
    assert shown(ada, "trigger=schedule") == ["timed"]
    assert shown(ada, "state=unscheduled") == ["urgent", "slow"]


def test_a_filter_that_is_none_is_named_with_what_was_expected(ada: Client) -> None:
    make_job()
    answer = ada.get("/jobs/?last=wild")
    assert answer.status_code == 400
    assert "'wild' is not a known last: expected one of succeeded" in words(answer)


def act(client: Client, word: str, *slugs: str, **fields: str) -> str:
    return words(client.post("/job-acts/", {"act": word, "job": slugs, **fields}, follow=True))


def test_selected_jobs_are_run_once_that_was_confirmed_with_their_number(ada: Client) -> None:
    needs = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    for slug, schema in (("a", {}), ("b", {}), ("asks", needs)):
        make_job(slug=slug, name=slug.upper(), schema=schema)
    asked = act(ada, "run", "a", "b", "asks")
    assert "Run 3 jobs?" in asked
    assert not Run.objects.exists()
    told = act(ada, "run", "a", "b", "asks", confirmed="yes")
    assert "of A." in told
    assert "ASKS needs parameters" in told
    assert set(Run.objects.values_list("job__slug", "trigger_kind")) == {("a", "manual"), ("b", "manual")}


def test_selected_jobs_are_paused_until_a_time_resumed_switched_and_tagged(ada: Client) -> None:
    job = make_job(slug="a", name="A", tags=["etl"])
    assert "is not a time" in act(ada, "pause", "a", until="tomorrow")
    assert "which is over" in act(ada, "pause", "a", until="2020-01-01T00:00")
    assert "Paused A." in act(ada, "pause", "a", until="2099-01-01T00:00", reason="maintenance")
    job.refresh_from_db()
    assert (job.status, job.paused_reason, job.paused_by) == ("paused", "maintenance", "ada")
    assert "Resumed A." in act(ada, "resume", "a")
    assert "A is inactive" in act(ada, "disable", "a")
    assert "is inactive: nothing can start it" in act(ada, "pause", "a")
    assert "A is active." in act(ada, "enable", "a")
    assert "A has the tag nightly." in act(ada, "tag", "a", tag=" nightly ")
    assert "is no tag" in act(ada, "tag", "a", tag=" ")
    job.refresh_from_db()
    assert (job.status, job.tags) == (Job.Status.ACTIVE, ["etl", "nightly"])


def test_the_admin_switches_and_tags_selected_jobs(ada: Client) -> None:
    jobs = [make_job(), make_job()]
    chosen = {"index": "0", "_selected_action": [job.pk for job in jobs]}
    ada.post(address("jobs_job_changelist"), {**chosen, "action": "disable_selected"})
    asked = ada.post(address("jobs_job_changelist"), {**chosen, "action": "tag_selected"})
    assert "keeps those that it has" in words(asked)
    given = {**chosen, "action": "tag_selected", "_confirmed": "yes", "tag": "nightly"}
    ada.post(address("jobs_job_changelist"), given)
    assert {(job.status, *job.tags) for job in Job.objects.all()} == {("inactive", "nightly")}
    ada.post(address("jobs_job_changelist"), {**chosen, "action": "enable_selected"})
    assert {job.status for job in Job.objects.all()} == {"active"}


def test_nothing_selected_and_no_act_do_nothing(ada: Client) -> None:
    make_job(slug="a")
    assert "No job was selected" in act(ada, "run")
    assert "is no act on jobs: expected one of run" in act(ada, "explode", "a")
    assert not Run.objects.exists()


def test_who_may_only_look_selects_nothing(reader: Client, visitor: Visitor) -> None:
    make_job(slug="a")
    assert 'name="job"' not in text(reader.get("/jobs/"))
    assert reader.post("/job-acts/", {"act": "run", "job": ["a"], "confirmed": "yes"}).status_code == 403
    runner = visitor("runs.view_run", "jobs.run_job")
    assert runner.post("/job-acts/", {"act": "disable", "job": ["a"]}).status_code == 403
    assert Job.objects.get(slug="a").status == "active"
