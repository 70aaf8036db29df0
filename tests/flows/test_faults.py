"""What goes wrong, goes wrong visibly and ends: killed workers, brokers and beats, cancels, jobs that misbehave."""

import html
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live import Live, Run, kill
from tests.servers import Servers


def carrier(live: Live, run: Run) -> tuple[int, int]:
    """The process ids of the worker that carries a run, and of its slot."""
    ((worker, slot),) = live.sql(
        """SELECT w.pid, p.pid FROM runs_run r JOIN runs_workerprocess p ON p.id = r.process_id
           JOIN runs_worker w ON w.id = p.worker_id WHERE r.id = %s""",
        run["id"],
    )
    return worker, slot


def outcomes(run: Run) -> list[str]:
    return [attempt["outcome"] for attempt in run["attempts"]]


def test_a_killed_workers_runs_are_carried_on_and_the_loss_is_shown(live: Live) -> None:
    runs = [live.launch("sleep", {"seconds": 2.5}) for _ in range(3)]
    last = live.running(runs[-1])  # the first may have ended before all are launched
    worker, _ = carrier(live, last)
    kill([worker])
    ended = [live.ended(run) for run in runs]
    assert [run["status"] for run in ended] == ["succeeded"] * 3
    lost = ended[-1]
    assert outcomes(lost) == ["lost", "succeeded"]
    assert lost["attempt"] == 2
    page = html.unescape(live.pages.get(f"/runs/{lost['id']}/").text)
    assert f"The worker {lost['attempts'][0]['worker']} vanished in the middle of attempt 1." in page


def test_a_killed_slot_costs_an_attempt_and_nothing_else(live: Live) -> None:
    run = live.running(live.launch("sleep", {"seconds": 2.5}))
    _, slot = carrier(live, run)
    kill([slot])
    ended = live.ended(run)
    assert (ended["status"], outcomes(ended)) == ("succeeded", ["lost", "succeeded"])


def test_a_killed_broker_loses_nothing_and_triggers_go_on(live: Live, servers: Servers) -> None:
    before = [live.launch("sleep", {"seconds": 1}) for _ in range(5)]
    live.until(lambda: live.run(before[0]["id"])["status"] != "queued")
    # One that was just started has slots that nobody has woken yet.
    live.until(lambda: live.ended(live.launch("noop"))["worker"].startswith("high@"))
    servers.kill("valkey")
    try:
        # The slots of high look for themselves meanwhile; those of other lanes are woken when it is back.
        ended = [live.ended(live.launch("noop")) for _ in range(3)]
        later = live.launch("noop", priority="normal")
    finally:
        servers.start_valkey()
    ended += [live.ended(run) for run in [*before, later]]
    assert [(run["status"], run["attempt"]) for run in ended] == [("succeeded", 1)] * 9


def test_a_killed_beat_fires_a_slot_once(live: Live) -> None:
    job = "test-suite"
    before = {run["id"] for run in live.get("runs", job=job, trigger="schedule")["results"]}
    kill([live.quickstart["pids"]["beat"]])
    live.make_due(job, {"only": "an_empty_cart"})
    new = live.until(
        lambda: {run["id"] for run in live.get("runs", job=job, trigger="schedule")["results"]} - before
    )
    assert len(new) == 1
    live.ended({"id": new.pop(), "status": "queued"})
    after = {run["id"] for run in live.get("runs", job=job, trigger="schedule")["results"]}
    assert len(after - before) == 1


def test_a_queued_run_is_cancelled_at_once(live: Live) -> None:
    later = live.launch("noop", run_at="2100-01-01T00:00:00Z")
    answer = live.api.post(f"runs/{later['id']}/cancel")
    assert answer.status_code in {200, 202}
    assert live.run(later["id"])["status"] == "cancelled"


@pytest.mark.parametrize(
    ("job", "parameters"),
    [
        ("sleep", {"seconds": 600}),
        ("test-suite", {}),
        ("misbehave", {"how": "ignore-sigterm"}),
    ],
)
def test_a_running_run_is_cancelled_when_its_work_has_stopped(
    live: Live, job: str, parameters: dict[str, Any]
) -> None:
    run = live.running(live.launch(job, parameters))
    live.until(lambda: live.lines(run) or live.run(run["id"])["progress"])
    live.api.post(f"runs/{run['id']}/cancel")
    ended = live.ended(run)
    assert ended["status"] == "cancelled"
    assert "quickstart" in ended["cancelled_by"]
    assert ended["cancel_requested_at"] < ended["finished_at"]


@pytest.mark.parametrize(
    ("how", "reason", "message"),
    [
        ("raise", "error", "Misbehaviour: This job was told to raise"),
        ("exit", "error", "ProcessEnded: The job's process exited with code 3"),
        ("memory", "error", "MemoryError"),
        ("kill-parent", "poisoned", "vanished in the middle of attempt 3"),
    ],
)
def test_a_job_that_misbehaves_fails_with_the_true_reason(
    live: Live, how: str, reason: str, message: str
) -> None:
    run = live.ended(live.launch("misbehave", {"how": how}))
    assert (run["status"], run["failure_reason"]) == ("failed", reason), run["error"]
    assert message in f"{run['error']['type']}: {run['error']['message']}"
    assert live.ended(live.launch("noop"))["status"] == "succeeded"


@pytest.fixture
def impatient(live: Live) -> Iterator[None]:
    """The demo's misbehaving job may take two seconds."""
    change = "UPDATE jobs_job SET timeout_seconds = %s WHERE slug = 'misbehave'"
    live.sql(change, 2)
    yield
    live.sql(change, 20)


@pytest.mark.parametrize("how", ["hang", "ignore-sigterm"])
def test_a_job_that_does_not_end_runs_out_of_time(live: Live, impatient: None, how: str) -> None:
    run = live.ended(live.launch("misbehave", {"how": how}))
    assert (run["status"], run["failure_reason"]) == ("failed", "timeout")
    assert "2 s" in run["error"]["message"]


def test_a_job_that_floods_its_log_is_cut_and_goes_on(live: Live) -> None:
    run = live.ended(live.launch("misbehave", {"how": "flood-log"}))
    assert (run["status"], run["result"]) == ("succeeded", {"lines": 80_000})
    assert live.lines(run)[-1].startswith("[log cut")


def test_a_stopped_worker_gives_its_work_back_uncounted(live: Live) -> None:
    run = live.running(live.launch("sleep", {"seconds": 2.5}))
    worker, _ = carrier(live, run)
    os.kill(worker, signal.SIGTERM)
    ended = live.ended(run)
    assert ended["status"] == "succeeded"
    assert "lost" not in outcomes(ended)
