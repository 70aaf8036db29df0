"""runs.ahead: what was prepared is fired as the ordinary way would fire it, or left to it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.forms import model_to_dict

from jobs.models import Job
from runs import firing, portions
from runs.ahead import Ahead
from runs.models import Deadline, Run, RunLabel
from tests.factories import make_job, make_run, make_schedule
from triggers.models import Calendar, Occurrence, Trigger

pytestmark = pytest.mark.django_db

SLOT = datetime(2026, 3, 10, 2, tzinfo=UTC)
BEFORE, AFTER = SLOT - timedelta(seconds=5), SLOT + timedelta(seconds=0.25)


def planned(job: Job | None = None, **fields: Any) -> Trigger:
    """A schedule whose slot comes in five seconds."""
    trigger = make_schedule(job, **fields)
    Trigger.objects.filter(pk=trigger.pk).update(replan_from=SLOT - timedelta(hours=1))
    firing.fire_due(BEFORE)
    trigger.refresh_from_db()
    return trigger


def prepared() -> Ahead:
    found = Ahead()
    while found.prepare(BEFORE):
        pass
    return found


def facts(run: Run) -> dict[str, Any]:
    """All that is known of a run but when and as which it was made."""
    own = {"id", "trigger", "created_at", "queued_at"}
    return {name: value for name, value in model_to_dict(run).items() if name not in own} | {
        "slot": run.slot,
        "lane": run.lane,
        "labels": list(RunLabel.objects.filter(run=run).order_by("id").values_list("kind", "key", "value")),
        "deadlines": list(Deadline.objects.filter(run=run).values_list("kind", "due_at")),
    }


def test_a_prepared_slot_leads_to_the_same_run_and_plan_as_any_other() -> None:
    job = make_job(
        tags=["night"],
        defaults={"city": "Bern", "size": 3},
        priority=12,
        max_attempts=4,
        start_within_seconds=30,
        concurrency_key_template="{{ params.city }}",
        schema={"type": "object", "properties": {"city": {"type": "string"}, "size": {"type": "integer"}}},
    )
    first = planned(job, parameters={"size": 5}, jitter_seconds=0, timezone="Europe/Berlin", cron="0 3 * * *")
    second = planned(
        job, parameters={"size": 5}, jitter_seconds=0, timezone="Europe/Berlin", cron="0 3 * * *"
    )
    ready = prepared()
    Trigger.objects.filter(pk=second.pk).update(
        parameters={"size": 5, "city": "Bern"}
    )  # the ordinary way, then
    assert ready.fire(AFTER) == 1
    assert firing.fire_due(AFTER) == 1
    runs = {run.trigger_id: run for run in Run.objects.all()}
    assert facts(runs[first.pk]) == facts(runs[second.pk])
    assert runs[first.pk].context == {"lateness_seconds": 0.25}
    plans = Trigger.objects.filter(pk__in=[first.pk, second.pk]).values_list(
        "next_slot", "next_run_at", "last_run_at", "exhausted"
    )
    assert len(set(plans)) == 1
    entries = Occurrence.objects.order_by("trigger")
    assert [entry.run_id for entry in entries] == [runs[first.pk].pk, runs[second.pk].pk]
    assert len(set(entries.values_list("slot", "outcome", "reason", "by", "fired_at", "until"))) == 1


def test_what_was_prepared_is_fired_once_and_not_before_its_time() -> None:
    trigger = planned()
    one, other = prepared(), prepared()
    assert one.fire(BEFORE) == 0
    assert one.fire(AFTER) == 1
    assert one.fire(AFTER) == other.fire(AFTER) == 0
    assert firing.fire_due(AFTER) == 0
    trigger.refresh_from_db()
    assert trigger.next_slot == SLOT + timedelta(days=1)


def change(**fields: Any) -> Callable[[Trigger], object]:
    return lambda trigger: Trigger.objects.filter(pk=trigger.pk).update(**fields)


def change_job(**fields: Any) -> Callable[[Trigger], object]:
    return lambda trigger: Job.objects.filter(pk=trigger.job_id).update(**fields)


def keep_calendar(trigger: Trigger) -> None:
    calendar = Calendar.objects.create(name="holidays", closed="2026-12-25")
    trigger.calendars.add(calendar)


def start_run(trigger: Trigger) -> None:
    Run.objects.filter(pk=make_run(trigger.job).pk).update(trigger=trigger)


@pytest.mark.parametrize(
    ("act", "fired"),
    [
        pytest.param(change(cron="30 2 * * *"), [], id="edited"),
        pytest.param(change(enabled=False), [], id="disabled"),
        pytest.param(change(paused_at=BEFORE, paused_by="eve"), [], id="paused"),
        pytest.param(change(parameters={"n": 2}), [{"n": 2}], id="other parameters"),
        pytest.param(change(overlap="allow"), [{}], id="any change of the schedule"),
        pytest.param(change_job(status="inactive"), [], id="job inactive"),
        pytest.param(change_job(status="paused", paused_by="eve"), [], id="job paused"),
        pytest.param(change_job(defaults={"n": 1}), [{"n": 1}], id="job with other defaults"),
        pytest.param(Trigger.delete, [], id="deleted"),
        pytest.param(keep_calendar, [{}], id="calendar"),
        pytest.param(start_run, [], id="run before it open"),
        pytest.param(
            lambda trigger: Occurrence.objects.create(trigger=trigger, slot=SLOT, outcome="fired"),
            [],
            id="fired",
        ),
    ],
)
def test_what_changed_since_goes_the_ordinary_way(act: Callable[[Trigger], object], fired: list[Any]) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    trigger = planned(make_job(schema=schema))
    ready = prepared()
    act(trigger)
    assert ready.fire(AFTER) == 0
    firing.fire_due(AFTER)
    assert list(Run.objects.filter(slot=SLOT).values_list("parameters", flat=True)) == fired


@pytest.mark.parametrize(
    "fields",
    [{"condition": "on_success"}, {"paused_at": SLOT - timedelta(hours=2)}],
    ids=["needs something", "paused"],
)
def test_what_cannot_be_known_before_is_not_prepared(fields: dict[str, Any]) -> None:
    planned(**fields)
    assert prepared().fire(AFTER) == 0


def test_a_slot_whose_run_needs_a_dedup_key_is_not_prepared() -> None:
    planned(make_job(dedup_key_template="one"))
    assert prepared().fire(AFTER) == 0
    assert firing.fire_due(AFTER) == 1


def test_a_portion_that_fails_is_fired_the_ordinary_way() -> None:
    good, bad = planned(), planned()
    ready = prepared()
    make_run(bad.job)
    Run.objects.filter(job=bad.job).update(trigger=bad, slot=SLOT, status="cancelled", finished_at=SLOT)
    assert ready.fire(AFTER) == 0
    firing.fire_due(AFTER)
    assert Run.objects.filter(trigger=good, slot=SLOT).count() == 1
    assert Occurrence.objects.get(trigger=bad).outcome == "skipped"


def scans(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a plan reads of tables, each with the condition by which an index finds it."""
    if "Relation Name" in node:
        yield node["Relation Name"], node.get("Index Cond") or node.get("Recheck Cond") or ""
    for each in node.get("Plans", ()):
        yield from scans(each)


def test_firing_looks_each_schedule_up_by_its_number_however_few_the_planner_knows_of() -> None:
    # With tables analysed while they were empty, the ledger was looked up by the slot alone.
    planned()
    (portion,) = prepared()._portions
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE triggers_trigger, triggers_occurrence, runs_run, jobs_job")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            f"EXPLAIN (FORMAT JSON) {portions.FIRE}",
            {"jobs": portion.jobs, "slots": portion.slots, "now": AFTER},
        )
        ((plan,),) = cursor.fetchone()
    looks = [node for node in plan["Plan"]["Plans"] if node.get("Subplan Name") in ("CTE job", "CTE held")]
    found = [each for node in looks for each in scans(node)]
    assert {"triggers_trigger", "triggers_occurrence", "jobs_job", "runs_run"} <= {name for name, _ in found}
    assert [name for name, condition in found if "id = " not in condition] == []


def test_of_what_is_late_the_misfire_policy_decides() -> None:
    planned(misfire="skip")
    late = SLOT + timedelta(seconds=61)
    assert prepared().fire(late) == 0
    firing.fire_due(late)
    assert Occurrence.objects.get().outcome == "missed"


def test_jitter_is_kept_to() -> None:
    trigger = planned(jitter_seconds=15)
    assert trigger.next_run_at is not None
    ready = prepared()
    assert ready.fire(trigger.next_run_at - timedelta(seconds=1)) == 0
    assert ready.fire(trigger.next_run_at) == 1
