"""`manage.py prove_priority` on a site with real workers: what it proves, what it refutes, what it refuses."""

from collections.abc import Sequence
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from jobs.executors import Succeeded
from runs import lifecycle, proving
from runs.models import Run
from tests.factories import claim, make_run, make_slot
from tests.site import Site


@pytest.fixture
def open_site(site: Site) -> Site:
    """A site with the declared jobs in its database."""
    call_command("sync_jobs", verbosity=0)
    return site


def prove(*arguments: str) -> tuple[int, str]:
    """What the command exits with, and what it says."""
    said = StringIO()
    try:
        call_command("prove_priority", *arguments, stdout=said)
    except SystemExit as ended:
        return int(str(ended.code)), said.getvalue()
    return 0, said.getvalue()


def tagged() -> Sequence[str]:
    return list(Run.objects.filter(tags__contains=["prove-priority"]).values_list("lane", flat=True))


@pytest.mark.slow
def test_triggers_do_not_wait_for_bulk_that_has_workers_of_its_own(open_site: Site) -> None:
    open_site.start_worker("high", lanes="high")
    open_site.start_worker("bulk", lanes="bulk", slots=1)
    work = ("--job=sleep", '--parameters={"seconds": 0.04}')
    code, said = prove("--bulk=100", "--triggers=5", "--limit=60000", *work)
    assert code == 0, said
    assert "100 of 100 runs of sleep ended" in said
    assert "5 of 5 runs were queued beside bulk runs" in said
    assert "Proved: no trigger waited longer than 60000 ms" in said
    assert sorted(tagged()) == ["bulk"] * 100 + ["high"] * 5


@pytest.mark.slow
def test_triggers_that_share_their_only_slot_with_bulk_are_found_out(open_site: Site) -> None:
    open_site.start_worker("all", lanes="high,bulk", slots=1)
    code, said = prove(
        "--bulk=12", "--triggers=2", "--limit=50", "--job=sleep", '--parameters={"seconds": 0.2}'
    )
    assert code == 1
    assert "Refuted" in said


@pytest.mark.usefixtures("open_site")
def test_triggers_without_a_worker_prove_nothing() -> None:
    code, said = prove("--bulk=5", "--triggers=2", "--patience=0.5")
    assert code == 1
    assert "Not proved: 2 of 2 triggers did not start" in said


@pytest.mark.django_db
def test_triggers_prove_nothing_that_came_when_bulk_was_over() -> None:
    slot = make_slot()
    bulk = [make_run(priority=100) for _ in range(2)]
    lifecycle.settle([(each, Succeeded()) for each in claim(slot, lane="bulk", limit=2)])
    triggers = [make_run(priority=1)]
    claim(slot)
    seen = [[Run.objects.get(pk=run.pk) for run in runs] for runs in (bulk, triggers)]
    proof = proving.judge(proving.Plan(job=bulk[0].job), bulk=seen[0], triggers=seen[1])
    assert (proof.beside, proof.holds) == (0, False)
    assert "no bulk run was left when the first trigger was queued" in proof.verdict


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--job=nobody", "--job is 'nobody'; expected the slug of a job of this site."),
        ("--bulk=0", "--bulk is 0; expected 1 or more."),
        ("--limit=nan", "--limit is nan; expected a number above 0."),
        ("--limit=-1", "--limit is -1; expected a number above 0."),
        ("--patience=inf", "--patience is inf; expected a number above 0."),
        ("--parameters=[1]", "--parameters is '[1]'; expected a JSON object."),
    ],
)
def test_what_can_not_be_proved_is_refused(argument: str, message: str) -> None:
    call_command("sync_jobs", verbosity=0)
    with pytest.raises(CommandError) as refused:
        prove(argument)
    assert str(refused.value) == message
