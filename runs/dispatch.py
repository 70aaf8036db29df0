"""The only door to the broker: hints that a lane has work, sent off the request path.

A hint carries no state. Losing one delays a run by a sweep at most; sending one too many costs an empty
look. So a hint is written without waiting (`runs.direct`) or handed to a thread: a launch costs its caller the
same whether the broker lives, is gone, or is frozen (docs/engine.md, Publish).
"""

import atexit
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu import Connection

from jobs.priority import LANES
from runs.direct import ID, DirectLine

log = structlog.get_logger(__name__)

TASK = "runs.work"
TEND = "runs.tend"
# Enough hints to wake each slot of a lane, few enough that no queue builds up in the broker.
HINTS_A_SLOT = 2
# How often whoever waits for hints looks whether he still should.
LOOK_SECONDS = 0.5
# For who looks at the broker and would rather know nothing than wait.
_IMPATIENT = {"socket_timeout": 1, "socket_connect_timeout": 1, "max_retries": 0}


def hint_after_commit(lane: str) -> None:
    """Sends one hint for `lane` once the transaction is committed; an error never reaches the caller."""
    transaction.on_commit(partial(publisher.hint_at_once, lane), robust=True)


def hint(lane: str, count: int = 1) -> None:
    """Hands `count` hints for `lane` to the publisher; returns at once."""
    publisher.hint(lane, count)


def top_up(lane: str, wanted: int) -> None:
    """Sees that at least `wanted` hints for `lane` are in the broker, as far as that is worth it."""
    publisher.hint(lane, 0, wanted=wanted)


def tend_after_commit(campaign: int) -> None:
    """Has a slot of the lane bulk tend the campaign once the transaction is committed; the sweep would, later."""
    transaction.on_commit(partial(publisher.tend, campaign), robust=True)


def hints(lane: str, *, seconds: float, is_over: Callable[[], bool]) -> Iterator[None]:
    """Yields each hint for `lane` that this process is given, until `seconds` have passed or `is_over()`.

    It waits at the broker itself, which saves the way through the worker's main process. Only for a lane
    whose queue holds nothing but hints. While the broker is away it yields without hints, every few seconds and
    until the broker is heard again: Celery could wake nobody, and what is in the database need not wait. Never raises.
    """
    until, is_away = time.monotonic() + seconds, False
    while not is_over():
        try:
            with current_app.producer_pool.acquire(block=True, timeout=2) as producer:
                client = producer.connection.default_channel.client
                while not is_over():
                    if client.brpop([lane], timeout=LOOK_SECONDS):
                        yield
                    is_away = False
                    if time.monotonic() >= until:
                        return
        except Exception as error:  # whatever the broker's client throws
            if not is_away:
                log.warning("hints_not_heard", lane=lane, error=str(error))
            is_away = True
            time.sleep(LOOK_SECONDS)
        yield


def most_hints(lane: str) -> int:
    """How many hints of a lane may be in the broker at a time."""
    slots = settings.LANE_SLOTS.get(lane) or os.cpu_count() or 1
    return HINTS_A_SLOT * slots


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """The broker as it was found just now: `error` says why nothing else is known, and is empty otherwise."""

    address: str  # without a password
    error: str = ""
    version: str = ""
    ping_seconds: float | None = None
    memory_bytes: int | None = None
    # How many hints lie unread for each lane.
    hints: Mapping[str, int] = field(default_factory=dict)


def look() -> Broker:
    """Asks the broker how it is; waits about a second at most for one that does not answer."""
    address = current_app.connection_for_write().as_uri()
    try:
        with current_app.connection_for_write(
            connect_timeout=1, transport_options={**current_app.conf.broker_transport_options, **_IMPATIENT}
        ) as broker:
            client = broker.default_channel.client
            begun = time.perf_counter()
            client.ping()
            seconds = time.perf_counter() - begun
            told = client.info()
            return Broker(
                address=address,
                version=str(told.get("valkey_version") or told.get("redis_version", "")),
                ping_seconds=seconds,
                memory_bytes=told.get("used_memory"),
                hints={lane: client.llen(lane) for lane in LANES},
            )
    except Exception as error:  # whatever the broker's client throws: the page says so
        return Broker(address=address, error=str(error) or type(error).__name__)


class Publisher:
    """A thread that sends what was handed to it: one a process, started when there is something to send.

    Hints of one lane that wait together are worth one: whoever wakes looks for more work until there is
    none. After a failed send the rest is dropped, because the sweep sends again what is still queued.
    """

    def __init__(self) -> None:
        # For each lane: how many hints to add, and how many there must be at least.
        self._waiting: dict[str, tuple[int, int]] = {}
        # Campaigns that are to be tended.
        self._tended: set[int] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._busy = False
        self._direct = DirectLine()

    def hint_at_once(self, lane: str) -> None:
        """Sends one hint, by the direct line if there is one."""
        if not (self._direct.is_open and self._direct.send(_templates(lane))):
            self.hint(lane)

    def hint(self, lane: str, count: int = 1, *, wanted: int = 0) -> None:
        """Adds hints to be sent and sees that the thread of this very process is there to send them."""
        with self._changed:
            new, least = self._waiting.get(lane, (0, 0))
            self._waiting[lane] = (new + count, max(least, wanted))
            self._wake()

    def tend(self, campaign: int) -> None:
        """Has the campaign tended."""
        with self._changed:
            self._tended.add(campaign)
            self._wake()

    def _wake(self) -> None:
        if self._pid != os.getpid() or self._thread is None or not self._thread.is_alive():
            self._pid = os.getpid()
            self._thread = threading.Thread(target=self._send_for_ever, name="publisher", daemon=True)
            self._thread.start()
        self._changed.notify()

    def flush(self, timeout: float = 1.0) -> None:
        """Waits until all is sent, at most `timeout` seconds: for a command that ends after a launch."""
        with self._changed:
            if self._pid == os.getpid():
                self._changed.wait_for(lambda: not self._is_wanted() and not self._busy, timeout)
                self._direct.wait(timeout)

    def after_fork(self) -> None:
        """In a forked child: forgets the parent's thread, whose lock may be held for ever here."""
        self.__init__()  # type: ignore[misc]

    def _send_for_ever(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(self._is_wanted)
                batch, self._waiting = self._waiting, {}
                tended, self._tended = self._tended, set()
                self._busy = True
            # The lane that must never wait goes first.
            for lane in sorted(batch, key=_urgency):
                self._send(lane, *batch[lane])
            for campaign in tended:
                self._send_tending(campaign)

    def _is_wanted(self) -> bool:
        return bool(self._waiting or self._tended)

    def _send_tending(self, campaign: int) -> None:
        try:
            with current_app.producer_pool.acquire(block=True, timeout=2) as producer:
                _send_task(producer, TEND, campaign, queue="bulk")
        except Exception as error:  # as below: the sweep tends it
            log.warning("hint_not_sent", campaign_id=campaign, error=str(error))

    def _send(self, lane: str, new: int, least: int) -> None:
        """Sends hints, but no more than wake every slot: each slot that wakes looks for all there is."""
        try:
            with current_app.producer_pool.acquire(block=True, timeout=2) as producer:
                client = producer.connection.default_channel.client
                there = client.llen(lane)
                for _ in range(min(max(new, least - there), most_hints(lane) - there)):
                    _send_task(producer, TASK, lane, queue=lane)
                # If nobody takes the hints of high, all its slots are busy.
                if lane == "high" and there and client.llen("default") < most_hints("default"):
                    _send_task(producer, TASK, lane, queue="default")
                if not self._direct.is_open:
                    self._direct.open(client)
        except Exception as error:  # whatever the broker's client throws: the sweep will send again
            log.warning("hint_not_sent", lane=lane, error=str(error))


def _send_task(producer: Any, task: str, argument: str | int, *, queue: str) -> None:
    options = {"producer": producer, "ignore_result": True, "retry": False}
    current_app.send_task(task, args=[argument], queue=queue, **options)


def _templates(lane: str) -> dict[str, tuple[str, int]]:
    """What the direct line needs for a hint: for the lane, and for that which helps it out."""
    helpers = ("default",) if lane == "high" else ()
    return {queue: (_template(lane, queue), most_hints(queue)) for queue in (lane, *helpers)}


@cache
def _template(lane: str, queue: str) -> str:
    """A hint for `lane` as it lies in the broker's `queue`, with a mark for its id: made once, not each time."""
    with Connection("memory://") as connection, current_app.amqp.Producer(connection) as producer:
        current_app.send_task(
            TASK, args=[lane], queue=queue, task_id=ID, producer=producer, ignore_result=True, retry=False
        )
        message = producer.connection.default_channel.basic_get(queue, no_ack=True)
    made = message.serializable()
    made["properties"]["delivery_tag"] = ID
    return json.dumps(made)


def _urgency(lane: str) -> int:
    return LANES.index(lane)


publisher = Publisher()
os.register_at_fork(after_in_child=publisher.after_fork)
atexit.register(publisher.flush)
