"""runs.followers: whoever dies or competes between an ending and what follows it, the dependent runs once."""

import os
import threading
from functools import partial
from typing import Final

import pytest
from django.db import connection

from runs import followers, sweep
from runs.models import Ending, Following, Heartbeat, Run
from tests.dying import dies
from tests.factories import make_dependency, make_job
from tests.runs.endings import ended_run

# Some 300 lines are passed; every one of them takes more than a minute (HEADWAY_CRASH_STEP=1).
STEP: Final = int(os.environ.get("HEADWAY_CRASH_STEP", "13"))
WATCHED: Final = (
    "runs/followers.py",
    "runs/launch.py",
    "runs/insertion.py",
    "runs/causes.py",
    "triggers/dependencies.py",
)


@pytest.mark.slow
def test_a_process_that_dies_at_whatever_line_leaves_one_dependent(own_database: str) -> None:
    """Killed after the ending was stored, anywhere until what follows is stored: the sweep does the rest."""
    upstream = make_job(slug="upstream")
    make_dependency(upstream, job=make_job(slug="one"))
    make_dependency(upstream, job=make_job(slug="two", status="paused"), delay_minutes=5)
    line, killed = 0, True
    while killed:
        line += STEP
        run = ended_run(upstream)
        killed = dies(partial(followers.follow, run.pk), line=line, watched=WATCHED)
        Heartbeat.objects.all().delete()
        sweep.run(sweep.database_now())
        statuses = Run.objects.filter(parent=run).order_by("id").values_list("job__slug", "status")
        assert list(statuses) == [("one", "queued"), ("two", "skipped")], line
        assert Following.objects.filter(upstream_id=run.pk).count() == 2, line
        assert not Ending.objects.exists()
    assert line > 50


def test_many_who_follow_at_once_launch_once(own_database: str) -> None:
    upstream = make_job()
    for _ in range(3):
        make_dependency(upstream)
    runs = [ended_run(upstream) for _ in range(5)]
    together = threading.Barrier(6)

    def work() -> None:
        together.wait()
        for run in runs:
            followers.follow(run.pk)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    followers.follow_left_over()
    assert [Run.objects.filter(parent=run).count() for run in runs] == [3] * 5
    assert not Ending.objects.exists()


def test_ends_that_complete_a_set_at_once_fire_it_once(own_database: str) -> None:
    """Two upstreams of an all-of trigger end together: one of the two followers sees both."""
    one, two = make_job(), make_job()
    trigger = make_dependency(one, two, needs="all")
    for _ in range(5):
        runs = [ended_run(one), ended_run(two)]
        together = threading.Barrier(2)

        def work(run: Run, together: threading.Barrier = together) -> None:
            together.wait()
            followers.follow(run.pk)
            connection.close()

        threads = [threading.Thread(target=work, args=[run]) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Run.objects.filter(trigger=trigger, parent__in=runs).count() == 1
