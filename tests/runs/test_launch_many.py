"""runs.launch.launch_many: many runs by a few statements, each as if it had been launched alone."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.forms.models import model_to_dict

from jobs.models import Job
from jobs.parameters import InvalidParameters
from runs import launch
from runs.models import Deadline, Run, RunLabel, TriggerKind
from runs.refusals import JobPaused
from tests.factories import make_job, make_schedule
from triggers.models import Trigger

pytestmark = pytest.mark.django_db

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "token": {"type": "string", "writeOnly": True}},
}
RICH: dict[str, Any] = {
    "schema": SCHEMA,
    "defaults": {"city": "Köln", "token": "s3cret"},
    "tags": ["etl", "etl"],
    "concurrency_key_template": "of-{city}",
    "start_within_seconds": 60,
    "max_attempts": 3,
}
MADE_ANEW = ("id", "created_at", "queued_at", "slot", "trigger", "due_at")


def cause(trigger: Trigger, day: int = 10) -> launch.Cause:
    return launch.Cause(
        kind=TriggerKind.SCHEDULE,
        trigger=trigger,
        slot=datetime(2026, 3, day, 2, tzinfo=UTC),
        sentence="Started \N{SNOWMAN} by a test, 100 % of it",
        context={"lateness_seconds": 1.5},
    )


def facts(run: Run) -> dict[str, Any]:
    return {name: value for name, value in model_to_dict(run).items() if name not in MADE_ANEW} | {
        "labels": sorted(RunLabel.objects.filter(run=run).values_list("kind", "key", "value")),
        "deadlines": list(Deadline.objects.filter(run=run).values_list("kind", "due_at")),
        "lane": run.lane,
    }


@pytest.mark.parametrize(
    "job", [{}, RICH, RICH | {"dedup_key_template": "{city}", "dedup_mode": "return_existing"}]
)
def test_a_run_made_with_others_is_as_one_made_alone(job: dict[str, Any]) -> None:
    trigger, twin = (make_schedule(make_job(**job), finish_within_seconds=90, priority=30) for _ in range(2))
    alone = launch.launch(trigger.job, cause=cause(trigger)).run
    (answer,) = launch.launch_many([(twin.job, cause(twin))])
    assert isinstance(answer, int)
    alone, other = Run.objects.get(pk=alone.pk), Run.objects.get(pk=answer)
    assert facts(other) == facts(alone) | {"job": twin.job_id, "group": other.group_id}
    assert other.group.job_id == twin.job_id
    assert other.queued_at is not None
    assert other.slot == alone.slot


def test_what_may_not_be_launched_is_answered_in_its_place() -> None:
    good, wrong, paused = (make_schedule() for _ in range(3))
    Job.objects.filter(pk=wrong.job_id).update(schema={"type": "object", "required": ["city"]})
    Job.objects.filter(pk=paused.job_id).update(status="paused", paused_by="ada")
    wrong, paused = (Trigger.objects.get(pk=trigger.pk) for trigger in (wrong, paused))
    wanted = [wrong, good, paused]
    answers = launch.launch_many([(trigger.job, cause(trigger)) for trigger in wanted])
    assert isinstance(answers[0], InvalidParameters)
    assert Run.objects.get().pk == answers[1]
    assert isinstance(answers[2], JobPaused)
    assert launch.launch_many([]) == []


def test_a_dedup_key_answers_with_the_open_run() -> None:
    job = make_job(dedup_key_template="one")
    trigger = make_schedule(job)
    first, second = launch.launch_many([(job, cause(trigger)), (job, cause(trigger, day=11))])
    assert first == second == Run.objects.get().pk
