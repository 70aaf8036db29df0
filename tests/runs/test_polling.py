"""runs.polling, with real folders: nothing is lost, nothing comes twice, whoever dies in the middle."""

import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models.functions import Now
from pytest_django import Settings

from runs import deliveries, polling, reactions
from runs.models import Run
from runs.polling import Polled
from tests.factories import make_source
from triggers import sources
from triggers.models import Delivery, Reaction, Sighting, Source, Trigger


@pytest.fixture
def drop(tmp_path: Path, settings: Settings) -> Path:
    """A folder that may be watched."""
    folder = tmp_path / "drop"
    folder.mkdir()
    settings.WATCH_ROOTS = [str(tmp_path)]
    return folder


def watched(folder: Path, **fields: Any) -> Source:
    options = {"path": str(folder), "settle_seconds": 0, **fields.pop("options", {})}
    return make_source(options=options, **{"begin": "beginning", **fields})


def look(source: Source) -> Polled:
    """Polls it now, due or not."""
    polling.hurry(source)
    found = polling.claim(only=source.pk)
    assert found is not None
    came = polling.poll(found)
    source.refresh_from_db()
    return came


def rest(source: Source) -> timedelta:
    """How long it rests until its next look."""
    assert source.last_poll_at is not None
    return source.next_poll_at - source.last_poll_at


def names() -> list[str]:
    """The names of the files that were delivered, in order."""
    told = [
        reaction.delivery for reaction in Reaction.objects.order_by("pk").select_related("delivery__trigger")
    ]
    return [reactions.read_again(delivery)[1]["name"] for delivery in told]


def let_pass(source: Source, **span: float) -> None:
    """As if that long had passed since everything that is remembered."""
    Sighting.objects.filter(source=source).update(at=Now() - timedelta(**span))


@pytest.mark.django_db
class TestFolder:
    def test_each_file_is_one_delivery_and_one_run(self, drop: Path) -> None:
        source = watched(drop, options={"pattern": "*.csv"})
        Trigger.objects.filter(pk=source.trigger_id).update(mapping={"file": "/name", "from": "/$/source"})
        source.trigger.job.schema = {"additionalProperties": True}
        source.trigger.job.save()
        for name in ("a.csv", "b.csv", ".half.csv", "note.txt"):
            (drop / name).write_text(name)
        assert look(source) == Polled(found=2)
        assert look(source) == Polled(found=0)
        assert names() == ["a.csv", "b.csv"]
        run = Run.objects.order_by("pk")[0]
        assert run.parameters == {"file": "a.csv", "from": source.name}
        assert run.cause.startswith("Event file at arrivals, delivery ")
        delivery = Delivery.objects.order_by("pk")[0]
        assert (delivery.event, delivery.verdict, delivery.address) == ("file", "accepted", None)
        assert (source.found_count, source.last_error, source.backlog) == (2, "", False)
        assert source.caught_up_at is not None

    def test_what_was_there_before_is_passed_over_unless_told(self, drop: Path) -> None:
        (drop / "old").touch()
        source = watched(drop, begin="now")
        assert look(source).found == 0
        (drop / "new").touch()
        assert look(source).found == 1
        assert names() == ["new"]

    def test_a_file_that_changed_comes_again(self, drop: Path) -> None:
        source = watched(drop)
        (drop / "a").write_text("one")
        look(source)
        (drop / "a").write_text("two and more")
        assert look(source).found == 1

    def test_files_of_one_moment_all_come(self, drop: Path) -> None:
        source = watched(drop)
        for name in "abc":
            (drop / name).touch()
            os.utime(drop / name, ns=(10**18, 10**18))
        assert look(source).found == 3
        (drop / "d").touch()
        os.utime(drop / "d", ns=(10**18, 10**18))
        os.utime(drop / "a", ns=(10**17, 10**17))
        assert look(source).found == 2

    def test_a_file_is_taken_when_it_rested_between_two_looks(self, drop: Path) -> None:
        source = watched(drop, options={"settle_seconds": 10})
        (drop / "a").write_text("ha")
        os.utime(drop / "a", ns=(10**18, 10**18))  # an old time says nothing: copying brings it along
        assert look(source).found == 0
        assert rest(source) < timedelta(seconds=11)
        assert look(source).found == 0
        let_pass(source, seconds=11)
        (drop / "a").write_text("half")
        assert look(source).found == 0
        let_pass(source, seconds=11)
        assert look(source).found == 1
        assert look(source).found == 0

    def test_a_clock_that_was_set_back_only_makes_it_wait_anew(self, drop: Path) -> None:
        source = watched(drop, options={"settle_seconds": 10})
        (drop / "a").touch()
        look(source)
        let_pass(source, hours=-5)
        assert look(source).found == 0
        assert Sighting.objects.filter(at__lte=Now()).count() == 1
        let_pass(source, seconds=11)
        assert look(source).found == 1

    def test_no_link_and_no_path_leads_outside(self, drop: Path, tmp_path: Path, settings: Settings) -> None:
        settings.WATCH_ROOTS = [str(drop)]
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret").touch()
        (drop / "link").symlink_to(outside)
        (drop / "file-link").symlink_to(outside / "secret")
        source = watched(drop, options={"pattern": "**/*"})
        assert look(source).found == 0
        for path in (str(outside), f"{drop}/../outside", str(drop / "link"), "drop", f"{drop}-2"):
            assert sources.faults("folder", {"path": path}), path
        for pattern in ("../*", "/etc/*", "a//b", "./*"):
            assert sources.faults("folder", {"path": str(drop), "pattern": pattern}), pattern
        settings.WATCH_ROOTS = []
        assert "HEADWAY_WATCH_ROOTS is not set" in look(source).error

    def test_a_folder_that_is_away_is_told_and_tried_more_rarely(self, drop: Path) -> None:
        source = watched(drop)
        (drop / "a").touch()
        away = drop.rename(drop.with_name("away"))
        for _ in range(3):
            assert "is not there" in look(source).error
        assert (source.failures, source.failing_since is not None) == (3, True)
        assert rest(source) == timedelta(seconds=120)
        away.rename(drop)
        assert look(source).found == 1
        assert (source.failures, source.failing_since, source.last_error) == (0, None, "")

    def test_names_that_are_no_text_are_different_things(self, drop: Path) -> None:
        source = watched(drop)
        for odd in (b"a\xff", b"a\xfe", "ä\n".encode()):
            os.close(os.open(os.fsencode(drop) + b"/" + odd, os.O_CREAT))
        assert look(source).found == 3
        assert sorted(names()) == ["a\\xfe", "a\\xff", "ä\n"]

    def test_changing_what_is_watched_begins_anew(self, drop: Path) -> None:
        source = watched(drop, begin="now", options={"pattern": "*.csv"})
        look(source)
        (drop / "a.csv").touch()
        assert look(source).found == 1
        (drop / "b.txt").touch()
        source.options = {**source.options, "pattern": "*"}
        source.save()
        assert look(source).found == 0
        (drop / "c.txt").touch()
        assert look(source).found == 1

    def test_what_is_long_gone_is_forgotten(self, drop: Path) -> None:
        source = watched(drop)
        for name in "ab":
            (drop / name).touch()
        look(source)
        (drop / "a").unlink()
        let_pass(source, days=2)
        Source.objects.update(state={**source.state, "tidied_at": None})
        look(source)
        assert Sighting.objects.count() == 1
        assert look(source).found == 0

    def test_a_backlog_is_read_at_once_and_in_portions(
        self, drop: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(polling, "LIMIT", 5)
        monkeypatch.setattr(polling, "PORTION", 2)
        for number in range(7):
            (drop / str(number)).touch()
        source = watched(drop)
        assert look(source) == Polled(found=5, more=True)
        assert source.backlog
        assert source.caught_up_at is None
        assert rest(source) <= timedelta()
        assert look(source) == Polled(found=2)

    def test_a_rate_limit_makes_the_rest_wait_and_loses_nothing(self, drop: Path) -> None:
        source = watched(drop)
        Trigger.objects.filter(pk=source.trigger_id).update(rate_limit="2/hour")
        for name in "abc":
            (drop / name).touch()
        assert look(source) == Polled(found=2, more=True)
        assert rest(source) > timedelta()
        assert look(source) == Polled(found=0, more=True)
        Trigger.objects.update(rate_limit=None)
        assert look(source) == Polled(found=1)
        assert sorted(names()) == ["a", "b", "c"]

    def test_a_trial_changes_nothing(self, drop: Path) -> None:
        source = watched(drop, begin="now", options={"settle_seconds": 60})
        (drop / "a").touch()
        assert [found.payload["name"] for found in polling.try_out(source).found] == ["a"]
        source.refresh_from_db()
        assert (Delivery.objects.count(), Sighting.objects.count(), source.state) == (0, 0, {})

    def test_a_thing_that_can_t_be_read_is_in_the_inbox_too(self, drop: Path, settings: Settings) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
        source = watched(drop)
        (drop / "a").touch()
        assert look(source).found == 1
        assert look(source).found == 0
        delivery = Delivery.objects.get()
        assert (delivery.verdict, bytes(delivery.body)) == ("unreadable", b"")
        assert "expected at most 10" in delivery.reason


@pytest.mark.django_db
class TestClaim:
    def test_what_is_not_due_disabled_or_busy_is_left(self, drop: Path) -> None:
        source = watched(drop)
        assert polling.claim(busy=[source.pk]) is None
        claimed = polling.claim()
        assert claimed == source
        assert polling.claim() is None  # it is claimed
        assert claimed is not None
        polling.poll(claimed)
        assert polling.claim() is None  # it is not due
        Source.objects.update(next_poll_at=Now(), enabled=False)
        assert polling.claim() is None

    def test_a_lease_that_passed_or_a_clock_that_was_set_back_holds_nobody_up(self, drop: Path) -> None:
        watched(drop)
        for ahead in (timedelta(seconds=-1), timedelta(hours=3)):
            assert polling.claim() is not None
            Source.objects.update(claimed_until=Now() + ahead)
        assert polling.claim() is not None
        Source.objects.update(claim=None, claimed_until=None, next_poll_at=Now() + timedelta(hours=3))
        assert polling.claim() is not None

    def test_who_lost_the_claim_delivers_nothing(self, drop: Path) -> None:
        source = watched(drop)
        (drop / "a").touch()
        slow = polling.claim()
        Source.objects.update(claimed_until=Now())
        quick = polling.claim()
        assert slow is not None
        assert quick is not None
        assert "another poller" in polling.poll(slow).error
        assert Delivery.objects.count() == 0
        assert polling.poll(quick) == Polled(found=1)
        source.refresh_from_db()
        assert source.claim is None

    def test_a_fault_of_ours_is_told_and_ends_nobody(
        self, drop: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = watched(drop)
        (drop / "a").touch()

        def fail(*_: Any, **__: Any) -> Any:
            raise ValueError("a bug")

        monkeypatch.setattr(deliveries, "put", fail)
        assert look(source).error == "ValueError: a bug"
        monkeypatch.undo()
        assert look(source).found == 1


class Killed(BaseException):
    """What `kill -9` is to a transaction."""


@pytest.mark.django_db
@pytest.mark.parametrize("moment", ["put", "_see", "_finish"])
def test_killed_between_finding_and_committing_the_rest_is_found_once(
    drop: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr(polling, "PORTION", 2)
    source = watched(drop)
    for name in "abcde":
        (drop / name).touch()
    owner: Any = deliveries if moment == "put" else polling
    real, calls = getattr(owner, moment), iter(range(100))

    def sometimes(*given: Any, **named: Any) -> Any:
        if next(calls) == (3 if moment == "put" else 1 if moment == "_see" else 0):
            raise Killed
        return real(*given, **named)

    monkeypatch.setattr(owner, moment, sometimes)
    with pytest.raises(Killed):
        look(source)
    Source.objects.update(claimed_until=Now())
    monkeypatch.undo()
    look(source)
    assert sorted(names()) == list("abcde")
    assert Run.objects.count() == 5


@pytest.mark.usefixtures("own_database", "broker")
def test_two_pollers_at_once_deliver_each_thing_once(drop: Path) -> None:
    made = [watched(drop, options={"pattern": f"{letter}*"}) for letter in "abc"]
    for letter in "abc":
        for number in range(4):
            (drop / f"{letter}{number}").touch()
    together = threading.Barrier(2)

    def work() -> None:
        together.wait(30)
        while (source := polling.claim()) is not None:
            polling.poll(source)
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(names()) == len(set(names())) == 12
    assert {source.pk for source in made} == set(
        Source.objects.filter(found_count=4).values_list("pk", flat=True)
    )
    connection.close()


@pytest.mark.django_db
def test_a_source_made_due_while_it_is_looked_at_is_looked_at_again_at_once(drop: Path) -> None:
    source = watched(drop)
    claimed = polling.claim()
    assert claimed is not None
    polling.hurry(source)
    (drop / "late").touch()
    polling.poll(claimed)
    assert polling.claim(only=source.pk) is not None
