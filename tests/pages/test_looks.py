"""How statuses, times, durations and stretches of time are shown."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runs.durations import duration_words
from runs.faces import ATTEMPTS, STATUSES, attempt_face, face
from runs.models import Run
from runs.status import FailureReason, Status
from runs.strips import Result
from runs.templatetags import headway
from runs.views.phases import NARROWEST, WIDTH, bars, phases, totals

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RESULT = Result(run_id=1, status="failed", failure_reason="error", cancel_requested=False)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (0.0141, "14 ms"),
        (0.9994, "999 ms"),
        (1, "1.0 s"),
        (9.94, "9.9 s"),
        (42, "42 s"),
        (59.6, "1 min"),
        (130, "2 min 10 s"),
        (3600, "1 h"),
        (11100, "3 h 5 min"),
        (187200, "2 d 4 h"),
        (timedelta(seconds=3), "3.0 s"),
        (None, ""),
    ],
)
def test_a_duration_is_precise_when_short_and_short_when_long(
    seconds: float | timedelta | None, words: str
) -> None:
    assert duration_words(seconds) == words


def test_every_status_and_every_end_of_an_attempt_has_a_face() -> None:
    assert set(STATUSES) == set(Status)
    assert {*FailureReason.values, "lost", "interrupted", "running"} - {
        "worker_lost",
        "poisoned",
        "engine_lost",
    } <= set(ATTEMPTS)
    assert all(attempt_face(reason).icon for reason in FailureReason.values)
    assert attempt_face("something new").word == "–"


def test_timed_out_and_lost_are_faces_of_failed_and_cancelling_one_of_running() -> None:
    assert face(RESULT).word == "failed"
    assert face(replace(RESULT, failure_reason="timeout")).word == "timed out"
    assert face(replace(RESULT, failure_reason="poisoned")).word == "lost"
    assert (
        face(replace(RESULT, status="running", failure_reason=None, cancel_requested=True)).word
        == "cancelling"
    )
    assert (
        face(replace(RESULT, status="cancelled", failure_reason=None, cancel_requested=True)).word
        == "cancelled"
    )
    assert face(replace(RESULT, status="", failure_reason=None)).word == "–"


def test_an_unknown_trigger_kind_is_a_dash() -> None:
    assert headway.kind("telepathy") == "–"
    assert "Retry" not in headway.kind("manual")
    assert ", a retry" in headway.kind("manual", True)


def test_a_time_is_absolute_with_both_clocks_in_its_title() -> None:
    shown = headway.moment(datetime(2026, 11, 21, 7, 0, 0, 120000, tzinfo=UTC))
    assert '<time datetime="2026-11-21T07:00:00.120Z"' in shown
    assert 'title="2026-11-21 07:00:00 UTC · 07:00:00Z"' in shown
    assert ">2026-11-21 07:00:00</time>" in shown
    assert headway.moment(None) == "–"


def test_a_success_rate_is_not_rounded_up_to_all() -> None:
    assert headway.percent(1.0) == "100 %"
    assert headway.percent(0.99999) == "99.9 %"
    assert headway.percent(None) == "–"


def test_the_strip_tells_in_words_what_it_draws() -> None:
    good = replace(RESULT, status="succeeded", failure_reason=None)
    shown = headway.strip([RESULT, good, good])
    assert 'aria-label="Last 3 runs: 1 failed, 2 succeeded; the newest failed"' in shown
    assert shown.count("<rect") == 3
    assert "never ran" in headway.strip([])


def attempt(begun: int, ended: int, outcome: str, *, queued: int | None = None) -> dict[str, object]:
    def at(second: int) -> str:
        return (NOW + timedelta(seconds=second)).isoformat()

    return {
        "attempt": 1,
        "outcome": outcome,
        "worker": "w",
        "queued_at": at(begun if queued is None else queued),
        "started_at": at(begun),
        "finished_at": at(ended),
        "error": None,
    }


def run(**fields: object) -> Run:
    return Run(**{"pk": 1, "created_at": NOW, "status": "queued", "attempts": [], **fields})


def spans(found: Run, *, now: int) -> list[tuple[str, float]]:
    return [(phase.kind, phase.seconds) for phase in phases(found, now=NOW + timedelta(seconds=now))]


def test_the_phases_of_a_run_lie_side_by_side_from_launch_to_now() -> None:
    queued = run(queued_at=NOW)
    assert spans(queued, now=5) == [("queued", 5)]
    later = run(status="scheduled", due_at=NOW + timedelta(hours=1))
    assert spans(later, now=60) == [("scheduled", 60)]
    running = run(
        status="running", queued_at=NOW, started_at=NOW + timedelta(seconds=2), attempt=1, claim_token=1
    )
    assert spans(running, now=10) == [("queued", 2), ("attempt", 8)]


def test_the_wait_between_two_attempts_is_a_retry_delay() -> None:
    between = run(
        status="scheduled",
        attempt=1,
        queued_at=NOW,
        started_at=NOW + timedelta(seconds=1),
        attempts=[attempt(1, 3, "error", queued=0)],
        due_at=NOW + timedelta(seconds=20),
    )
    assert spans(between, now=10) == [("queued", 1), ("attempt", 2), ("delay", 7)]
    second = run(
        status="succeeded",
        attempt=2,
        attempts=[attempt(1, 3, "error", queued=0)],
        queued_at=NOW + timedelta(seconds=8),
        started_at=NOW + timedelta(seconds=9),
        finished_at=NOW + timedelta(seconds=12),
    )
    assert spans(second, now=100) == [
        ("queued", 1),
        ("attempt", 2),
        ("delay", 5),
        ("queued", 1),
        ("attempt", 3),
    ]
    assert [total["seconds"] for total in totals(phases(second, now=NOW))] == [2, 5, 5]


def test_a_run_that_never_started_has_no_attempt() -> None:
    cancelled = run(status="cancelled", queued_at=NOW, finished_at=NOW + timedelta(seconds=4))
    assert spans(cancelled, now=100) == [("queued", 4)]
    skipped = run(status="skipped", finished_at=NOW)
    assert spans(skipped, now=100) == []


def test_no_phase_is_too_narrow_to_be_seen_and_all_fill_the_bar() -> None:
    long = run(
        status="succeeded",
        attempt=1,
        queued_at=NOW,
        started_at=NOW + timedelta(milliseconds=5),
        finished_at=NOW + timedelta(hours=9),
    )
    drawn = bars(phases(long, now=NOW))
    assert [bar.words for bar in drawn] == ["queued: 5 ms", "attempt 1 succeeded: 9 h"]
    assert drawn[0].width > NARROWEST * 0.9
    assert drawn[-1].x + drawn[-1].width == pytest.approx(WIDTH, abs=0.2)
    assert bars([]) == []
