"""demo.content: what an empty site is given, once."""

from io import StringIO

import pytest
from django.core.management import call_command

from demo import content
from jobs.models import Job
from runs.models import Run
from tests.factories import make_job
from triggers.models import Trigger

pytestmark = pytest.mark.django_db


def load(*arguments: str) -> str:
    printed = StringIO()
    call_command("load_demo", *arguments, stdout=printed)
    return printed.getvalue()


def test_an_empty_site_gets_jobs_schedules_and_two_runs() -> None:
    load()
    slugs = set(Job.objects.values_list("slug", flat=True))
    assert slugs >= {"test-suite", "sold-daily-indy", "noop", "sleep", "misbehave"}
    schedules = Trigger.objects.schedules().values_list("job__slug", "cron", "timezone")
    assert {(slug, cron, str(zone)) for slug, cron, zone in schedules} == {
        ("test-suite", "0 2 * * *", "UTC"),
        ("sold-daily-indy", "0 2 * * *", "America/Indiana/Indianapolis"),
        ("report", "0 2 * * *", "America/New_York"),
    }
    edges = Trigger.objects.filter(kind="dependency").values_list("upstreams__slug", "condition", "job__slug")
    assert set(edges) == {
        ("ingest", "on_success", "clean"),
        ("ingest", "on_failure", "alert"),
        ("ingest", "on_completion", "audit"),
        ("clean", "on_success", "report"),
    }
    assert set(Run.objects.values_list("job__slug", "trigger_kind")) == {
        ("noop", "manual"),
        ("test-suite", "manual"),
    }


def test_what_the_demo_makes_is_valid() -> None:
    load()
    for row in [*Job.objects.all(), *Trigger.objects.all()]:
        row.full_clean()


def test_loading_twice_adds_nothing() -> None:
    load()
    counts = (Job.objects.count(), Trigger.objects.count(), Run.objects.count())
    assert "left as it is" in load()
    load("--force")
    assert counts == (Job.objects.count(), Trigger.objects.count(), Run.objects.count())


def test_a_site_in_use_is_left_alone_unless_forced() -> None:
    make_job(slug="mine")
    load()
    assert list(Job.objects.values_list("slug", flat=True)) == ["mine"]
    load("--force")
    assert Job.objects.filter(slug="test-suite").exists()


def test_force_does_not_overwrite_what_somebody_changed() -> None:
    load()
    Job.objects.filter(slug="test-suite").update(name="Ours")
    Trigger.objects.schedules().filter(job__slug="test-suite").update(cron="0 5 * * *")
    load("--force")
    assert Job.objects.get(slug="test-suite").name == "Ours"
    assert Trigger.objects.schedules().get(job__slug="test-suite").cron == "0 5 * * *"


def test_an_empty_site_is_one_with_nothing_but_declared_jobs() -> None:
    call_command("sync_jobs", verbosity=0)
    assert content.is_empty()
