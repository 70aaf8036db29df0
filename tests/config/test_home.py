"""The home of `up`: one user at a time, private, and what it forgets."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from config import home as kept
from config.home import Home, HomeRefused, site_environment


def test_a_home_is_private_and_made_with_the_folders_above_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "b")
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) != 0o700


def test_the_mode_of_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Home(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_second_user_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(HomeRefused, match=f"already running in {tmp_path} \\(process {os.getpid()}\\)"):
        Home(home.path)


def test_a_dead_user_holds_nothing(tmp_path: Path) -> None:
    code = f"import os; from config.home import Home; Home(__import__('pathlib').Path({str(tmp_path)!r})); os._exit(1)"
    subprocess.run([sys.executable, "-c", code], check=False)
    Home(tmp_path)


def test_the_secret_key_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path)
    key = home.secret_key()
    assert len(key) >= 50
    assert home.secret_key() == key
    assert stat.S_IMODE((tmp_path / kept.SIGNING).stat().st_mode) == 0o600


def test_the_environment_of_a_running_site_can_be_read_and_is_empty_without_one(tmp_path: Path) -> None:
    assert site_environment(tmp_path) == {}
    kept.keep(tmp_path / kept.ENVIRONMENT, {"DATABASE_URL": "postgresql://x"})
    assert site_environment(tmp_path) == {"DATABASE_URL": "postgresql://x"}


def test_half_a_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / kept.ACCESS).write_text('{"api_key": ')
    assert kept.read(tmp_path / kept.ACCESS) == {}


def test_a_reset_removes_what_up_keeps_and_nothing_else(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.secret_key()
    (tmp_path / "postgres" / "base").mkdir(parents=True)
    (tmp_path / "mine.txt").write_text("mine")
    home.reset()
    assert {path.name for path in tmp_path.iterdir()} == {"mine.txt", kept.LOCK}


def test_the_sockets_of_a_killed_start_are_removed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    (sockets / "valkey.sock").touch()
    home.link_sockets(sockets)
    home.remove_sockets()
    assert not sockets.exists()
    home.remove_sockets()


def test_the_sockets_of_another_start_are_left_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    home.link_sockets(theirs)
    home.remove_sockets(ours)
    assert not ours.exists()
    assert theirs.exists()
    assert (home.path / kept.SOCKETS).readlink() == theirs
