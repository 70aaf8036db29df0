"""The private PostgreSQL: made, reached, private, and fit to start again after the worst."""

import os
import shutil
import signal
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from config.children import Account, end, start, wait_until
from config.embedded import Unavailable, postgres_binaries, short_folder, unprivileged_account
from config.postgres import Postgres, end_leftovers
from tests.servers import POSTGRES_OPTIONS, Servers


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Postgres]:
    """A cluster in a folder that only its owner may enter, as `mktemp -d` makes them."""
    account = unprivileged_account()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    sockets = short_folder(prefix="headway-test-", account=account)
    found = Postgres(
        data=closed / "data",
        sockets=sockets,
        binaries=postgres_binaries(),
        account=account,
        options=POSTGRES_OPTIONS,
    )
    found.finish(found.begin())
    yield found
    if found.data.exists():
        end_leftovers(found.data)
    shutil.rmtree(sockets)


def test_the_sites_database_answers_on_a_socket_and_nowhere_else(servers: Servers) -> None:
    with psycopg.connect(servers.postgres.url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_letters_of_all_languages_are_compared_without_regard_to_case(servers: Servers) -> None:
    with psycopg.connect(servers.postgres.url) as connection:
        assert connection.execute("SELECT 'ÄPFEL' ILIKE 'äpfel'").fetchone() == (True,)


def test_only_the_data_folder_is_given_away_and_no_other_mode_is_changed(cluster: Postgres) -> None:
    data, above = cluster.data.stat(), cluster.data.parent.stat()
    assert stat.S_IMODE(data.st_mode) == 0o700
    assert stat.S_IMODE(above.st_mode) == 0o700
    assert above.st_uid == os.geteuid()
    assert data.st_uid == (cluster.account.uid if cluster.account else os.geteuid())
    assert data.st_uid != 0


def test_it_runs_again_after_it_was_killed_with_its_lock_file_left(cluster: Postgres) -> None:
    first = start(cluster.program())
    assert wait_until(cluster.is_ready, seconds=90)
    first.kill()
    first.wait()
    assert (cluster.data / "postmaster.pid").exists()
    # The number in the lock file may by now be somebody else's: ours, for instance.
    lines = (cluster.data / "postmaster.pid").read_text().splitlines()
    (cluster.data / "postmaster.pid").write_text("\n".join([str(os.getppid()), *lines[1:]]))
    end_leftovers(cluster.data)
    second = start(cluster.program())
    assert wait_until(cluster.is_ready, seconds=90)
    end(second, stop_signal=signal.SIGINT, seconds=30)


def test_a_server_that_is_still_there_is_ended_before_another_starts(cluster: Postgres) -> None:
    orphan = start(cluster.program())
    assert wait_until(cluster.is_ready, seconds=90)
    # Reaped in the background: only then is the orphan gone for those who look.
    threading.Thread(target=orphan.wait).start()
    end_leftovers(cluster.data)
    assert orphan.wait(60) == 0


def test_a_cluster_that_was_made_by_half_is_made_anew(cluster: Postgres) -> None:
    half = cluster.data.with_name("data.new")
    half.mkdir()
    (half / "PG_VERSION").write_text("18")
    cluster.data.rename(cluster.data.with_name("elsewhere"))
    building = cluster.begin()
    assert building is not None
    cluster.finish(building)
    assert (cluster.data / "global").is_dir()
    assert not half.exists()


def test_data_of_another_version_is_refused_with_what_to_do(cluster: Postgres) -> None:
    (cluster.data / "PG_VERSION").write_text("11\n")
    with pytest.raises(Unavailable, match=r"written by PostgreSQL 11, but .* --reset"):
        cluster.begin()


def test_binaries_the_account_cannot_reach_are_copied(cluster: Postgres, tmp_path: Path) -> None:
    if cluster.account is None:
        pytest.skip("only root runs PostgreSQL as somebody else")
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    (hidden / "pg").symlink_to(cluster.binaries.parent)
    unreachable = Postgres(
        data=cluster.data, sockets=cluster.sockets, binaries=hidden / "pg" / "bin", account=cluster.account
    )
    unreachable.reach()
    assert unreachable.binaries == cluster.sockets / "server" / "bin"
    process = start(unreachable.program())
    assert wait_until(unreachable.is_ready, seconds=90)
    end(process, stop_signal=signal.SIGINT, seconds=30)
    assert stat.S_IMODE(hidden.stat().st_mode) == 0o700


def test_root_keeps_to_the_owner_of_the_data_that_is_there(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give a folder away")
    os.chown(tmp_path, 12345, 23456)
    assert unprivileged_account(owner_of=tmp_path) == Account(uid=12345, gid=23456)


@pytest.mark.django_db
def test_no_statement_of_the_site_is_compiled_before_it_runs() -> None:
    # PostgreSQL 15 to 17 would compile what a claim asks, because the claim forbids whole-table scans.
    with connection.cursor() as cursor:
        cursor.execute("SHOW jit")
        assert cursor.fetchone() == ("off",)
