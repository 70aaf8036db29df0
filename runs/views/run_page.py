"""The page of one run: how it stands, why it exists, why it does not run, what it said and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from math import inf
from typing import Any

from django.db.models import Q, TextField
from django.db.models.expressions import RawSQL
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from jobs import parameters
from notifications.models import Message
from runs import deleted, logs, urgency
from runs.faces import face
from runs.models import Following, Run, run_id
from runs.status import Status
from runs.views import glances, live, pace
from runs.views.access import VIEW_MESSAGES, VIEW_RUNS, permitted, person
from runs.views.phases import bars, phases, totals
from runs.views.run_list import rights
from runs.views.run_log import LogPage, newest, news
from runs.why import Reason, why

RELATED_LIMIT = 20
# How long a page waits before it asks again, by the age of what it waits for (seconds: up to that age).
PACES = ((30, 1.0), (300, 2.0), (3600, 5.0))
SLOWEST = 15.0
AT_ONCE = 0.1
# What a poll needs to see that nothing changed, which is nearly always; the rest took ten times as long to fetch.
GLANCED = (
    *("status", "attempt", "max_attempts", "lost_attempts", "claim_token", "progress", "next_step"),
    *(
        "cancel_requested_at",
        "created_at",
        "due_at",
        "started_at",
        "finished_at",
        "external_status",
        "run_at",
    ),
    *("job_id", "group_id", "lane", "priority", "concurrency_key", "dedup_key", "keeps_last"),
)
# Read with the row, so that no change falls in between.
_VERSION = RawSQL(glances.VERSION.format("runs_run"), [], output_field=TextField())  # noqa: S611


@dataclass(frozen=True, slots=True)
class State:
    """A run as it stands at `now`, with what its live pieces show."""

    run: Run
    reason: Reason | None
    now: datetime

    @property
    def prints(self) -> dict[str, str]:
        """The fingerprints of the pieces: `now` changes with the progress, too."""
        run = self.run
        state = live.fingerprint(
            *(run.status, run.attempt, run.claim_token, run.cancel_requested_at, run.finished_at, run.due_at),
            *(run.lost_attempts, run.next_step, run.external_status, self._doublings),
        )
        return {"state": state, "now": live.fingerprint(state, run.progress, self.reason)}

    @property
    def _doublings(self) -> int:
        """Grows whenever the bar of phases would look different: as the time of an open run doubles."""
        age = (self.now - self.run.created_at) / timedelta(seconds=1)
        return 0 if self.run.is_final or self.waits_since else max(int(age), 0).bit_length()

    @property
    def waits_since(self) -> datetime | None:
        """Since when, for a run that has only waited so far: its bar is one stretch, whose time the browser tells."""
        run = self.run
        only = run.status == Status.QUEUED and run.started_at is None and run.run_at is None
        return run.created_at if only and not run.attempt and not run.lost_attempts else None

    @property
    def seconds_alike(self) -> float:
        """For how long time alone changes nothing."""
        age = (self.now - self.run.created_at) / timedelta(seconds=1)
        return inf if self.waits_since else max(2.0**self._doublings - age, 0.0)

    @property
    def seconds(self) -> float | None:
        """When the page is to ask again; None: never, the run has ended."""
        if self.run.is_final:
            return None
        age = (self.now - (self.run.started_at or self.run.created_at)).total_seconds()
        return next((pace for until, pace in PACES if age < until), SLOWEST)


def find(ref: str) -> Run:
    """The run whose id or name is `ref`; raises Http404 with a sentence, and RunDeleted."""
    related = ("job", "trigger", "api_key", "retry_of__job", "parent__job", "root")
    run = Run.objects.named(ref).select_related(*related).first()
    if run is not None:
        return run
    if run_id(ref) is None:
        raise Http404(f"{ref!r} is no run: expected an id such as 4821 or the name of a run.")
    deleted.check(ref)
    raise Http404(f"There is no run {ref!r}.")


@permitted(VIEW_RUNS)
@require_GET
def run_page(request: HttpRequest, ref: str) -> HttpResponse:
    """The whole page; the name of a run leads to its id."""
    run = find(ref)
    if not ref.isdigit():
        return redirect("pages:run", ref=run.pk)
    state = _state(run)
    log = newest(run.pk, before=_line(request, "before"))
    context = {
        "live": not run.is_final,
        "log": log,
        "related": _related(run),
        "messages_of_run": _messages(request, run),
        "given": _labelled(run),
        "poller": _poller(request, state, log),
        **_shown(request, state),
    }
    return render(request, "runs/run.html", context)


@permitted(VIEW_RUNS)
@require_GET
def run_live(request: HttpRequest, ref: str) -> HttpResponse:
    """What changed of the page since: its state, its progress, new lines of its log."""
    seen = live.seen(request)
    glance = Run.objects.named(ref).annotate(row_version=_VERSION).only(*GLANCED).first() if seen else None
    run = glance or find(ref)
    state = _state(run)
    after = _line(request, "after")
    log = None if after is None else news(run.pk, after=after)
    changed = {name for name, print_ in state.prints.items() if seen.get(name) != print_}
    if not changed and not (log and log.lines) and state.seconds is not None:
        if glance:
            version, alike = str(vars(glance)["row_version"]), state.seconds_alike
            remember = partial(glances.remember, request, run=run.pk, version=version, after=after)
            remember(seconds=state.seconds, alike=alike)
        return live.unchanged(seconds=pace.wait(request, state.seconds, run=run.pk))
    if glance:
        state = State(find(ref), state.reason, state.now)
    context = {**_shown(request, state), "log": log}
    templates = {"now": ["_now"], "state": ["_head", "_course", "_attempts"]}
    pieces = {
        name: live.piece(request, f"runs/{name}.html", context)
        for piece in sorted(changed)
        for name in templates[piece]
    }
    if log and log.lines:
        pieces["log"] = live.piece(request, "runs/_lines.html", context)
    return live.answer(_poller(request, state, log), pieces)


@permitted(VIEW_RUNS)
@require_GET
def run_log(request: HttpRequest, ref: str) -> StreamingHttpResponse:
    """The whole log as a text file."""
    run = find(ref)
    answer = StreamingHttpResponse(
        (part.encode() for part in logs.text(run.pk)), content_type="text/plain; charset=utf-8"
    )
    answer["Content-Disposition"] = f'attachment; filename="{run.name}.log"'
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


def _state(run: Run) -> State:
    return State(run, None if run.is_cancelling else why(run), timezone.now())


def _shown(request: HttpRequest, state: State) -> dict[str, Any]:
    """What the live pieces show."""
    run = state.run
    found = phases(run, now=state.now)
    return {
        "run": run,
        "face": face(run),
        "reason": state.reason,
        "may": rights(request),
        "bars": bars(found),
        "waits_since": state.waits_since,
        "totals": list(totals(found)),
        "attempts": list(reversed(run.history())),
        "changeable": urgency.refusal(run) is None,
        "deadlines": list(run.deadlines.all()),
        "events": run.events.all()[:RELATED_LIMIT],
    }


def _poller(request: HttpRequest, state: State, log: LogPage | None) -> str:
    address = reverse("pages:run-live", args=[state.run.pk])
    tail = log is not None and log.is_tail
    query = f"?after={log.last_shown}" if log is not None and tail else ""
    seconds = state.seconds and pace.wait(request, state.seconds, run=state.run.pk)
    if log is not None and tail and log.has_more:
        seconds = AT_ONCE
    return live.poller(address + query, prints=state.prints, seconds=seconds)


def _line(request: HttpRequest, name: str) -> int | None:
    """A line number of the address; what is none is as if it were not there."""
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _related(run: Run) -> Mapping[str, Sequence[Any]]:
    """What this run led to: retries by hand, what it started, and the dependents that it did not start."""
    found = list(
        Run.objects.filter(Q(retry_of=run) | Q(parent=run))
        .select_related("job")
        .order_by("pk")[:RELATED_LIMIT]
    )
    # They are decided upon when the run has ended.
    passed_over = (
        Following.objects.filter(upstream_id=run.pk, run_id=None)
        if run.is_final
        else Following.objects.none()
    )
    return {
        "retries": [other for other in found if other.retry_of_id == run.pk],
        "children": [other for other in found if other.parent_id == run.pk],
        "passed_over": list(passed_over.select_related("trigger__job").order_by("pk")[:RELATED_LIMIT]),
    }


def _messages(request: HttpRequest, run: Run) -> list[Message]:
    """What was told of it, the newest first, for people who may see that."""
    if not person(request).has_perm(VIEW_MESSAGES):
        return []
    told = Message.objects.filter(run_id=run.pk).select_related("channel").defer("payload", "text")
    return list(told.order_by("-pk")[:RELATED_LIMIT])


def _labelled(run: Run) -> list[tuple[str, Any]]:
    """The parameters by the schema's titles, secrets masked."""
    properties = run.job.schema.get("properties", {})
    masked = parameters.mask(run.job.schema, run.parameters)
    return [(_title(properties.get(name), name), value) for name, value in masked.items()]


def _title(place: object, name: str) -> str:
    title = place.get("title") if isinstance(place, Mapping) else None
    return str(title or name)
