"""Every operation of the document asks who is there and what they may, whatever else it does."""

import io
from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.conf import settings

from config.api.documents import document
from jobs.models import Job
from notifications import sending
from runs import bulk, deliveries, orders
from runs.models import Run
from tests.api.conftest import NewKey, Program
from tests.factories import (
    make_dependency,
    make_event,
    make_job,
    make_owner,
    make_rule,
    make_run,
    make_schedule,
    make_source,
)
from triggers import keys
from triggers.models import Scope, Trigger

pytestmark = pytest.mark.django_db

Operation = tuple[str, str]
FOREIGN: Final = "somebody-elses"
# Who may call it is proved by a signature, not by a key.
SIGNED: Final = "/api/events/{public_id}"
# What belongs to no job: a key for some jobs may read it, and needs a person's permission to change it.
SHARED: Final = ("/api/calendars", "/api/lanes", "/api/workers")
# They change nothing, and are told much.
ASKING: Final = ("/preview", "/validate-dependency")
MEGABYTE: Final = 1024 * 1024


def operations() -> Iterator[Operation]:
    for path, methods in document()["paths"].items():
        for method in methods:
            if path != SIGNED:
                yield method.upper(), path


def there() -> dict[str, Any]:
    """A job with one of all that may hang on it, by the names that paths have for them."""
    job = make_job(slug=FOREIGN)
    trigger = make_schedule(job, name="foreign schedule")
    make_dependency(job)
    run = make_run(job)
    channel_rule = make_rule("failed", job=job)
    operation = bulk.order(Run.objects.filter(pk=run.pk), act="cancel", words="all runs", user=None)
    return {
        "slug": FOREIGN,
        "run": run.pk,
        "trigger": trigger.pk,
        "campaign": orders.order(orders.Order(job=job, name="spring"), [(1, {"key": "a"})]).campaign.pk,
        "delivery": deliveries.send_test(make_event(job)[0]).delivery.pk,
        "source": make_source("queue", options={"stream": "orders"}, secret="redis://localhost/0").pk,
        "rule": channel_rule.pk,
        "channel": channel_rule.channel_id,
        "message": sending.send_test(channel_rule.channel, by="ada").pk,
        "key": keys.issue(name="theirs", owner=make_owner(), scopes=Scope.values)[0].public_id,
        "number": operation.pk,
    }


def call(program: Program, operation: Operation, named: dict[str, Any], **headers: str) -> Any:
    method, path = operation
    return program.call(
        method,
        path.format_map(named | {"lane": "bulk", "worker": 1, "calendar": 1, "change": 1, **named}),
        data=b"{}",
        content_type="application/json",
        headers=headers,
    )


def test_without_a_key_nothing_answers(stranger: Program) -> None:
    named = there()
    wrong = [each for each in operations() if call(stranger, each, named).status_code != 401]
    assert not wrong


def test_a_key_that_may_read_changes_nothing(new_key: NewKey) -> None:
    program, named = new_key(scopes=(Scope.READ,)), there()
    changing = [each for each in operations() if each[0] != "GET" and not each[1].endswith(ASKING)]
    told = {each: call(program, each, named).status_code for each in changing}
    assert {each: status for each, status in told.items() if status != 403} == {}


def test_a_key_for_one_job_finds_nothing_of_another(new_key: NewKey) -> None:
    named = there()
    program = new_key(jobs=(make_job(slug="mine"),))
    before = state()
    found = {}
    for each in operations():
        if "{" in each[1] and not each[1].startswith(SHARED):
            answer = call(program, each, named)
            found[each] = answer.status_code
    assert {each: status for each, status in found.items() if status not in {400, 403, 404}} == {}
    assert state() == before


def test_a_key_for_one_job_reads_of_no_other_in_any_list(new_key: NewKey) -> None:
    there()
    program = new_key(jobs=(make_job(slug="mine"),))
    lists = [each for each in operations() if each[0] == "GET" and "{" not in each[1]]
    answers = {each: call(program, each, {}) for each in lists}
    assert [each for each, answer in answers.items() if FOREIGN in answer.content.decode()] == []


def state() -> list[Any]:
    """What a stranger's call could have changed."""
    return [
        list(Job.objects.filter(slug=FOREIGN).values_list()),
        list(Trigger.objects.filter(job__slug=FOREIGN).order_by("pk").values_list()),
        list(Run.objects.filter(job__slug=FOREIGN).order_by("pk").values_list()),
    ]


class Body(io.RawIOBase):
    """Fifty megabytes of which nobody has more than is asked for; `read_bytes` were."""

    size = 50 * MEGABYTE
    read_bytes = 0

    def read(self, size: int = -1) -> bytes:
        size = min(size if size >= 0 else self.size, self.size - self.read_bytes)
        self.read_bytes += size
        return b" " * size


def test_fifty_megabytes_are_refused_by_each_operation_and_not_read(program: Program) -> None:
    named = dict.fromkeys(("campaign", "change", "channel", "delivery", "rule", "message", "number"), "1")
    named |= dict.fromkeys(("run", "trigger", "source", "worker", "calendar"), "1")
    named |= {"slug": "a", "lane": "bulk", "key": "x", "public_id": "00000000-0000-0000-0000-000000000000"}
    wrong = []
    for method, path in [*operations(), ("POST", SIGNED)]:
        if method == "GET" or path == "/api/campaigns" or path.startswith("/api/recipient-lists"):
            continue  # a campaign's recipients may be many: see the chaos suite's row `million`
        body = Body()
        whole = {"wsgi.input": body, "CONTENT_LENGTH": str(body.size), "CONTENT_TYPE": "application/json"}
        answer = program.call(method, path.format_map(named), **whole)
        refused = 400 <= answer.status_code < 500
        if not refused or body.read_bytes > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            wrong.append((method, path, answer.status_code, body.read_bytes))
    assert wrong == []
