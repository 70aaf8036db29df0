"""jobs.switching: what can be set for several jobs at once."""

import pytest

from jobs import switching
from jobs.models import Job
from tests.factories import make_job


@pytest.mark.django_db
def test_two_who_tag_a_job_that_both_have_read_before_keep_both_tags() -> None:
    job = make_job(tags=["a"])
    one, other = Job.objects.get(pk=job.pk), Job.objects.get(pk=job.pk)
    switching.add_tag(one, "b", by="ada")
    switching.add_tag(other, "c", by="bob")
    job.refresh_from_db()
    assert job.tags == ["a", "b", "c"]
