"""What every test may ask for."""

import os
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
import redis
from django.db import connection
from django.test.utils import setup_databases
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django import Settings
from pytest_django.plugin import DjangoDbBlocker
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.live import live  # noqa: F401 - a fixture
from tests.servers import Servers
from tests.site import Site, environment_for

# How long an example takes is the machine's affair.
hypothesis_settings.register_profile("headway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("headway")

_copies = count(1)
ON_THE_LIVE_SITE = ("tests/flows/", "tests/browser/test_s0.py")


@pytest.fixture(scope="session")
def django_db_setup(
    servers: Servers, django_test_environment: None, django_db_blocker: DjangoDbBlocker
) -> None:
    """pytest-django's fixture behind `django_db`: the test database, gone with its server at the end."""
    with django_db_blocker.unblock():
        setup_databases(verbosity=0, interactive=False, serialized_aliases=set(), keepdb=servers.is_migrated)


@pytest.fixture(autouse=True)
def quick(settings: Settings) -> None:
    """Nobody types a password here, so none needs half a second to be hashed; and no test client lists all
    static files before its first request."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture
def own_database(
    request: pytest.FixtureRequest,
    servers: Servers,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[str]:
    """A migrated database that only this test uses; what it commits is seen by other processes and threads.

    A copy of the test database, made in some milliseconds and dropped afterwards whatever still uses it: no
    table has to be emptied under a live worker, and nothing that migrations put in is lost. Instead of the
    mark `django_db`, whose transaction is in the other database.
    """
    assert not request.node.get_closest_marker("django_db"), "use either own_database or django_db"
    template = connection.settings_dict["NAME"]
    name = f"{template}_{next(_copies)}"
    with django_db_blocker.unblock():
        connection.close()
        servers.copy_database(template, name)
        connection.settings_dict["NAME"] = name
        yield name
        connection.close()
        connection.settings_dict["NAME"] = template
        with psycopg.connect(servers.postgres.url, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def broker(servers: Servers) -> Iterator[redis.Redis]:
    """The broker, empty."""
    with redis.Redis(unix_socket_path=str(servers.valkey.socket)) as client:
        client.flushall()
        yield client


@pytest.fixture
def site(own_database: str, broker: redis.Redis, servers: Servers, tmp_path: Path) -> Iterator[Site]:
    """The processes of a site, none of them started yet; the test's own database is theirs."""
    found = Site(folder=tmp_path, environment=environment_for(own_database, host=servers.postgres.sockets))
    yield found
    found.stop_all()


def chromium() -> str | None:
    """The browser to drive: the system's own."""
    return os.environ.get("HEADWAY_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where Chromium is; asked for by tests marked `browser` only."""
    found = chromium()
    assert found is not None
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no worker is left alone with it at the end; see for a browser."""
    items.sort(key=lambda item: not (item.get_closest_marker("slow") or item.get_closest_marker("browser")))
    _need_a_browser(items)


def _need_a_browser(items: list[pytest.Item]) -> None:
    """Skip browser tests where there is no browser, and say so; refuse with HEADWAY_REQUIRE_BROWSER."""
    marked = [item for item in items if item.get_closest_marker("browser")]
    if not marked or chromium():
        return
    reason = "Chromium is not installed (on Debian: apt install chromium)"
    if os.environ.get("HEADWAY_REQUIRE_BROWSER"):
        raise pytest.UsageError(f"{len(marked)} browser tests can't run: {reason}")
    for item in marked:
        item.add_marker(pytest.mark.skip(reason=reason))


class Together(LoadScopeScheduling):
    """Deals single tests out to the workers of pytest-xdist, and those that share the running site as one."""

    def _split_scope(self, nodeid: str) -> str:
        return "live" if nodeid.startswith(ON_THE_LIVE_SITE) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """The largest group is begun first: it waits for processes while the other workers compute."""
    return Together(config, log)
