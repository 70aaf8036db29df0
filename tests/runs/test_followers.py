"""runs.followers: what follows an ended run, exactly once, from whatever way it ended, and why the rest does not."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs.models import Job
from runs import causes, followers, launch, lifecycle, sweep, tallies
from runs.claims import Wish
from runs.followers import Followed
from runs.models import Ending, Following, Run
from runs.status import Status
from tests.factories import make_dependency, make_job, make_run, make_slot
from tests.runs import endings
from tests.runs.endings import WAYS, ended_run
from triggers import dependencies
from triggers.models import Condition, Trigger

pytestmark = pytest.mark.django_db

FIRES = {
    "on_success": {"succeeded"},
    "on_failure": {"failed"},
    "on_completion": {"succeeded", "failed", "cancelled"},
}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}, "rows": {"type": "integer"}}}
SECRET = {"type": "object", "properties": {"token": {"type": "string", "writeOnly": True}}}


def follow(run: Run) -> Following:
    """Follows `run`, whose job has one dependent; returns what came of it."""
    (entry,) = followers.follow(run.pk).dependencies
    return Following.objects.get(pk=entry.pk)


def follower(entry: Following) -> Run:
    assert entry.run_id is not None
    return Run.objects.select_related("job").get(pk=entry.run_id)


@pytest.mark.parametrize("condition", Condition.values)
@pytest.mark.parametrize("way", WAYS)
def test_each_condition_fires_on_its_endings_from_every_way(way: str, condition: str) -> None:
    status, end = WAYS[way]
    trigger = make_dependency(upstream := make_job(slug="ingest"), condition=condition)
    run = ended_run(upstream, end)
    assert run.status == status
    assert followers.follow_left_over() == 1
    entry = Following.objects.get(trigger=trigger, upstream_id=run.pk)
    if status in FIRES[condition]:
        dependent = follower(entry)
        assert entry.outcome == "fired"
        assert dependent.cause == f"After ingest #{run.pk} {dependencies.ended(status)}"
        assert (dependent.trigger_kind, dependent.parent_id, dependent.root_id) == (
            "dependency",
            run.pk,
            run.pk,
        )
        assert (dependent.status, dependent.priority) == ("queued", 50)
        assert dependent.name.startswith("chained_")
    else:
        assert (entry.outcome, entry.run_id) == ("skipped", None)
        assert condition in entry.reason or "skipped run fires none" in entry.reason
    assert not Ending.objects.exists()


def test_a_run_that_nobody_waits_for_leaves_no_trace() -> None:
    make_dependency(make_job())
    run = ended_run(make_job())
    assert not Ending.objects.exists()
    assert followers.follow(run.pk) == Followed()


def test_a_run_that_was_made_skipped_fires_none() -> None:
    first, second = make_job(slug="first"), make_job(slug="second", status="paused", paused_reason="repairs")
    make_dependency(first, job=second)
    make_dependency(second, condition="on_completion")
    entry = follow(ended_run(first))
    skipped = follower(entry)
    assert (entry.outcome, skipped.status) == ("skipped", "skipped")
    assert skipped.skip_reason == entry.reason == "The job 'second' was paused: repairs."
    assert tallies.of_job(second.pk).skipped == 1
    assert not Ending.objects.exists()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": "inactive"}, "The job 'next' is inactive: nothing can start it."),
        ({"broken_reason": "gone"}, "The job 'next' is broken: gone"),
    ],
)
def test_a_dependent_that_cannot_start_is_a_skipped_run_with_the_reason(
    fields: dict[str, Any], reason: str
) -> None:
    make_dependency(upstream := make_job(), job=make_job(slug="next", **fields), delay_minutes=5)
    skipped = follower(follow(ended_run(upstream)))
    assert (skipped.status, skipped.skip_reason, skipped.due_at) == ("skipped", reason, None)
    assert skipped.finished_at is not None


def test_following_twice_launches_once() -> None:
    make_dependency(upstream := make_job())
    run = ended_run(upstream)
    assert len(followers.follow(run.pk).dependencies) == 1
    assert followers.follow(run.pk) == Followed()
    assert Run.objects.filter(parent=run).count() == 1


def test_the_database_refuses_a_second_follower_of_one_run() -> None:
    trigger = make_dependency(upstream := make_job())
    run = ended_run(upstream)
    follow(run)
    cause = causes.dependency(trigger=trigger, endings=[run])
    with pytest.raises(IntegrityError, match="run_follows_once"), transaction.atomic():
        launch.launch(trigger.job, cause=cause)


def test_a_retry_of_the_upstream_run_is_followed_again() -> None:
    make_dependency(upstream := make_job())
    run = ended_run(upstream)
    follow(run)
    again = launch.retry(run, cause=causes.retry(run)).run
    endings.settle_succeeded(again)
    assert follower(follow(again)).parent_id == again.pk


def test_a_disabled_trigger_is_not_fired_and_says_so() -> None:
    trigger = make_dependency(upstream := make_job())
    Trigger.objects.filter(pk=trigger.pk).update(enabled=False)
    assert follow(ended_run(upstream)).reason == "The trigger is disabled."


def test_a_delay_is_a_due_time_in_the_database_counted_from_the_end() -> None:
    make_dependency(upstream := make_job(), delay_minutes=5)
    run = ended_run(upstream)
    dependent = follower(follow(run))
    assert run.finished_at is not None
    assert dependent.status == Status.SCHEDULED
    assert dependent.due_at == dependent.run_at == run.finished_at + timedelta(minutes=5)
    assert lifecycle.enqueue() == []
    Run.objects.filter(pk=dependent.pk).update(due_at=timezone.now())
    assert [moved.id for moved in lifecycle.enqueue()] == [dependent.pk]


def test_a_delay_that_has_passed_while_nobody_looked_is_over() -> None:
    make_dependency(upstream := make_job(), delay_minutes=5)
    run = ended_run(upstream)
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now() - timedelta(minutes=6))
    assert follower(follow(run)).status == Status.QUEUED


def test_parameters_are_static_then_taken_from_the_upstream_run() -> None:
    trigger = make_dependency(
        upstream := make_job(schema=TEXT, defaults={"text": "hello"}),
        job=make_job(schema=TEXT, defaults={"text": "default", "rows": 0}),
        parameters={"text": "static", "rows": 1},
        mapping={"rows": "/result/rows"},
    )
    assert follower(follow(ended_run(upstream))).parameters == {"text": "static", "rows": 3}
    trigger.mapping = {"text": "/parameters/text"}
    trigger.save(update_fields=["mapping"])
    assert follower(follow(ended_run(upstream))).parameters == {"text": "hello", "rows": 1}


def test_what_went_wrong_can_be_passed_on_to_an_alert() -> None:
    alert = make_job(schema=TEXT)
    make_dependency(
        upstream := make_job(),
        job=alert,
        condition="on_failure",
        mapping={"text": "/error/message", "rows": "/run"},
    )
    run = ended_run(upstream, endings.settle_failed)
    assert follower(follow(run)).parameters == {"text": "no", "rows": run.pk}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"mapping": {"rows": "/result/lines"}}, "Parameter 'rows': There is no value at '/result/lines'"),
        ({"parameters": {"rows": "many"}}, "'rows' is \"many\"; expected a whole number"),
        ({"mapping": {"unknown": "/run"}}, "'unknown' is unknown"),
    ],
)
def test_a_trigger_that_cannot_be_evaluated_is_skipped_and_the_others_go_on(
    fields: dict[str, Any], reason: str
) -> None:
    upstream = make_job()
    bad = make_dependency(upstream, job=make_job(schema=TEXT), **fields)
    good = make_dependency(upstream)
    run = ended_run(upstream)
    first, second = followers.follow(run.pk).dependencies
    assert (first.trigger_id, first.outcome, first.run_id) == (bad.pk, "skipped", None)
    assert reason in first.reason
    assert (second.trigger_id, second.outcome) == (good.pk, "fired")
    run.refresh_from_db()
    assert run.status == Status.SUCCEEDED


def test_what_fails_in_the_database_undoes_that_trigger_only(monkeypatch: pytest.MonkeyPatch) -> None:
    upstream = make_job()
    bad, good = make_dependency(upstream), make_dependency(upstream)
    passed_on = followers.passed_on

    def divide(trigger: Trigger, runs: list[Run]) -> dict[str, Any]:
        if trigger == bad:
            list(Run.objects.extra(where=["1 / 0 = 1"]))
        return passed_on(trigger, runs)

    monkeypatch.setattr(followers, "passed_on", divide)
    first, second = followers.follow(ended_run(upstream).pk).dependencies
    assert "DataError: division by zero" in first.reason
    assert (first.trigger_id, second.trigger_id, second.outcome) == (bad.pk, good.pk, "fired")


def test_a_secret_is_passed_on_only_to_where_it_stays_one() -> None:
    upstream = make_job(schema=SECRET)
    open_job = make_job(slug="open", schema={"type": "object", "properties": {"token": {"type": "string"}}})
    make_dependency(upstream, job=open_job, mapping={"token": "/parameters/token"})
    make_dependency(upstream, job=make_job(schema=SECRET), mapping={"token": "/parameters/token"})
    run = ended_run(upstream, parameters={"token": "hunter22"})
    first, second = followers.follow(run.pk).dependencies
    assert "'/parameters/token' holds a secret of the upstream run, but 'open' would show it" in first.reason
    assert "hunter22" not in first.reason
    assert follower(second).parameters == {"token": "hunter22"}


def test_a_dependent_with_a_dedup_key_that_is_open_is_not_started_twice() -> None:
    job = make_job(dedup_key_template="{text}", schema=TEXT, defaults={"text": "one"})
    make_dependency(upstream := make_job(), job=job)
    first, second = follow(ended_run(upstream)), follow(ended_run(upstream))
    assert (second.outcome, second.run_id) == ("skipped", first.run_id)
    assert second.reason == f"Run #{first.run_id} with the dedup key 'one' was still open."


def test_a_failing_dependent_never_touches_its_upstream() -> None:
    make_dependency(upstream := make_job(), priority=1)
    run = ended_run(upstream)
    dependent = follower(follow(run))
    endings.settle_failed(dependent)
    before, after = run, Run.objects.get(pk=run.pk)
    assert Run.objects.get(pk=dependent.pk).status == Status.FAILED
    assert (after.status, after.finished_at, after.result) == (
        before.status,
        before.finished_at,
        before.result,
    )


def test_a_chain_knows_its_root() -> None:
    first, second, third = make_job(), make_job(), make_job()
    make_dependency(first, job=second, priority=1)
    make_dependency(second, job=third, priority=1)
    root = ended_run(first)
    middle = follower(follow(root))
    endings.settle_succeeded(middle)
    last = follower(follow(middle))
    assert (middle.root_id, last.root_id, last.parent_id) == (root.pk, root.pk, middle.pk)
    assert (root.hops, middle.hops, last.hops) == (0, 1, 2)


def test_a_follower_of_a_bulk_run_stays_in_bulk() -> None:
    make_dependency(upstream := make_job(), priority=1)
    run = make_run(upstream, priority=100)
    lifecycle.complete(run.pk, status="succeeded", result=None, error=None, by="ada")
    assert follower(follow(run)).priority == 100


def test_a_chain_that_is_too_long_is_stopped(settings: Any) -> None:
    settings.HOP_LIMIT = 2
    make_dependency(upstream := make_job())
    run = ended_run(upstream)
    Run.objects.filter(pk=run.pk).update(hops=2)
    assert "2 hops from the run that began it all" in follow(run).reason


def test_a_chain_that_grows_too_fast_is_stopped(settings: Any) -> None:
    settings.ROOT_RATE_LIMIT = 2
    upstream = make_job()
    for _ in range(3):
        make_dependency(upstream)
    run = ended_run(upstream)
    entries = followers.follow(run.pk).dependencies
    assert [entry.outcome for entry in entries] == ["fired", "fired", "skipped"]
    assert f"Run {run.pk} caused 2 runs within a minute" in entries[2].reason


def test_any_of_several_upstreams_fires_each_time() -> None:
    one, two = make_job(), make_job()
    make_dependency(one, two)
    assert follow(ended_run(one)).outcome == follow(ended_run(two)).outcome == "fired"


class TestAllOf:
    """A trigger that waits for all of its upstreams."""

    def test_it_fires_once_when_the_last_one_has_ended(self) -> None:
        one, two, three = (make_job(slug=slug) for slug in ("one", "two", "three"))
        trigger = make_dependency(one, two, three, needs="all")
        first = follow(ended_run(one))
        assert (first.outcome, first.reason) == ("pending", "It waits for two, three.")
        assert follow(ended_run(two)).reason == "It waits for three."
        last = ended_run(three)
        entry = follow(last)
        dependent = follower(entry)
        assert dependent.parent_id == last.pk
        assert [told["job"] for told in dependent.context["upstream"]] == ["one", "two", "three"]
        assert dependent.cause.startswith("After one #")
        assert dependent.cause.count(" and ") == 2
        outcomes = Following.objects.filter(trigger=trigger).values_list("outcome", "run_id")
        assert set(outcomes) == {("fired", dependent.pk)}

    def test_each_end_is_used_once(self) -> None:
        one, two = make_job(), make_job()
        make_dependency(one, two, needs="all")
        follow(ended_run(one))
        assert follow(ended_run(two)).outcome == "fired"
        assert follow(ended_run(two)).outcome == "pending"
        assert follow(ended_run(one)).outcome == "fired"

    def test_of_each_upstream_the_latest_end_counts(self) -> None:
        one, two = make_job(slug="one"), make_job(slug="two")
        make_dependency(one, two, needs="all")
        old = follow(ended_run(one))
        new_run = ended_run(one)
        new = follow(new_run)
        entry = follow(ended_run(two))
        old.refresh_from_db()
        new.refresh_from_db()
        assert (old.outcome, old.reason) == ("skipped", f"A later end of one, #{new_run.pk}, took its place.")
        assert (new.outcome, new.run_id) == ("fired", entry.run_id)

    def test_an_end_that_is_not_as_wanted_does_not_count(self) -> None:
        one, two = make_job(), make_job()
        make_dependency(one, two, needs="all")
        assert follow(ended_run(one, endings.settle_failed)).outcome == "skipped"
        assert follow(ended_run(two)).outcome == "pending"

    def test_an_end_outside_the_window_is_given_up(self) -> None:
        one, two = make_job(slug="one"), make_job(slug="two")
        make_dependency(one, two, needs="all", window_minutes=10)
        old = follow(ended_run(one))
        Following.objects.filter(pk=old.pk).update(ended_at=timezone.now() - timedelta(minutes=11))
        assert follow(ended_run(two)).reason == "It waits for one."
        assert followers.expire() == 1
        old.refresh_from_db()
        assert (old.outcome, "within the window" in old.reason) == ("skipped", True)

    def test_each_upstream_may_pass_something_on(self) -> None:
        one, two = make_job(slug="one", schema=TEXT), make_job(slug="two")
        make_dependency(
            one,
            two,
            job=make_job(schema=TEXT),
            needs="all",
            mapping={"text": "/upstreams/one/parameters/text", "rows": "/upstreams/two/result/rows"},
        )
        follow(ended_run(one, parameters={"text": "hi"}))
        assert follower(follow(ended_run(two))).parameters == {"text": "hi", "rows": 3}


class TestComplete:
    """A program reports a run that it carries out itself."""

    @pytest.mark.parametrize("begun", [False, True])
    def test_it_ends_the_run_and_follows_it(self, begun: bool) -> None:
        make_dependency(upstream := make_job())
        run = make_run(upstream)
        if begun:
            lifecycle.claim(Wish(lane="high", limit=1, process_id=make_slot().pk, worker="w"))
        followed = followers.complete(
            run, status="succeeded", result={"rows": 3}, error=None, by="API key ci"
        )
        assert followed is not None
        run.refresh_from_db()
        assert (run.status, run.result, run.attempt) == ("succeeded", {"rows": 3}, 1)
        assert follower(followed.dependencies[0]).parent_id == run.pk
        assert tallies.of_job(upstream.pk).succeeded == 1
        assert run.events.get().actor == "API key ci"

    def test_a_reported_failure_is_final_and_keeps_its_error(self) -> None:
        run = make_run(make_job(max_attempts=5))
        error = {"type": "Timeout", "message": "no answer", "traceback": ""}
        assert followers.complete(run, status="failed", result=None, error=error, by="ada") == Followed()
        run.refresh_from_db()
        assert (run.status, run.failure_reason, run.error) == ("failed", "error", error)

    def test_a_run_that_has_ended_or_is_not_due_cannot_be_completed(self) -> None:
        run = make_run()
        later = make_run(run_at=timezone.now() + timedelta(hours=1))
        endings.cancel_queued(run)
        for each in (run, later):
            assert followers.complete(each, status="succeeded", result=None, error=None, by="ada") is None
        assert Run.objects.get(pk=later.pk).status == Status.SCHEDULED

    def test_a_worker_that_still_works_on_it_is_too_late(self) -> None:
        run = make_run()
        (claimed,) = lifecycle.claim(Wish(lane="high", limit=1, process_id=make_slot().pk, worker="w"))
        followers.complete(run, status="succeeded", result="reported", error=None, by="ada")
        assert lifecycle.settle([(claimed, endings.ERROR)]) == []
        run.refresh_from_db()
        assert run.result == "reported"


def test_the_sweep_follows_what_a_dead_process_left() -> None:
    make_dependency(upstream := make_job())
    run = ended_run(upstream)
    sweep.run(sweep.database_now())
    assert Run.objects.filter(parent=run).count() == 1


def test_an_end_whose_run_was_pruned_is_forgotten() -> None:
    make_dependency(upstream := make_job())
    run = ended_run(upstream)
    Run.objects.filter(pk=run.pk).delete()
    assert followers.follow_left_over() == 1
    assert not Ending.objects.exists()
    assert Job.objects.filter(pk=upstream.pk).exists()
