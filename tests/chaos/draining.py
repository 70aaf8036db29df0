"""Two campaigns of very many recipients drain, one ordered by the page and one by the API, while triggers are fired."""

import time
import uuid
from pathlib import Path
from typing import Final

import httpx2
from django.db.models import F, Max

from runs.models import Campaign, CampaignStatus, Run
from tests.chaos.arena import Arena
from tests.chaos.callers import Caller
from tests.chaos.campaigns import KINDS, pieces, written
from tests.chaos.killing import campaign_faults
from tests.chaos.ledger.jobs import SLUG
from tests.chaos.sizes import Sizes
from tests.chaos.tally import Row, count, percentile
from tests.factories import make_owner

PATIENCE: Final = 900.0
CALL_EVERY: Final = 0.1
PASSWORD: Final = "long enough 1"
# Runs may still start so many seconds after a pause.
PAUSED_WITHIN: Final = 1.0
RATE: Final = 50.0
RATED_SECONDS: Final = 6.0
# The campaign that is to be cancelled must last until then, however fast the machine is.
LASTS_SECONDS: Final = 120.0


def drained(arena: Arena, sizes: Sizes) -> Row:
    """Orders two campaigns by CSV, and pauses, slows, resumes and cancels them while triggers go on."""
    arena.start()
    arena.start_beat("beat")
    arena.start_web()
    body = written(arena.folder / "people.csv", sizes.drained, kind="csv")
    with Caller(arena.url, arena.key, every=CALL_EVERY) as caller:
        by_api = Campaign.objects.get(pk=_by_api(arena, body, rate=sizes.drained / LASTS_SECONDS))
        by_page = Campaign.objects.get(pk=_by_page(arena, body))
        wrong = _paused(arena, by_page) + _slowed(arena, by_page) + _resumed(arena, by_page)
        wrong += _cancelled(arena, by_api)
        _wait_for(arena, by_page, CampaignStatus.DONE)
    arena.runs += caller.runs
    arena.wait(seconds=PATIENCE)
    row = count(arena, f"2 × {sizes.drained:,} recipients drain")
    row.wrong += wrong
    row.wrong += campaign_faults(by_page, sizes.drained)
    row.wrong += campaign_faults(by_api, sizes.drained, status="cancelled", launched=by_api.launched)
    row.note = _how_soon(caller)
    return row


def _by_page(arena: Arena, body: Path) -> int:
    """Orders by the form, as a person who has logged in; returns the campaign's id."""
    person = make_owner(password=PASSWORD)
    with httpx2.Client(base_url=arena.url, timeout=PATIENCE, follow_redirects=True) as browser:
        browser.get("/admin/login/")
        login = {"username": person.username, "password": PASSWORD, "next": "/"}
        browser.post("/admin/login/", data={**login, "csrfmiddlewaretoken": browser.cookies["csrftoken"]})
        form = {"job": SLUG, "name": "by the page", "parameters": "{}"}
        token = {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        with body.open("rb") as file:
            page = browser.post(
                "/campaigns/new/", data={**form, **token}, files={"file": ("people.csv", file)}
            )
        assert page.status_code == 200, page.text[:500]
        return int(page.url.path.strip("/").rpartition("/")[2])


def _by_api(arena: Arena, body: Path, *, rate: float) -> int:
    headers = {
        "Content-Type": KINDS["csv"],
        "Content-Length": str(body.stat().st_size),
        "Idempotency-Key": uuid.uuid4().hex,
        "Authorization": f"Bearer {arena.key}",
    }
    address = f"{arena.url}/api/campaigns?job={SLUG}&name=by the API&rate_per_second={rate:g}"
    answer = httpx2.post(address, content=pieces(body), headers=headers, timeout=PATIENCE)
    assert answer.status_code == 202, answer.text[:500]
    return int(answer.json()["id"])


def _tell(arena: Arena, campaign: Campaign, what: str) -> None:
    _ask(arena, "POST", f"campaigns/{campaign.pk}/{what}", {})


def _ask(arena: Arena, method: str, path: str, body: dict[str, float | None]) -> None:
    headers = {"Authorization": f"Bearer {arena.key}"}
    answer = httpx2.request(method, f"{arena.url}/api/{path}", json=body, headers=headers, timeout=PATIENCE)
    assert answer.status_code in {200, 202}, f"{path}: {answer.status_code} {answer.text[:300]}"


def _paused(arena: Arena, campaign: Campaign) -> list[str]:
    """Pauses it in full flow; returns what was wrong."""
    assert arena.wait_for(lambda: _starts(campaign) > 100, seconds=PATIENCE, every=0.01)
    _tell(arena, campaign, "pause")
    if not Run.objects.open().filter(campaign=campaign).exists():
        return ["it was done before it was paused: the row needs more recipients"]
    asked = arena.now()
    time.sleep(4 * PAUSED_WITHIN)
    late = Run.objects.filter(campaign=campaign).aggregate(last=Max("started_at"))["last"]
    seconds = (late - asked).total_seconds()
    return [f"a run started {seconds:.1f} s after the pause"] if seconds > PAUSED_WITHIN else []


def _slowed(arena: Arena, campaign: Campaign) -> list[str]:
    """Resumes it at a rate; returns what was wrong."""
    _ask(arena, "PATCH", f"campaigns/{campaign.pk}", {"rate_per_second": RATE})
    _tell(arena, campaign, "resume")
    before, began = _starts(campaign), time.monotonic()
    time.sleep(RATED_SECONDS)
    started, seconds = _starts(campaign) - before, time.monotonic() - began
    # What one second allows may start at once.
    most = RATE * (seconds + 1) + 1
    return [f"{started} runs in {seconds:.1f} s at {RATE:g} a second"] if not 0 < started <= most else []


def _resumed(arena: Arena, campaign: Campaign) -> list[str]:
    """Lets it go on without a rate; returns what was wrong."""
    before = _starts(campaign)
    _ask(arena, "PATCH", f"campaigns/{campaign.pk}", {"rate_per_second": None})
    most = min(before + 10 * RATE, campaign.total)  # of a small one not so many are left
    faster = arena.wait_for(lambda: _starts(campaign) >= most, seconds=60)
    return [] if faster else ["it went no faster without a rate"]


def _cancelled(arena: Arena, campaign: Campaign) -> list[str]:
    """Cancels it in full flow, without a rate; returns what was wrong."""
    before = _starts(campaign)
    _ask(arena, "PATCH", f"campaigns/{campaign.pk}", {"rate_per_second": None})
    flows = arena.wait_for(lambda: _starts(campaign) > before + 100, seconds=PATIENCE, every=0.01)
    _tell(arena, campaign, "cancel")
    _wait_for(arena, campaign, CampaignStatus.CANCELLED)
    return [] if flows else ["nothing of it started before its cancel"]


def _starts(campaign: Campaign) -> int:
    return Run.objects.filter(campaign=campaign, started_at__isnull=False).count()


def _wait_for(arena: Arena, campaign: Campaign, status: CampaignStatus) -> None:
    arena.wait_for(Campaign.objects.filter(pk=campaign.pk, status=status).exists, seconds=PATIENCE)
    campaign.refresh_from_db()


def _how_soon(caller: Caller) -> str:
    """How soon what was triggered meanwhile has started, and how soon the callers were answered."""
    waits = Run.objects.filter(pk__in=caller.runs, started_at__isnull=False)
    started = [
        wait.total_seconds() for wait in waits.values_list(F("started_at") - F("queued_at"), flat=True)
    ]
    words = [
        f"{what} p50 {(percentile(found, 50) or 0) * 1000:.1f} ms, p99 {(percentile(found, 99) or 0) * 1000:.1f} ms"
        for what, found in (("started after", started), ("answered after", caller.seconds))
    ]
    return f"{len(started)} triggers meanwhile: {'; '.join(words)}"
