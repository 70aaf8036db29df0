"""The admin of beat's own entries: housekeeping only."""

from typing import Any

from django.test import Client
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from runs.admin.beat import is_allowed
from tests.admin.pages import address, form_of

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
