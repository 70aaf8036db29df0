"""The admin of beat's own entries: housekeeping, and launches that leave runs."""

from typing import Any

import pytest
from django.test import Client
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import ModelEntry

from jobs.models import Job
from runs import tasks
from runs.admin.beat import is_allowed
from runs.models import Run
from tests.admin.pages import address, form_of
from tests.factories import make_job

LIST = "django_celery_beat_periodictask_changelist"
ADD = "django_celery_beat_periodictask_add"


def send(boss: Client, **said: Any) -> Any:
    every, _ = IntervalSchedule.objects.get_or_create(every=1, period="hours")
    sent = form_of(boss, address(ADD)) | {"name": "tidy", "interval": every.pk, **said}
    return boss.post(address(ADD), sent)


def test_an_entry_names_one_of_our_own_tasks(boss: Client) -> None:
    assert send(boss, task="runs.work", args='["high"]').status_code == 302
    assert PeriodicTask.objects.get(name="tidy").task == "runs.work"


def test_no_other_task_can_be_named(boss: Client) -> None:
    for task in ("celery.map", "os.system", "demo.tasks.anything", ""):
        assert "task" in send(boss, task=task).context["adminform"].form.errors
    assert not PeriodicTask.objects.filter(name="tidy").exists()
    assert not is_allowed("celery.chain")


def test_nothing_is_run_past_the_runs(boss: Client) -> None:
    send(boss, task="runs.work")
    entry = PeriodicTask.objects.get(name="tidy")
    page = boss.get(address(LIST))
    assert "run_tasks" not in page.content.decode()
    chosen = {"action": "run_tasks", "_selected_action": [entry.pk]}
    assert boss.post(address(LIST), chosen, follow=True).status_code == 200
    entry.refresh_from_db()
    assert entry.total_run_count == 0


def test_the_page_of_an_entry_has_no_script_of_its_own(boss: Client) -> None:
    send(boss, task="runs.work")
    entry = PeriodicTask.objects.get(name="tidy")
    body = boss.get(address("django_celery_beat_periodictask_change", entry.pk)).content.decode()
    assert "periodic-task-overrides" not in body


def test_an_entry_launches_a_job_and_the_run_names_it(boss: Client) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    job = make_job(slug="report", schema=schema)
    said = '{"job": "report", "parameters": {"city": "Rome"}}'
    assert send(boss, task="runs.launch_job", kwargs=said).status_code == 302
    entry = ModelEntry(PeriodicTask.objects.get(name="tidy"))
    tasks.launch_job.push_request(headers=entry.options["headers"])
    try:
        tasks.launch_job(**entry.kwargs)
        Job.objects.filter(pk=job.pk).update(status="paused", paused_by="ada")
        tasks.launch_job(**entry.kwargs)
        tasks.launch_job(job="gone")
    finally:
        tasks.launch_job.pop_request()
    started, skipped = Run.objects.order_by("pk")
    assert (started.trigger_kind, started.cause) == ("schedule", "Started by the scheduler's entry tidy")
    assert started.parameters == {"city": "Rome"}
    assert (skipped.status, "paused by ada" in skipped.skip_reason) == ("skipped", True)


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ("{}", "There is no job None"),
        ('{"job": "nobody"}', "There is no job 'nobody'"),
        ('{"job": "report"}', "do not fit the job 'report'"),
        ('{"job": "report", "parameters": 5}', "expected an object"),
        ('{"job": "report", "priority": 1}', "'priority' is no argument"),
    ],
)
def test_an_entry_that_would_launch_nothing_is_refused_when_it_is_written(
    boss: Client, kwargs: str, said: str
) -> None:
    make_job(slug="report", schema={"type": "object", "required": ["city"]})
    answer = send(boss, task="runs.launch_job", kwargs=kwargs)
    assert said in " ".join(answer.context["adminform"].form.errors["kwargs"])


@pytest.mark.parametrize("name", ["queue", "exchange", "routing_key"])
@pytest.mark.parametrize("task", ["runs.launch_job", "celery.backend_cleanup"])
def test_an_entry_goes_through_the_default_queue_only(boss: Client, task: str, name: str) -> None:
    make_job(slug="report")
    answer = send(boss, task=task, kwargs='{"job": "report"}', **{name: "high"})
    assert "wait for hints only" in " ".join(answer.context["adminform"].form.errors[name])
