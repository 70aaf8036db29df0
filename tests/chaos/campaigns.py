"""Campaigns of very many recipients over HTTP: what they cost the web server, and who feels them."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx2
import psutil
from django.conf import settings
from django.db import connection

from runs import progress
from runs.models import Campaign, CampaignStatus, Run
from tests.chaos.arena import Arena
from tests.chaos.killing import campaign_faults
from tests.chaos.ledger.jobs import SLUG
from tests.chaos.sizes import Sizes
from tests.chaos.tally import Row

PATIENCE: Final = 600.0
# So much the web process may grow while it reads a body of any size, in megabytes.
GROWTH_MEGABYTES: Final = 64
MEGABYTE: Final = 1024 * 1024
PIECE: Final = 256 * 1024
# About a hundred bytes a recipient, so that a million of them are a body of a hundred megabytes.
NOTE: Final = "n" * 70
KINDS: Final[Mapping[str, str]] = {"csv": "text/csv", "ndjson": "application/x-ndjson"}


def very_many_recipients(arena: Arena, sizes: Sizes) -> Row:
    """Bodies of very many recipients; web and worker are killed while they are read and expanded."""
    arena.start({"bulk": ("bulk", 2)})
    arena.start_beat("beat")
    row = Row(fault=f"{sizes.upload:,} recipients over HTTP", times=0, submitted=0)
    notes = []
    for kind in KINDS:
        body = written(arena.folder / f"people.{kind}", sizes.upload, kind=kind)
        key = uuid.uuid4().hex
        notes.append(_upload(arena, row, body, kind=kind, key=key))
        campaign = Campaign.objects.get(idempotency_key=key)
        began = time.monotonic()
        _cancel(arena, campaign)
        notes.append(f"cancelled in {time.monotonic() - began:.0f} s")
        row.submitted += Run.objects.filter(campaign=campaign).count()
        row.wrong += campaign_faults(campaign, sizes.upload, status="cancelled")
        body.unlink()
    row.wrong += _too_large(arena)
    row.times, row.note = len(arena.faults), "; ".join(notes)
    return row


def written(path: Path, size: int, *, kind: str) -> Path:
    """A file of so many recipients."""
    with path.open("w") as file:
        if kind == "csv":
            file.write("key,seconds,note\n")
            file.writelines(f"r-{number},0,{NOTE}\n" for number in range(size))
        else:
            given = f'"parameters":{{"note":"{NOTE}"}}'
            file.writelines(f'{{"key":"r-{number}",{given}}}\n' for number in range(size))
    return path


def _upload(arena: Arena, row: Row, body: Path, *, kind: str, key: str) -> str:
    """Sends the body until the campaign is there and expanded; returns what it cost."""
    arena.start_web()
    with arena.fault(), suppress(httpx2.HTTPError):
        half = body.stat().st_size // 2
        send(arena, body, kind=kind, key=key, at=(half, lambda: arena.kill_all_of("web")))
    arena.start_web()
    if Campaign.objects.filter(idempotency_key=key).exists():
        row.wrong.append("a campaign was there whose body had not been read")
    began = time.monotonic()
    with Memory(arena.site.processes["web"].pid) as memory:
        killer = threading.Thread(target=_kill_when_it_expands, args=(arena, key))
        killer.start()
        with suppress(httpx2.HTTPError):
            send(arena, body, kind=kind, key=key)
        killer.join()
    read = time.monotonic() - began
    arena.restart("bulk")
    arena.start_web()
    answer = send(arena, body, kind=kind, key=key)
    if answer.status_code != 200:
        row.wrong.append(f"the repeated order was answered {answer.status_code}: {answer.text[:300]}")
    campaign = Campaign.objects.get(idempotency_key=key)
    arena.wait_for(lambda: is_expanded(campaign), seconds=PATIENCE)
    if memory.growth > GROWTH_MEGABYTES:
        row.wrong.append(f"the web process grew by {memory.growth} MB; expected {GROWTH_MEGABYTES} at most")
    size = body.stat().st_size / MEGABYTE
    return (
        f"{kind}: {size:.0f} MB read in {read:.0f} s, expanded after {time.monotonic() - began:.0f} s, "
        f"web process {memory.before} MB and at most {memory.most} MB"
    )


def _kill_when_it_expands(arena: Arena, key: str) -> None:
    """Kills web and worker as soon as some of the campaign's runs are there, and not all."""
    there = Campaign.objects.filter(idempotency_key=key, launched__gt=0)
    arena.wait_for(there.exists, seconds=PATIENCE)
    with arena.fault():
        arena.kill_all_of("web")
        arena.kill_all_of("worker-bulk")
    connection.close()  # this thread's


def send(
    arena: Arena, body: Path, *, kind: str, key: str, at: tuple[int, Callable[[], None]] | None = None
) -> httpx2.Response:
    """Orders a campaign with the file, at a rate at which hardly any run starts; does something `at` a byte."""
    query = {"job": SLUG, "name": f"very many as {kind}", "rate_per_second": "1"}
    headers = {
        "Content-Type": KINDS[kind],
        "Content-Length": str(body.stat().st_size),
        "Idempotency-Key": key,
        "Authorization": f"Bearer {arena.key}",
    }
    return httpx2.post(
        f"{arena.url}/api/campaigns",
        params=query,
        content=pieces(body, at),
        headers=headers,
        timeout=PATIENCE,
    )


def pieces(body: Path, at: tuple[int, Callable[[], None]] | None = None) -> Iterator[bytes]:
    """The file, a piece at a time; does something `at` a byte."""
    with body.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
            if at is not None and file.tell() >= at[0]:
                at[1]()
                at = None


def _too_large(arena: Arena) -> list[str]:
    """Sends bodies above the caps; returns which were not refused as too large, with a sentence."""
    small, large = settings.DATA_UPLOAD_MAX_MEMORY_SIZE, settings.CAMPAIGN_BODY_LIMIT
    found = []
    for path, limit in ((f"jobs/{SLUG}/trigger", small), (f"campaigns?job={SLUG}&name=x", large)):
        kind = "application/json" if limit == small else KINDS["csv"]
        headers = {
            "Content-Type": kind,
            "Content-Length": str(limit + 1),
            "Authorization": f"Bearer {arena.key}",
        }
        answer = httpx2.post(
            f"{arena.url}/api/{path}", content=_blanks(limit + 1), headers=headers, timeout=60
        )
        if answer.status_code != 413 or str(limit) not in answer.text:
            found.append(
                f"{limit + 1} bytes for {path} were answered {answer.status_code}: {answer.text[:200]}"
            )
    return found


def _blanks(size: int) -> Iterator[bytes]:
    while size > 0:
        yield b" " * min(size, PIECE)
        size -= PIECE


def is_expanded(campaign: Campaign) -> bool:
    """Whether each recipient has its run."""
    campaign.refresh_from_db()
    return campaign.launched == campaign.total and campaign.status != CampaignStatus.EXPANDING


def _cancel(arena: Arena, campaign: Campaign) -> None:
    headers = {"Authorization": f"Bearer {arena.key}"}
    address = f"{arena.url}/api/campaigns/{campaign.pk}/cancel"
    httpx2.post(address, headers=headers, timeout=PATIENCE).raise_for_status()
    ended = Campaign.objects.filter(pk=campaign.pk, status=CampaignStatus.CANCELLED)
    arena.wait_for(ended.exists, seconds=PATIENCE)
    arena.wait_for(lambda: progress.of_campaign(campaign).open == 0, seconds=PATIENCE)


@dataclass
class Memory:
    """Looks again and again how large a web server's processes are, in megabytes, while the `with` block lasts."""

    pid: int
    before: int = 0
    most: int = 0

    @property
    def growth(self) -> int:
        """By how much it grew at most."""
        return self.most - self.before

    def __enter__(self) -> Self:
        self.before = self.most = self._now()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_for_ever, name="memory", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look_for_ever(self) -> None:
        while not self._over.wait(0.1):
            with suppress(psutil.NoSuchProcess):
                self.most = max(self.most, self._now())

    def _now(self) -> int:
        """The largest of its processes: the one that serves."""
        tree = [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]
        return max(process.memory_info().rss for process in tree) // MEGABYTE
