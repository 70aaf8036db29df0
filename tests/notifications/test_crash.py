"""Whoever dies between a run's end and what is told of it: it is told once, or visibly more often."""

import os
import threading
from datetime import timedelta
from typing import Any, Final

import pytest
from django.utils import timezone
from pytest_django import Settings
from pytest_httpserver import HTTPServer

from notifications import senders, sending
from notifications.models import Message, Sending
from runs import lifecycle, telling
from tests.dying import dies
from tests.factories import claim_one, make_channel, make_job, make_rule, make_run, make_slot
from tests.runs.endings import ERROR

# Some 400 lines are passed; every one of them takes more than a minute (HEADWAY_CRASH_STEP=1).
STEP: Final = int(os.environ.get("HEADWAY_CRASH_STEP", "23"))
WATCHED: Final = (
    *("notifications/sending.py", "notifications/carriers/posts.py", "notifications/channels.py"),
    *("runs/telling.py", "runs/tidings.py", "runs/moves.py", "runs/lifecycle.py", "runs/statements.py"),
)


def tell() -> None:
    """What the sweep does, and its senders."""
    telling.take()
    while sending.send_next():
        pass


@pytest.mark.slow
def test_a_process_that_dies_at_whatever_line_leaves_it_told_once_or_visibly_twice(
    own_database: str, settings: Settings, httpserver: HTTPServer
) -> None:
    settings.HTTP_PRIVATE_ALLOWED = ["127.0.0.1"]
    httpserver.expect_request("/hook").respond_with_data("ok")
    job = make_job()
    make_rule("failed", channel=make_channel(address=httpserver.url_for("/hook")))
    line, killed, twice = 0, True, 0
    while killed:
        line += STEP
        run = make_run(job)
        claim = claim_one(make_slot())

        def act(claim: Any = claim) -> None:
            lifecycle.settle([(claim, ERROR)])
            tell()

        killed = dies(act, line=line, watched=WATCHED)
        run.refresh_from_db()
        if run.status == "running":
            lifecycle.settle([(claim, ERROR)])  # it died before the run ended
        Message.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
        tell()
        message = Message.objects.get(run_id=run.pk)
        arrived = [
            request
            for request, _ in httpserver.log
            if request.headers["webhook-id"] == str(message.public_id)
        ]
        outcomes = list(message.sendings.order_by("id").values_list("outcome", flat=True))
        assert message.status == "sent"
        assert 1 <= len(arrived) <= len(outcomes), (line, outcomes)
        assert outcomes[-1] == "sent"
        assert set(outcomes[:-1]) <= {"unknown"}
        twice += len(arrived) > 1
    assert line > 100, "nothing was watched"
    assert twice == 0 or Sending.objects.filter(outcome="unknown").count() >= twice


def test_senders_send_all_that_is_due_and_end(
    own_database: str, settings: Settings, httpserver: HTTPServer
) -> None:
    settings.HTTP_PRIVATE_ALLOWED = ["127.0.0.1"]
    httpserver.expect_request("/hook").respond_with_data("ok")
    assert senders.wake() == 0
    found = [make_channel(address=httpserver.url_for("/hook")) for _ in range(2)]
    for channel in found * 3:
        sending.send_test(channel, by="ada")
    assert senders.wake() == 2
    for thread in [each for each in threading.enumerate() if each.name == "sender"]:
        thread.join(90)
    assert set(Message.objects.values_list("status", "attempts")) == {("sent", 1)}
    assert senders.wake() == 0
