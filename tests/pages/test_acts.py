"""Cancel, retry and re-run from the pages."""

import pytest
from django.test import Client

from jobs.executors import Failed
from runs import lifecycle
from runs.models import Run
from tests.factories import claim_one, make_job, make_run, make_slot
from tests.pages.conftest import text, words

pytestmark = pytest.mark.django_db
ERROR = Failed(reason="error", type="ValueError", message="no", traceback="", retryable=False)
SCHEMA = {
    "properties": {
        "city": {"type": "string", "minLength": 2},
        "count": {"type": "integer", "minimum": 1},
        "token": {"type": "string", "format": "password"},
    },
    "required": ["city", "token"],
}
GIVEN = {"city": "Bonn", "count": 3, "token": "s3cr3t-9"}


@pytest.fixture
def failed(db: None) -> Run:
    run = make_run(make_job(schema=SCHEMA), parameters=GIVEN)
    lifecycle.settle([(claim_one(make_slot()), ERROR)])
    run.refresh_from_db()
    return run


def test_cancelling_a_queued_run_ends_it_and_goes_back_to_where_the_button_was(ada: Client) -> None:
    run = make_run()
    response = ada.post(f"/runs/{run.pk}/cancel/", {"next": "/runs/?status=queued"}, follow=True)
    run.refresh_from_db()
    assert (run.status, run.cancelled_by) == ("cancelled", "ada")
    assert response.redirect_chain == [("/runs/?status=queued", 302)]
    assert f"Run #{run.pk} is cancelled." in text(response)


def test_cancelling_a_running_run_asks_it_to_stop(ada: Client) -> None:
    run = make_run()
    claim_one(make_slot())
    page = words(ada.post(f"/runs/{run.pk}/cancel/", follow=True))
    run.refresh_from_db()
    assert run.is_cancelling
    assert f"Run #{run.pk} was asked to stop." in page
    assert "had already ended, or was asked to stop before" in words(
        ada.post(f"/runs/{run.pk}/cancel/", follow=True)
    )


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_an_act_never_leads_to_another_site(ada: Client, target: str) -> None:
    run = make_run()
    response = ada.post(f"/runs/{run.pk}/cancel/", {"next": target})
    assert response["Location"] == f"/runs/{run.pk}/"


def test_a_retry_is_a_new_run_by_hand_with_the_same_parameters(ada: Client, failed: Run) -> None:
    response = ada.post(f"/runs/{failed.pk}/retry/", follow=True)
    again = Run.objects.latest("pk")
    assert (again.retry_of_id, again.trigger_kind, again.parameters) == (failed.pk, "manual", GIVEN)
    assert response.redirect_chain == [(f"/runs/{again.pk}/", 302)]
    assert f"Started #{again.pk}, a retry of #{failed.pk}." in words(response)
    assert again.cause == f"Retry of #{failed.pk} by ada"


def test_an_open_run_and_a_paused_job_refuse_a_retry_with_the_reason(ada: Client, failed: Run) -> None:
    run = make_run()
    assert "is still queued" in words(ada.post(f"/runs/{run.pk}/retry/", follow=True))
    failed.job.status = "paused"
    failed.job.save()
    assert "was paused" in words(ada.post(f"/runs/{failed.pk}/retry/", follow=True))
    assert Run.objects.count() == 2


def test_the_form_of_a_rerun_holds_what_was_given_but_no_secret(ada: Client, failed: Run) -> None:
    page = text(ada.get(f"/runs/{failed.pk}/rerun/"))
    assert 'value="Bonn"' in page
    assert 'value="3"' in page
    assert "s3cr3t-9" not in page
    assert "Left empty, it stays what it was." in page


def test_a_rerun_takes_the_changes_and_keeps_the_secret_that_was_left_empty(ada: Client, failed: Run) -> None:
    ada.post(f"/runs/{failed.pk}/rerun/", {"p-city": "Köln", "p-count": "4", "p-token": ""})
    again = Run.objects.latest("pk")
    assert (again.retry_of_id, again.parameters) == (
        failed.pk,
        {"city": "Köln", "count": 4, "token": "s3cr3t-9"},
    )
    ada.post(f"/runs/{failed.pk}/rerun/", {"p-city": "Köln", "p-count": "", "p-token": "new-1234"})
    again = Run.objects.latest("pk")
    assert again.parameters == {"city": "Köln", "token": "new-1234"}


def test_a_rerun_with_wrong_parameters_shows_the_form_again_with_what_is_wrong(
    ada: Client, failed: Run
) -> None:
    response = ada.post(f"/runs/{failed.pk}/rerun/", {"p-city": "K", "p-count": "none", "p-token": ""})
    page = words(response)
    assert response.status_code == 422
    assert "'city' is \"K\"; expected a text of at least 2 characters." in page
    assert "'count' is \"none\"; expected a whole number of at least 1." in page
    assert 'value="K"' in page
    assert page.count('aria-invalid="true"') == 2
    assert Run.objects.count() == 1


def test_a_rerun_that_is_refused_says_why(ada: Client, failed: Run) -> None:
    failed.job.status = "inactive"
    failed.job.save()
    response = ada.post(f"/runs/{failed.pk}/rerun/", {"p-city": "Köln"})
    assert response.status_code == 409
    assert "It was not started.</strong> The job" in words(response)


@pytest.mark.parametrize("typed", ["5" * 5000, "²", "0", "101", "soon"])
def test_a_priority_that_is_none_is_said_to_be_none(ada: Client, typed: str) -> None:
    run = make_run()
    answer = ada.post(f"/runs/{run.pk}/priority/", {"priority": typed}, follow=True)
    assert answer.status_code == 200
    assert "is not a priority: expected a whole number from 1 (first) to 100 (last)" in words(answer)
    run.refresh_from_db()
    assert run.priority == 1


@pytest.mark.parametrize("name", ["5" * 5000, "²", "9" * 30])
def test_a_poll_that_names_no_run_finds_none(ada: Client, name: str) -> None:
    assert ada.get("/runs/live/", {"seen": f"{name}:x"}).status_code in {200, 204}
