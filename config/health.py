"""Whether the site can do its work: what `/readyz` answers and `manage.py doctor` explains."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from zoneinfo import TZPATH

from celery import current_app
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import QuerySet
from django.db.models.functions import Now
from kombu.exceptions import KombuError
from redis import RedisError

from jobs.priority import LANES
from notifications.models import Message
from runs.beat import NAME as BEAT
from runs.models import Heartbeat, Run, Worker
from runs.poller import NAME as POLLER
from runs.status import Status
from runs.sweep import NAME as SWEEP
from runs.sweep import database_now
from triggers import vault
from triggers.models import Source

# Beat notes that it lives at least once a second; a busy machine or a slow database may delay that.
BEAT_ALIVE = timedelta(seconds=15)
POLLER_ALIVE = timedelta(seconds=30)
# A sweep is begun every few seconds; the longest takes a few more.
SWEEP_PATIENCE = timedelta(seconds=30)
RUN_PATIENCE = timedelta(seconds=60)
CLOCK_PATIENCE = timedelta(seconds=2)
# A source may be away for so long before that is worth a check's no.
SOURCE_PATIENCE = timedelta(minutes=15)
# A message may be due for so long before somebody sends it, and one that was given up concerns the day after.
MESSAGE_PATIENCE = timedelta(minutes=15)
GIVEN_UP_LATELY = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing the site needs, and what to do when it is missing. Without one that is not `vital` it is ready."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    vital: bool = True


def look() -> list[Check]:
    """Every check, with the database's clock. What needs a database that is away is not ok either."""
    return [*_database(), _broker()]


def _database() -> Iterator[Check]:
    known: dict[str, Callable[[], Check]] = {
        "database": _connection,
        "migrations": _migrations,
        **{f"worker:{lane}": partial(_worker, lane) for lane in LANES},
        "beat": beat,
        "sweep": _sweep,
        "overdue": _overdue,
        "clock": _clock,
        "zones": _zones,
        "vault": _vault,
        "sources": _sources,
        "notifications": _notifications,
    }
    error: DatabaseError | None = None
    for name, check in known.items():
        try:
            yield _unknown(name) if error else check()
        except DatabaseError as caught:
            error = caught
            connection.close()
            yield _failed(name, error)


def _unknown(name: str) -> Check:
    return Check(name=name, ok=False, detail="Unknown until the checks above are ok.")


def _failed(name: str, error: DatabaseError) -> Check:
    """The database is away, or what `name` asked for is not there because it isn't migrated."""
    return Check(
        name=name,
        ok=False,
        detail=f"PostgreSQL refused: {str(error).strip()}",
        remedy="Start PostgreSQL, or correct DATABASE_URL; then run `manage.py migrate`. A site of `manage.py "
        f"up` is found by its folder: HEADWAY_HOME is {settings.HOME} here.",
    )


def _connection() -> Check:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        version = cursor.fetchone()[0]
    return Check(name="database", ok=True, detail=f"PostgreSQL {version} answers.")


def _migrations() -> Check:
    missing = sorted(_newest_migrations() - set(MigrationRecorder(connection).applied_migrations()))
    return Check(
        name="migrations",
        ok=not missing,
        detail="Not applied: " + ", ".join(".".join(key) for key in missing) + "."
        if missing
        else "All are applied.",
        remedy="Run `manage.py migrate`.",
    )


@cache
def _newest_migrations() -> frozenset[tuple[str, str]]:
    """The last migration of each app in this checkout; reading them all takes too long for a probe."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())


def workers(lane: str) -> QuerySet[Worker]:
    """The live workers that take hints of `lane`."""
    return Worker.objects.filter(
        lanes__contains=[lane],
        lease_until__gt=Now(),
        ready_at__isnull=False,
        stopping_at__isnull=True,
        draining_at__isnull=True,
    )


def _worker(lane: str) -> Check:
    names = list(workers(lane).values_list("name", flat=True))
    return Check(
        name=f"worker:{lane}",
        ok=bool(names),
        detail=f"Taken by {', '.join(names)}." if names else f"No live worker takes the lane {lane}.",
        remedy=f"Start one: `celery -A config worker -Q {lane} -n {lane}@%h`. Its runs wait meanwhile.",
    )


def beat() -> Check:
    """Whether at least one beat lives, and which; any number may."""
    recent = Heartbeat.objects.filter(name__startswith=f"{BEAT}:", at__gt=Now() - BEAT_ALIVE)
    alive = [f"{row.detail['pid']}@{row.detail['hostname']}" for row in recent.order_by("-at")[:20]]
    return Check(
        name="beat",
        ok=bool(alive),
        detail=f"Alive: {', '.join(alive)}."
        if alive
        else f"No beat was alive in the last {BEAT_ALIVE.seconds} s.",
        remedy="Start it: `celery -A config beat`. Until then no schedule fires.",
    )


def _sweep() -> Check:
    """Whether what got stuck is still put back on its way; every beat and worker does that."""
    patience = SWEEP_PATIENCE + timedelta(seconds=settings.SWEEP_SECONDS)
    at = Heartbeat.objects.filter(name=SWEEP).values_list("at", flat=True).first()
    ok = at is not None and database_now() - at < patience
    return Check(
        name="sweep",
        ok=ok,
        detail=f"Last begun {at:%Y-%m-%d %H:%M:%S} UTC." if at else "None was ever begun.",
        remedy="Beat and each worker sweep: see that one lives, and what its log says of `sweep_failed`.",
        vital=False,
    )


def _overdue() -> Check:
    """Whether a run stands where the sweep should have moved it on from: it is due, and nobody queued it."""
    late = Run.objects.filter(
        status__in=(Status.SCHEDULED, Status.WAITING), keeps_last=False, due_at__lt=Now() - RUN_PATIENCE
    )
    numbers = ", ".join(f"#{number}" for number in late.order_by("due_at").values_list("pk", flat=True)[:5])
    return Check(
        name="overdue",
        ok=not numbers,
        detail=f"Due for more than {RUN_PATIENCE.seconds} s, and not queued: {numbers}."
        if numbers
        else "No run is due that was not queued.",
        remedy="The sweep queues them: see the check `sweep`, and the load of PostgreSQL.",
        vital=False,
    )


def _clock() -> Check:
    """Whether this machine's clock agrees with the database's. What is due is decided by that one alone."""
    before = datetime.now(UTC)
    at = database_now()
    took = datetime.now(UTC) - before
    off = (at - before - took / 2).total_seconds()
    ok = abs(off) <= CLOCK_PATIENCE.total_seconds() + took.total_seconds()
    return Check(
        name="clock",
        ok=ok,
        detail="Agrees with the database's."
        if ok
        else f"The database's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} this machine's.",
        remedy="Keep the time of both by NTP. Schedules keep the database's; times in logs are off.",
        vital=False,
    )


def _zones() -> Check:
    """Which time zone data schedules are computed with, and whether it is too old to be trusted."""
    version = zone_data()
    ok = version is not None and int(version[:4]) >= datetime.now(UTC).year - 1
    return Check(
        name="zones",
        ok=ok,
        detail=f"Time zone data {version}." if version else "The version of the time zone data is unknown.",
        remedy="Update the operating system's tzdata, or `pip install --upgrade tzdata`, and restart: in zones that "
        "changed their rules since, schedules fire at the wrong hour.",
        vital=False,
    )


@cache
def zone_data() -> str | None:
    """The version of the zone data that `zoneinfo` reads, such as 2026b; None where it does not say."""
    for folder in TZPATH:
        with suppress(OSError, IndexError), (Path(folder) / "tzdata.zi").open() as rules:
            return rules.readline().split()[2]  # "# version 2026b"
        if Path(folder).is_dir():
            return None
    with suppress(ImportError):
        return str(import_module("tzdata").IANA_VERSION)
    return None


def _vault() -> Check:
    """Whether every stored secret can be opened."""
    lost = vault.lost_count()
    return Check(
        name="vault",
        ok=not lost,
        detail=f"No key opens {lost} stored secret{'s' if lost > 1 else ''}."
        if lost
        else "Opens every secret.",
        remedy="Add the key that sealed them to HEADWAY_VAULT_KEYS. Until then their webhooks are answered with 503, "
        "and their channels stay silent.",
    )


def _sources() -> Check:
    """Whether somebody polls the sources that are enabled, and each of them could be looked at lately.

    A folder or bucket that is away concerns its own trigger only: the site is ready without.
    """
    enabled = Source.objects.filter(enabled=True)
    silent = not poller_lives() and enabled.exists()
    failing = enabled.filter(failing_since__lt=Now() - SOURCE_PATIENCE)
    told = [f"{each.name}: {each.last_error}" for each in failing.order_by("failing_since")[:5]]
    if silent:
        told.insert(0, "No poller lives, so nothing is found in them.")
    return Check(
        name="sources",
        ok=not told,
        detail=" ".join(told) or "Each that is enabled can be looked at.",
        remedy="Start one: `manage.py poll_sources`."
        if silent
        else "See /sources/. What they hold is found when they can be looked at again.",
        vital=False,
    )


def _notifications() -> Check:
    """Whether messages get to where they are to go: none was given up lately, and none has been due for long."""
    newest = Message.objects.filter(status=Message.Status.FAILED).select_related("channel").order_by("-pk")
    lately = Now() - GIVEN_UP_LATELY
    given_up = newest.filter(ended_at__gt=lately).defer("payload", "text")[:5]
    late = Message.objects.filter(status=Message.Status.DUE, due_at__lt=Now() - MESSAGE_PATIENCE)
    told = [f"Given up: {each.subject} ({each.channel})." for each in given_up]
    if (first := late.order_by("due_at").first()) is not None:
        told.insert(
            0, f"Message {first.pk} has been due since {first.due_at:%Y-%m-%d %H:%M} UTC: nobody sends."
        )
    return Check(
        name="notifications",
        ok=not told,
        detail=" ".join(told) or "No message was given up in the last 24 hours.",
        remedy="See /notifications/?status=failed, or `manage.py notify failed`, and have them sent again.",
        vital=False,
    )


def poller_lives() -> bool:
    """Whether at least one poller lives; any number may."""
    return Heartbeat.objects.filter(name__startswith=f"{POLLER}:", at__gt=Now() - POLLER_ALIVE).exists()


def _broker() -> Check:
    """A launch needs no broker, but without one a run starts only when the sweep finds it."""
    remedy = "Start Valkey, or correct BROKER_URL. Runs are accepted meanwhile; none is lost."
    try:
        with current_app.connection_for_write(connect_timeout=1) as broker:
            broker.default_channel.client.ping()
    except (KombuError, RedisError, OSError) as error:
        detail = f"The broker doesn't answer: {error}"
        return Check(name="broker", ok=False, detail=detail, remedy=remedy)
    return Check(name="broker", ok=True, detail="Answers.")
