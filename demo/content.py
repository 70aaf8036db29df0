"""What the demo puts into an empty site: the job that is no function, schedules, who follows whom, two first runs."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db import transaction

from jobs import sync
from jobs.models import Job
from runs import causes, launch
from runs.models import Run
from triggers import dependencies
from triggers.models import Kind, Trigger

TEST_SUITE: Final[dict[str, Any]] = {
    "name": "Test suite",
    "description": "Runs the tests of the demo's little shop; set “fail” and one of them does.",
    "tags": ["demo", "tests"],
    "executor": "command",
    "configuration": {
        "argv": [
            *("python", "-m", "pytest", "--config-file=demo/suite/pytest.ini", "--disable-plugin-autoload"),
            *("-p", "no:cacheprovider", "--verbose", "--color=no"),
            *("--fail={fail}", "-k{only}", "demo/suite"),
        ],
        "result": "last_json_line",
    },
    "schema": {
        "type": "object",
        "properties": {
            "fail": {"title": "Fail", "description": "Makes one test fail.", "type": "boolean"},
            "only": {
                "title": "Only",
                "description": "Words that the names of the tests must hold, such as “cart and not empty”.",
                "type": "string",
                "minLength": 1,
            },
        },
        "additionalProperties": False,
    },
    "defaults": {"fail": False},
    "timeout_seconds": 300,
}
SCHEDULES: Final = (
    ("test-suite", "nightly", "0 2 * * *", "UTC"),
    ("sold-daily-indy", "daily", "0 2 * * *", "America/Indiana/Indianapolis"),
    ("report", "daily", "0 2 * * *", "America/New_York"),
)
_BATCH: Final = {"batch": "/result/batch"}
_ENDED: Final = {"job": "/job", "run": "/run"}
# Who follows whom: job, name, upstream job, and the rule.
DEPENDENCIES: Final[Sequence[tuple[str, str, str, Mapping[str, Any]]]] = (
    ("clean", "after ingest", "ingest", {"condition": "on_success", "mapping": _BATCH}),
    ("report", "after clean", "clean", {"condition": "on_success", "mapping": _BATCH, "delay_minutes": 5}),
    (
        "alert",
        "if ingest fails",
        "ingest",
        {"condition": "on_failure", "mapping": {**_ENDED, "message": "/error/message"}},
    ),
    (
        "audit",
        "however ingest ends",
        "ingest",
        {"condition": "on_completion", "mapping": {**_ENDED, "status": "/status"}},
    ),
)
FIRST_RUNS: Final = ("noop", "test-suite")


def is_empty() -> bool:
    """Whether nobody has used the site yet: there is nothing but jobs that code declares."""
    used = (
        Run.objects.all(),
        Trigger.objects.schedules(),
        Job.objects.filter(declared__isnull=True),
    )
    return not any(rows.exists() for rows in used)


@transaction.atomic
def load() -> None:
    """Adds what is missing of the demo's content; what is there stays as it is, so it may be called again."""
    sync.sync()
    Job.objects.get_or_create(slug="test-suite", defaults=TEST_SUITE)
    for slug, name, cron, timezone in SCHEDULES:
        Trigger.objects.get_or_create(
            job=Job.objects.get(slug=slug),
            kind=Kind.SCHEDULE,
            defaults={"name": name, "cron": cron, "timezone": timezone},
        )
    for slug, name, upstream, rule in DEPENDENCIES:
        job = Job.objects.get(slug=slug)
        if not job.triggers.filter(kind=Kind.DEPENDENCY).exists():
            trigger = Trigger(job=job, name=name, **rule)
            dependencies.save(trigger, upstreams=[Job.objects.get(slug=upstream)])
    if not Run.objects.exists():
        for job in Job.objects.filter(slug__in=FIRST_RUNS).order_by("slug"):
            launch.launch(job, cause=causes.manual())
