"""runs.statements: when a connection's plans have had their time."""

import pytest

from runs import execution, statements, workers
from tests.factories import make_run, make_slot
from tests.site import SECONDS


@pytest.mark.django_db
def test_statements_are_planned_anew_whenever_the_runs_have_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "_good_until", 0)
    answers = [statements.grown_to(run_id) for run_id in (10, 500, 1_020, 1_021, 3_000, 3_043)]
    assert answers == [True, False, False, True, False, True]


@pytest.mark.django_db(transaction=True)
def test_a_slot_notices_by_the_runs_that_it_claims_how_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slot = workers.Slot(process_id=make_slot().pk, name="worker@test:1")
    monkeypatch.setattr(workers, "_slot", slot)
    monkeypatch.setattr(statements, "_good_until", 0)
    run = make_run()
    assert execution.drain("high", seconds=SECONDS) == 1
    assert not statements.grown_to(run.pk)
