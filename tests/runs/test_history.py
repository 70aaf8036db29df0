"""What a run says of its attempts, whatever became of each."""

import pytest

from jobs.executors import Failed, Succeeded
from runs import lifecycle
from runs.models import Run
from tests import factories

pytestmark = pytest.mark.django_db

ERROR = Failed(reason="error", type="ValueError", message="no", traceback="")


def outcomes(run: Run) -> list[tuple[int, str]]:
    run.refresh_from_db()
    return [(attempt["attempt"], attempt["outcome"]) for attempt in run.history()]


def test_an_attempt_that_follows_an_interrupted_one_is_shown_beside_it() -> None:
    run, slot = factories.make_run(), factories.make_slot()
    claim = factories.claim_one(slot)
    lifecycle.give_back([(claim.id, claim.token)])
    assert outcomes(run) == [(1, "interrupted")]

    again = factories.claim_one(slot)
    assert outcomes(run) == [(1, "interrupted"), (1, "running")]

    lifecycle.settle([(again, Succeeded(result=None))])
    assert outcomes(run) == [(1, "interrupted"), (1, "succeeded")]


def test_a_run_given_back_after_a_failed_attempt_has_no_attempt_while_it_waits() -> None:
    run, slot = factories.make_run(factories.make_job(max_attempts=3)), factories.make_slot()
    lifecycle.settle([(factories.claim_one(slot), ERROR)])
    lifecycle.enqueue()
    claim = factories.claim_one(slot)
    lifecycle.give_back([(claim.id, claim.token)])
    assert outcomes(run) == [(1, "error"), (2, "interrupted")]


def test_an_attempt_between_two_retries_says_when_it_began_and_is_there_once() -> None:
    run, slot = factories.make_run(factories.make_job(max_attempts=3)), factories.make_slot()
    lifecycle.settle([(factories.claim_one(slot), ERROR)])
    assert outcomes(run) == [(1, "error")]
    assert run.history()[0]["started_at"] is not None
