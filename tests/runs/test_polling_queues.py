"""runs.polling with streams of a real Valkey: what a dead poller held, or did not acknowledge, comes once."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from runs import deliveries, polling
from runs.models import Run
from runs.polling import Polled
from tests.factories import make_source
from tests.runs.test_polling import look
from tests.servers import SERVERS, Servers
from triggers import sources
from triggers.models import Delivery, Sighting, Source
from triggers.sources.base import Unreachable

pytestmark = pytest.mark.django_db


@pytest.fixture
def valkey(servers: Servers) -> Iterator[Any]:
    """A server with an empty database beside the broker's."""
    with redis.Redis(unix_socket_path=str(servers.valkey.socket), db=5) as client:
        client.flushdb()
        yield client


def polled(**fields: Any) -> Source:
    given = {"options": {"stream": "orders", **fields.pop("options", {})}, "begin": "beginning", **fields}
    return make_source("queue", secret=f"unix://{SERVERS.valkey.socket}?db=5", **given)


def pending(valkey: Any) -> int:
    return int(valkey.xpending("orders", group(Source.objects.get()))["pending"])


def group(source: Source) -> str:
    return f"headway-{source.public_id}"


def bodies() -> list[bytes]:
    return [bytes(body) for body in Delivery.objects.order_by("pk").values_list("body", flat=True)]


def test_each_entry_is_one_delivery_and_acknowledged(valkey: Any) -> None:
    valkey.xadd("orders", {"type": "order.paid", "id": "1"}, id="5-1")
    source = polled()
    assert [each.payload["id"] for each in polling.try_out(source).found] == ["1"]
    assert look(source) == Polled(found=1)
    valkey.xadd("orders", {"id": "2"})
    assert [each.payload["id"] for each in polling.try_out(source).found] == ["2"]
    assert look(source) == Polled(found=1)
    assert look(source) == Polled(found=0)
    assert bodies() == [b'{"type": "order.paid", "id": "1"}', b'{"id": "2"}']
    first = Delivery.objects.order_by("pk")[0]
    assert (first.event, first.key) == ("order.paid", f"{source.pk}:5-1")
    assert (pending(valkey), Sighting.objects.count()) == (0, 0)


def test_from_now_on_only_what_is_added(valkey: Any) -> None:
    valkey.xadd("orders", {"id": "old"})
    source = polled(begin="now")
    assert look(source) == Polled(found=0)
    valkey.xadd("orders", {"id": "new"})
    assert look(source) == Polled(found=1)


def test_what_was_not_acknowledged_comes_again_and_starts_nothing(
    valkey: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = polled()
    valkey.xadd("orders", {"id": "1"})
    with monkeypatch.context() as broken:
        broken.setattr(sources.KINDS["queue"], "release", _fail)
        assert "gone away" in look(source).error
    assert (Run.objects.count(), pending(valkey)) == (1, 1)
    assert look(source) == Polled(found=0)
    assert (Run.objects.count(), pending(valkey), Delivery.objects.get().repeats) == (1, 0, 1)


def test_what_a_dead_poller_held_is_found_by_the_next_one(
    valkey: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = polled()
    valkey.xadd("orders", {"id": "1"})
    with monkeypatch.context() as dying:
        dying.setattr(deliveries, "put", _die)
        with pytest.raises(KeyboardInterrupt):
            look(source)
    assert (Delivery.objects.count(), pending(valkey)) == (0, 1)
    Source.objects.update(claim=None, claimed_until=None)
    assert look(source) == Polled(found=1)
    assert pending(valkey) == 0


def test_a_server_that_lost_everything_is_read_from_its_start(valkey: Any) -> None:
    source = polled(begin="now")
    look(source)
    valkey.xadd("orders", {"id": "1"}, id="7-1")
    look(source)
    valkey.flushdb()
    valkey.xadd("orders", {"id": "1"}, id="7-1")
    valkey.xadd("orders", {"id": "2"}, id="7-2")
    assert look(source) == Polled(found=1)
    assert Run.objects.count() == 2


def test_an_entry_that_was_deleted_meanwhile_holds_nobody_up(valkey: Any) -> None:
    source = polled()
    look(source)
    number = valkey.xadd("orders", {"id": "1"})
    valkey.xreadgroup(group(source), "headway", {"orders": ">"})
    valkey.xdel("orders", number)
    assert look(source) == Polled(found=0)
    assert pending(valkey) == 0


def test_a_field_with_json_is_the_payload_and_what_is_none_is_in_the_inbox(valkey: Any) -> None:
    source = polled(options={"field": "data"})
    for text in ('{"type": "paid", "n": 1}', "[1, 2]", "{", '"\\ud800"'):
        valkey.xadd("orders", {"data": text})
    valkey.xadd("orders", {"other": b"\xff"})
    assert look(source).found == 5
    told = Delivery.objects.order_by("pk").values_list("verdict", "event")
    good, bad = ("accepted", "entry"), ("unreadable", "entry")
    assert list(told) == [("accepted", "paid"), good, bad, good, bad]
    assert pending(valkey) == 0


def test_errors_are_told_without_the_address(valkey: Any) -> None:
    valkey.set("orders", "no stream")
    source = polled()
    assert "WRONGTYPE" in look(source).error
    other = make_source("queue", secret="redis://user:hunter2@127.0.0.1:1/0", options={"stream": "x"})
    told = look(other).error
    assert "can't be read: ConnectionError" in told
    assert "hunter2" not in told


@pytest.mark.parametrize("secret", ["http://x", "redis://", "x", "redis://h:port", ""])
def test_an_address_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="expected one that begins with redis"):
        sources.KINDS["queue"].check_secret(secret)


def _fail(*_: Any) -> None:
    raise Unreachable("It has gone away.")


def _die(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt
