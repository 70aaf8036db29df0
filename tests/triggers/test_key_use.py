"""triggers.key_use and triggers.key_report: how often a key is used, and what stops without it."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import make_job, make_schedule, make_user
from triggers import key_use, keys
from triggers.key_report import report
from triggers.models import KeyUse

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_counted_before() -> Iterator[None]:
    """What other tests counted in this process, and what this one leaves, is nobody's."""
    key_use._uses.clear()
    key_use._former.clear()
    yield
    key_use._uses.clear()
    key_use._former.clear()


def test_uses_are_written_together_by_job_and_hour() -> None:
    job, now = make_job(), timezone.now()
    key, _ = keys.issue(name="ci", owner=make_user())
    for slug in (job.slug, job.slug, "", "no-such-job"):
        key_use.called(key, slug=slug, now=now)
    key_use.launched(key, job=job)
    assert not KeyUse.objects.exists()
    key_use.flush()
    key_use.called(key, slug=job.slug, now=now)
    key_use.called(key, slug="", now=now)
    key_use.flush()
    assert set(KeyUse.objects.values_list("job", "calls", "launches")) == {(job.pk, 3, 1), (None, 3, 0)}


def test_calls_with_the_former_secret_are_counted_since_the_rotation() -> None:
    key, first = keys.issue(name="ci", owner=make_user())
    second = keys.rotate(key, overlap=timedelta(days=1), now=timezone.now())
    for text in (first, first, second):
        found = keys.verify(text)
        assert found is not None
        key_use.called(found, slug="", now=timezone.now())
    key_use.flush()
    key.refresh_from_db()
    assert (key.former_calls, key.former_used_at is not None) == (2, True)
    assert any("2 calls with the former secret" in flag for flag in key.flags(timezone.now()))


def test_the_uses_of_a_key_that_is_gone_are_dropped() -> None:
    key, _ = keys.issue(name="ci", owner=make_user())
    key_use.called(key, slug="", now=timezone.now())
    key.delete()
    key_use.flush()
    assert not KeyUse.objects.exists()


def test_the_report_says_what_stops_and_what_goes_on() -> None:
    now, key = timezone.now(), keys.issue(name="ci", owner=make_user())[0]
    alone, scheduled, read = make_job(name="Alone"), make_job(name="Nightly"), make_job(name="Read")
    make_schedule(scheduled, name="at two")
    for job, launches in ((alone, 3), (scheduled, 2), (read, 0)):
        KeyUse.objects.create(key=key, job=job, hour=now - timedelta(days=1), calls=5, launches=launches)
    KeyUse.objects.create(key=key, hour=now.replace(minute=0, second=0, microsecond=0), calls=7)
    found = report(key, now=now)
    assert [use.sentence for use in found.jobs] == [
        "3 runs of Alone were started with it. Nothing else starts it.",
        "2 runs of Nightly were started with it. It is also started by the schedule at two.",
        "7 calls that are about no single job, such as lists of runs.",
        "5 calls about Read; none of them started it.",
    ]
    assert (found.calls, found.hours[-1], len(found.hours)) == (22, 7, 24)


def test_old_uses_are_dropped() -> None:
    key, _ = keys.issue(name="ci", owner=make_user())
    now = timezone.now()
    for days in (91, 89):
        KeyUse.objects.create(key=key, hour=now - timedelta(days=days), calls=1)
    key_use.prune(now)
    assert KeyUse.objects.count() == 1
