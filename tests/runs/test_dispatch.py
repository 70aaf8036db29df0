"""runs.dispatch: hints at a real broker, and who is given them."""

import redis

from runs import dispatch


def sent(lane: str) -> None:
    dispatch.hint(lane)
    dispatch.publisher.flush(timeout=10)


def test_a_slot_that_waits_itself_is_given_each_hint_once(broker: redis.Redis) -> None:
    sent("high")
    given = dispatch.hints("high", seconds=10, is_over=lambda: False)
    next(given)
    assert broker.llen("high") == 0
    sent("high")
    next(given)


def test_waiting_ends_when_it_is_over_and_leaves_what_comes_then(broker: redis.Redis) -> None:
    assert list(dispatch.hints("high", seconds=10, is_over=lambda: True)) == []
    assert list(dispatch.hints("high", seconds=0, is_over=lambda: False)) == []
    sent("high")
    assert broker.llen("high") == 1


def test_while_hints_for_high_lie_unread_default_is_asked_to_help(broker: redis.Redis) -> None:
    sent("high")
    assert broker.llen("default") == 0
    sent("high")
    assert broker.llen("default") == 1
