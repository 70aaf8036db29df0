"""Circuit breakers where people see them: the job's page, the admin, and the API."""

from collections.abc import Callable

import pytest
from django.test import Client

from jobs.executors import Failed
from jobs.models import Job
from runs import lifecycle
from runs.models import Circuit
from tests.factories import claim_one, make_job, make_run, make_slot
from tests.pages.conftest import Visitor, words
from triggers import keys
from triggers.models import Scope

pytestmark = pytest.mark.django_db
FAILED = Failed(reason="error", type="X", message="no", traceback="", retryable=False)


@pytest.fixture
def job() -> Job:
    """A job whose circuit breaker its only run has opened."""
    job = make_job(slug="shaky", name="Shaky", circuit_failure_rate=0.5, circuit_min_calls=1)
    make_run(job)
    lifecycle.settle([(claim_one(make_slot()), FAILED)])
    assert Circuit.objects.get().opened_at is not None
    return job


@pytest.fixture
def call(client: Client, ada: Client) -> Callable[..., object]:
    """Calls the API with ada's key of the given scopes."""
    from django.contrib.auth.models import User

    def call(method: str, path: str, *scopes: str, jobs: tuple[Job, ...] = ()) -> object:
        owner = User.objects.get(username="ada")
        _, text = keys.issue(name="ci", owner=owner, scopes=scopes, jobs=jobs)
        return client.generic(method, path, headers={"Authorization": f"Bearer {text}"})

    return call


def test_the_job_page_shows_the_breaker_and_why_nothing_starts(ada: Client, job: Job) -> None:
    page = words(ada.get("/jobs/shaky/"))
    assert "Circuit breaker" in page
    assert "job:shaky" in page
    assert "1 of 1 attempts failed." in page
    assert "opens for 1 min when 50% of at least 1 attempts within 1 min failed" in page
    run = make_run(job)
    assert "The circuit breaker job:shaky is open since" in words(ada.get(f"/runs/{run.pk}/"))


def test_a_job_without_a_breaker_shows_none(ada: Client) -> None:
    make_job(slug="plain")
    assert 'id="circuit"' not in words(ada.get("/jobs/plain/"))


def test_who_may_pause_jobs_resets_the_breaker_from_its_page(visitor: Visitor, job: Job) -> None:
    assert visitor("runs.view_run").post("/jobs/shaky/reset-circuit/").status_code == 403
    operator = visitor("runs.view_run", "jobs.pause_job")
    assert "Reset the breaker" in words(operator.get("/jobs/shaky/"))
    done = operator.post("/jobs/shaky/reset-circuit/", follow=True)
    assert "The circuit breaker job:shaky is closed" in words(done)
    circuit = Circuit.objects.get()
    assert circuit.opened_at is None
    assert circuit.events.latest("pk").kind == "reset"
    assert "nothing was done" in words(operator.post("/jobs/shaky/reset-circuit/", follow=True))


def test_the_admin_lists_breakers_and_resets_them(ada: Client, job: Job) -> None:
    circuit = Circuit.objects.get()
    listed = words(ada.get("/admin/runs/circuit/"))
    assert "job:shaky" in listed
    assert "1 of 1 attempts" in listed
    assert "1 of 1 attempts failed." in words(ada.get(f"/admin/runs/circuit/{circuit.pk}/change/"))
    done = ada.post(f"/admin/runs/circuit/{circuit.pk}/reset/", follow=True)
    assert "The circuit breaker job:shaky is closed" in words(done)
    circuit.refresh_from_db()
    assert (circuit.opened_at, circuit.events.latest("pk").actor) == (None, "ada")


def test_a_program_reads_the_breakers_it_may_see_and_resets_them(
    call: Callable[..., object], job: Job
) -> None:
    answer = call("GET", "/api/stats/circuit-breaker", Scope.READ)
    (found,) = answer.json()["results"]  # type: ignore[attr-defined]
    assert (found["target"], found["state"], found["jobs"]) == ("job:shaky", "open", ["shaky"])
    assert (found["calls"], found["failures"]) == (1, 1)
    assert found["events"][0]["kind"] == "opened"
    other = call("GET", "/api/stats/circuit-breaker", Scope.READ, jobs=(make_job(),))
    assert other.json()["results"] == []  # type: ignore[attr-defined]
    path = "/api/jobs/shaky/reset-circuit"
    assert call("POST", path, Scope.READ).status_code == 403  # type: ignore[attr-defined]
    done = call("POST", path, Scope.RUN)
    assert (done.status_code, done.json()["state"]) == (200, "closed")  # type: ignore[attr-defined]
    assert call("POST", path, Scope.RUN).status_code == 409  # type: ignore[attr-defined]


def test_the_form_refuses_a_shared_breaker_without_one_host(ada: Client) -> None:
    job = make_job(executor="http", configuration={"url": "https://{host}/x", "method": "GET"})
    page = ada.get(f"/admin/jobs/job/{job.pk}/change/")
    form = page.context["adminform"].form
    data = {name: value for name, value in form.initial.items() if value is not None}
    data |= {"circuit_per_host": "on", "tags": "", "schema": "{}", "defaults": "{}"}
    answer = words(ada.post(f"/admin/jobs/job/{job.pk}/change/", data))
    assert "Only an http job whose URL names one host can share its breaker." in answer
