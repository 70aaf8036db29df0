"""triggers.dependencies: who follows whom, when a dependency fires, and that no circle is ever closed."""

from itertools import pairwise
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from jobs.models import Job
from tests.factories import make_dependency, make_job
from triggers import dependencies
from triggers.models import Condition, Trigger, Upstream

pytestmark = pytest.mark.django_db


def chain_of(*slugs: str) -> list[Job]:
    """Jobs of which each follows the one before."""
    jobs = [make_job(slug=slug) for slug in slugs]
    for before, after in pairwise(jobs):
        make_dependency(before, job=after)
    return jobs


def test_a_circle_is_refused_with_the_chain() -> None:
    a, _, _, d = chain_of("a", "b", "c", "d")
    with pytest.raises(
        dependencies.CircularDependency, match=r"'a' can't follow 'd'.*a → b → c → d → a"
    ) as caught:
        make_dependency(d, job=a)
    assert caught.value.chain == ["a", "b", "c", "d", "a"]
    assert not Trigger.objects.filter(job=a, kind="dependency").exists()


def test_a_job_cannot_follow_itself() -> None:
    job = make_job(slug="a")
    with pytest.raises(dependencies.CircularDependency, match="a → a"):
        make_dependency(job, job=job)


def test_a_disabled_trigger_counts_for_circles_so_that_enabling_it_closes_none() -> None:
    a, b = make_job(), make_job()
    make_dependency(a, job=b, enabled=False)
    with pytest.raises(dependencies.CircularDependency):
        make_dependency(b, job=a)


def test_an_edit_of_a_trigger_counts_without_the_edges_it_had() -> None:
    a, b = chain_of("a", "b")
    trigger = Trigger.objects.get(job=b, kind="dependency")
    other = make_job(slug="c")
    make_dependency(b, job=other)
    dependencies.save(trigger, upstreams=[make_job(slug="d")])
    make_dependency(b, job=a)
    with pytest.raises(dependencies.CircularDependency):
        dependencies.save(trigger, upstreams=[a])
    assert list(trigger.upstreams.values_list("slug", flat=True)) == ["d"]


def test_what_may_come_first_is_what_does_not_come_after() -> None:
    a, b, c = chain_of("a", "b", "c")
    other = make_job(slug="other")
    assert set(dependencies.available_upstream(b)) == {a, other}
    assert set(dependencies.available_upstream(a)) == {other}
    assert set(dependencies.available_upstream(c)) == {a, b, other}


def test_the_database_refuses_a_circle_from_whatever_way() -> None:
    a, _, c = chain_of("a", "b", "c")
    trigger = make_dependency(make_job(), job=a)
    with pytest.raises(IntegrityError, match="come after itself"), transaction.atomic():
        Upstream.objects.create(trigger=trigger, job=c)
    with pytest.raises(IntegrityError, match="come after itself"), transaction.atomic():
        Upstream.objects.filter(trigger=trigger).update(job=a)


def test_one_statement_cannot_close_a_circle_by_its_own_rows() -> None:
    a, b = make_job(), make_job()
    before, after = make_dependency(make_job(), job=a), make_dependency(make_job(), job=b)
    with pytest.raises(IntegrityError, match="come after itself"), transaction.atomic():
        Upstream.objects.bulk_create([Upstream(trigger=before, job=b), Upstream(trigger=after, job=a)])


def test_a_dependency_keeps_its_job() -> None:
    trigger = make_dependency()
    with pytest.raises(IntegrityError, match="keeps its job"), transaction.atomic():
        Trigger.objects.filter(pk=trigger.pk).update(job=make_job())


def test_only_a_dependency_or_a_schedule_has_upstreams() -> None:
    remote = make_job().triggers.get(kind="remote")
    with pytest.raises(IntegrityError, match="Only a dependency or a schedule"), transaction.atomic():
        Upstream.objects.create(trigger=remote, job=make_job())


def test_a_job_that_others_follow_cannot_be_deleted() -> None:
    upstream = make_job()
    make_dependency(upstream)
    with pytest.raises(ProtectedError):
        upstream.delete()


def test_every_edit_of_the_upstreams_is_a_new_version_of_the_trigger() -> None:
    trigger = make_dependency()
    version = trigger.version
    dependencies.save(trigger, upstreams=[make_job()])
    assert trigger.version > version
    version = trigger.version
    dependencies.save(trigger, upstreams=list(trigger.upstreams.all()))
    assert trigger.version == version


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"condition": "on_monday"}, "condition"),
        ({"condition": ""}, "condition"),
        ({"delay_minutes": 61}, "delay_minutes"),
        ({"delay_minutes": -1}, "delay_minutes"),
        ({"window_minutes": 0}, "window_minutes"),
        ({"needs": "most"}, "needs"),
        ({"mapping": {"x": "no pointer"}}, "mapping"),
        ({"parameters": []}, "parameters"),
        ({"cron": "* * * * *"}, "cron"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_the_name_of_its_field(
    fields: dict[str, Any], where: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        make_dependency(**fields)
    assert where in caught.value.message_dict


def test_a_dependency_needs_something_to_follow() -> None:
    with pytest.raises(ValidationError, match="at least one job"):
        dependencies.save(Trigger(job=make_job(), condition="on_success"), upstreams=[])


@pytest.mark.parametrize("fields", [{"condition": "on_success"}, {"delay_minutes": 1}, {"needs": "all"}])
def test_the_database_keeps_conditions_and_delays_from_other_kinds(fields: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match="trigger_condition_of_dependency"), transaction.atomic():
        make_job().triggers.filter(kind="remote").update(**fields)


@pytest.mark.parametrize(
    ("condition", "fires"),
    [
        (Condition.ON_SUCCESS, {"succeeded"}),
        (Condition.ON_FAILURE, {"failed"}),
        (Condition.ON_COMPLETION, {"succeeded", "failed", "cancelled"}),
    ],
)
def test_a_condition_fires_on_its_endings_and_says_why_not_on_the_others(
    condition: Condition, fires: set[str]
) -> None:
    trigger = Trigger(condition=condition)
    objections = {
        status: dependencies.objection(trigger, status=status)
        for status in ("succeeded", "failed", "cancelled", "skipped")
    }
    assert {status for status, why in objections.items() if why is None} == fires
    assert "skipped run fires none" in str(objections["skipped"])
    trigger.enabled = False
    assert dependencies.objection(trigger, status="succeeded") == "The trigger is disabled."
