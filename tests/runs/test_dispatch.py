"""runs.dispatch: hints at a real broker, and who is given them."""

import base64
import json
import os
import signal
import socket
import time
from typing import Any

import pytest
import redis

from runs import dispatch
from runs.direct import PATIENCE_SECONDS, DirectLine
from tests.servers import Servers
from tests.site import SECONDS


@pytest.fixture(autouse=True)
def _no_line_from_before() -> None:
    """A line to the broker of an earlier test looks open until something is written to it."""
    dispatch.publisher._direct._close()


def sent(lane: str) -> None:
    dispatch.hint(lane)
    dispatch.publisher.flush(timeout=60)


def test_a_slot_that_waits_itself_is_given_each_hint_once(broker: redis.Redis) -> None:
    sent("high")
    given = dispatch.hints("high", seconds=SECONDS, is_over=lambda: False)
    next(given)
    assert broker.llen("high") == 0
    sent("high")
    next(given)


def test_waiting_ends_when_it_is_over_and_leaves_what_comes_then(broker: redis.Redis) -> None:
    assert list(dispatch.hints("high", seconds=SECONDS, is_over=lambda: True)) == []
    assert list(dispatch.hints("high", seconds=0, is_over=lambda: False)) == []
    sent("high")
    assert broker.llen("high") == 1


def test_while_the_broker_is_away_a_slot_looks_without_hints_until_it_is_back(
    broker: redis.Redis, servers: Servers
) -> None:
    given = dispatch.hints("high", seconds=0.01, is_over=lambda: False)
    pid = servers.processes["valkey"].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        next(given)
        next(given)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert len(list(given)) <= 1, "its time had passed, and the broker was heard again"


def test_while_hints_for_high_lie_unread_default_is_asked_to_help(broker: redis.Redis) -> None:
    sent("high")
    assert broker.llen("default") == 0
    sent("high")
    assert broker.llen("default") == 1


def test_the_second_hint_of_a_process_goes_out_within_the_call(broker: redis.Redis) -> None:
    sent("default")  # by the thread, which opens the line
    assert dispatch.publisher._direct.is_open
    broker.delete("default")
    dispatch.publisher.hint_at_once("default")
    dispatch.publisher._direct.wait(60)
    by_line = _taken(broker)
    dispatch.hint("default")
    dispatch.publisher.flush(timeout=60)
    by_celery = _taken(broker)
    assert by_line.keys() == by_celery.keys()
    assert {by_line["headers"]["task"], by_celery["headers"]["task"]} == {dispatch.TASK}
    assert base64.b64decode(by_line["body"]) == base64.b64decode(by_celery["body"])


def _taken(broker: redis.Redis) -> dict[str, Any]:
    text = broker.lpop("default")
    assert isinstance(text, bytes)
    sent: dict[str, Any] = json.loads(text)
    return sent


def test_by_the_line_no_more_hints_are_sent_than_wake_every_slot(broker: redis.Redis) -> None:
    sent("high")
    assert dispatch.publisher._direct.is_open
    for _ in range(50):
        dispatch.publisher.hint_at_once("high")
    dispatch.publisher.flush(timeout=60)
    assert broker.llen("high") == dispatch.most_hints("high")
    assert broker.llen("default") == dispatch.most_hints("default")


def test_a_line_that_is_cut_is_opened_again(broker: redis.Redis) -> None:
    sent("default")
    broker.client_kill_filter(_type="normal", skipme=True)
    broker.delete("default")
    dispatch.publisher.hint_at_once("default")  # finds out, and leaves it to the thread
    deadline = time.monotonic() + SECONDS
    while not dispatch.publisher._direct.is_open:
        assert time.monotonic() < deadline
        dispatch.hint("default")
        dispatch.publisher.flush(timeout=60)
    assert broker.llen("default")


def test_a_broker_that_does_not_answer_is_written_to_for_two_seconds() -> None:
    ours, theirs = socket.socketpair()
    line = DirectLine()
    line.open(_Client(ours))
    assert line.send({"default": ("{}", 4)})
    assert line.send({"default": ("{}", 4)})
    line._since -= PATIENCE_SECONDS
    assert not line.send({"default": ("{}", 4)})
    assert not line.is_open
    theirs.close()


class _Client:
    """What a DirectLine asks of a client, around one end of a socket."""

    def __init__(self, end: socket.socket) -> None:
        self.connection_pool, self._sock = self, end

    def make_connection(self) -> "_Client":
        return self

    def connect(self) -> None:
        """It is connected."""

    def disconnect(self) -> None:
        self._sock.close()
