"""Clients that send every POST again and again, and a broker that delivers every hint ten times."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Final

import httpx2

from runs.models import Campaign, Run
from tests.chaos.arena import Arena
from tests.chaos.ledger.crashes import REPEAT
from tests.chaos.ledger.jobs import SLUG
from tests.chaos.sizes import Sizes
from tests.chaos.tally import Row, count
from tests.factories import make_schedule

PATIENCE: Final = 90.0
TIMES: Final = 10
CLIENTS: Final = 6
# A client that gives up so early mostly has no answer, and cannot know whether there is a run.
HASTY_SECONDS: Final = 0.02
PATIENT_SECONDS: Final = 30.0
RECIPIENTS: Final = 5
CAMPAIGN: Final = f"campaigns?job={SLUG}&name=repeated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One POST that is sent many times with one key; `runs` is how many it is worth."""

    path: str
    body: bytes
    kind: str = "application/json"
    runs: int = 1
    key: str = field(default_factory=lambda: uuid.uuid4().hex)


def everything_repeated(arena: Arena, sizes: Sizes) -> Row:
    """Each POST is sent ten times by clients that mostly don't wait for the answer, and each hint ten times."""
    arena.site.environment[REPEAT] = str(TIMES)
    arena.start()
    arena.start_beat("beat")
    schedule = make_schedule(arena.job, cron="0 0 1 1 *", name="repeated")
    arena.start_web()
    done = arena.launch()
    arena.wait(seconds=PATIENCE)
    orders = [order for _ in range(sizes.rounds) for order in _orders(schedule.pk, done)]
    refused = _send(arena.url, arena.key, orders)
    new = Run.objects.exclude(pk=done)
    expected = sum(order.runs for order in orders)
    arena.wait_for(lambda: new.count() >= expected, seconds=PATIENCE)
    arena.runs += new.values_list("pk", flat=True)
    arena.wait(seconds=PATIENCE)
    arena.runs = list(dict.fromkeys([*arena.runs, *new.values_list("pk", flat=True)]))
    row = count(arena, "POSTs and hints sent ten times")
    row.times = TIMES
    row.wrong += refused + _differences(arena, orders, expected=expected, made=new.count())
    row.note = f"{len(orders)} keys, {len(orders) * TIMES} requests"
    return row


def _orders(schedule: int, done: int) -> Iterator[Order]:
    """One order for each door through which a program may launch runs."""
    parameters: dict[str, Any] = {"parameters": {"seconds": 0.001}}
    yield Order(path="jobs/run", body=_json({"job": SLUG, **parameters}))
    yield Order(path=f"jobs/{SLUG}/run", body=_json(parameters))
    yield Order(path=f"jobs/{SLUG}/trigger", body=_json(parameters))
    yield Order(path=f"scheduled-jobs/{SLUG}/trigger", body=_json({}))
    yield Order(path="scheduled-jobs/trigger", body=_json({"job_id": SLUG}))
    yield Order(path=f"jobs/{SLUG}/triggers/{schedule}/fire", body=_json({}))
    yield Order(path=f"runs/{done}/retry", body=_json({}))
    yield Order(path=f"runs/{done}/rerun", body=_json(parameters))
    lines = b"".join(_json({"key": f"r-{number}"}) + b"\n" for number in range(RECIPIENTS))
    yield Order(path=CAMPAIGN, body=lines, kind="application/x-ndjson", runs=RECIPIENTS)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _send(url: str, key: str, orders: list[Order]) -> list[str]:
    """Sends each order so often, by several clients at once, half of them hasty; returns what was refused.

    The last time is by a patient one, so that each has been heard.
    """
    waiting: SimpleQueue[Order | None] = SimpleQueue()
    for order in [order for order in orders for _ in range(TIMES - 1)] + [None] * CLIENTS:
        waiting.put(order)
    refused: list[str] = []

    def send(seconds: float) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        with httpx2.Client(base_url=f"{url}/api/", headers=headers, timeout=seconds) as client:
            while order := waiting.get():
                refused.extend(_post(client, order))

    threads = [
        threading.Thread(target=send, args=(PATIENT_SECONDS if number % 2 else HASTY_SECONDS,))
        for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for order in [*orders, None]:
        waiting.put(order)
    send(PATIENT_SECONDS)
    return sorted(set(refused))


def _post(client: httpx2.Client, order: Order) -> list[str]:
    headers = {"Idempotency-Key": order.key, "Content-Type": order.kind}
    try:
        answer = client.post(order.path, content=order.body, headers=headers)
    except httpx2.HTTPError:
        return []  # it was hasty
    # 409: the same request is still under way.
    fine = answer.status_code in {200, 202, 409}
    return [] if fine else [f"POST {order.path} answered {answer.status_code}: {answer.text[:200]}"]


def _differences(arena: Arena, orders: list[Order], *, expected: int, made: int) -> list[str]:
    """What was made more or less often than there were keys, and what was executed more often than once."""
    executions = sum(len(done) for done in arena.executions().values()) - 1  # that of the run before all
    campaigns = sum(order.path == CAMPAIGN for order in orders)
    told: list[tuple[str, Callable[[], int], int]] = [
        ("runs", lambda: made, expected),
        ("campaigns", Campaign.objects.count, campaigns),
        ("executions", lambda: executions, expected),
    ]
    return [f"{found()} {noun}; expected {number}" for noun, found, number in told if found() != number]
