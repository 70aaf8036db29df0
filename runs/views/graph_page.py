"""The page /graph/: who follows whom, as a picture and as text, and what would follow if a job's run ended now."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from jobs.models import Job
from runs import outlook, strips
from runs.faces import Face, HasStatus, face
from runs.models import Run
from runs.views import layered
from runs.views.access import VIEW_RUNS, permitted
from triggers import cron, dependencies, requirements
from triggers.dependencies import Graph
from triggers.models import Kind, Trigger

# A larger graph is shown around one job, at most so many edges away.
MOST_NODES: Final = 150
NEAR: Final = 2
NAME_LENGTH: Final = 22
CHAIN_LIMIT: Final = 1000
WORDS: Final = {"on_success": "success", "on_failure": "failure", "on_completion": "any end"}


@dataclass(frozen=True, slots=True)
class Node:
    """A job in the picture, and its run that the face is of."""

    job: Job
    corner: layered.Point
    face: Face | None
    run_id: int | None
    is_chosen: bool

    @property
    def name(self) -> str:
        """Its name, cut to the width of the box."""
        name = self.job.name
        return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"


@dataclass(frozen=True, slots=True)
class Arrow:
    """An edge in the picture, with its words where it begins to bend."""

    trigger: Trigger
    path: str
    words: str
    at: layered.Point


@permitted(VIEW_RUNS)
@require_GET
def graph_page(request: HttpRequest) -> HttpResponse:
    """The graph: whole, around a job (`job`), or with the runs of one chain (`run`)."""
    job, run = _job(request.GET.get("job", "")), _run(request.GET.get("run", ""))
    chosen = job or (run.job if run else None)
    whole = dependencies.whole()
    shown = dependencies.around(chosen, hops=NEAR) if chosen and len(whole.jobs) > MOST_NODES else whole
    if chosen and chosen.pk not in {each.pk for each in shown.jobs}:
        shown = Graph([*shown.jobs, chosen], shown.edges)
    is_too_large = len(shown.jobs) > MOST_NODES
    results = {} if is_too_large else _of_chain(run) if run else _latest(shown.jobs)
    asked = request.GET.get("ended", "")
    ended = asked if asked in outlook.ENDINGS else "failed"
    context = {
        "jobs": whole.jobs,
        "job": chosen,
        "run": run,
        "is_too_large": is_too_large,
        "near": NEAR if shown is not whole else None,
        "picture": None if is_too_large or not shown.jobs else _picture(shown, results, chosen),
        "rows": [] if is_too_large else list(_rows(shown, results)),
        "endings": outlook.ENDINGS,
        "ended": ended,
        "prospects": outlook.of(chosen, status=ended, now=timezone.now()) if chosen else None,
    }
    return render(request, "graph/graph.html", context)


def _job(slug: str) -> Job | None:
    if not slug:
        return None
    job = Job.objects.filter(slug=slug).first()
    if job is None:
        raise Http404(f"There is no job {slug!r}.")
    return job


def _run(ref: str) -> Run | None:
    if not ref:
        return None
    run = Run.objects.named(ref).select_related("job").first()
    if run is None:
        raise Http404(f"There is no run {ref!r}.")
    return run


def _latest(jobs: Sequence[Job]) -> dict[int, tuple[HasStatus, int | None]]:
    """The latest run of each job."""
    found = strips.of_jobs([job.pk for job in jobs], count=1)
    return {pk: (results[0], results[0].run_id) for pk, results in found.items() if results}


def _of_chain(run: Run) -> dict[int, tuple[HasStatus, int | None]]:
    """The latest run of each job among those that came of the same first run."""
    root = run.root_id or run.pk
    chain = Run.objects.filter(Q(pk=root) | Q(root_id=root)).order_by("-pk")[:CHAIN_LIMIT]
    return {each.job_id: (each, each.pk) for each in reversed(chain)}


def _picture(
    graph: Graph, results: Mapping[int, tuple[HasStatus, int | None]], chosen: Job | None
) -> dict[str, Any]:
    drawing = layered.place(graph.followers())
    nodes = [
        Node(job, drawing.corners[job.pk], face(found[0]) if (found := results.get(job.pk)) else None,
             found[1] if found else None, job == chosen)
        for job in graph.jobs
    ]  # fmt: skip
    return {
        "width": drawing.width,
        "height": drawing.height,
        "nodes": nodes,
        "arrows": list(_arrows(graph, drawing)),
    }


def _arrows(graph: Graph, drawing: layered.Drawing) -> Iterator[Arrow]:
    """One for each trigger; of several between the same two jobs the words stand below each other."""
    count: dict[tuple[int, int], int] = {}
    for edge in graph.edges:
        ends = (edge.upstream_id, edge.downstream_id)
        route = drawing.routes[ends]
        begin, after = route[0], route[1]
        number = count[ends] = count.get(ends, -1) + 1
        at = layered.Point((begin.x + after.x) / 2, (begin.y + after.y) / 2 - 5 + 14 * number)
        yield Arrow(edge.trigger, layered.path(route), _words(edge.trigger), at)


def _words(trigger: Trigger) -> str:
    delay = f" +{trigger.delay_minutes} min" if trigger.delay_minutes else ""
    timed = "timed, needs " if trigger.kind == Kind.SCHEDULE else ""
    return f"{timed}{WORDS.get(trigger.condition, 'nothing')}{delay}{'' if trigger.enabled else ', off'}"


def _rows(
    graph: Graph, results: Mapping[int, tuple[HasStatus, int | None]]
) -> Iterator[tuple[Job, HasStatus | None, list[str]]]:
    """The picture in words: each job in the order of the flow, its run, and what it follows how."""
    names = {job.pk: job.slug for job in graph.jobs}
    for job in graph.jobs:
        rules = [
            f"{names[edge.upstream_id]} ({_rule(edge.trigger)})"
            for edge in graph.edges
            if edge.downstream_id == job.pk
        ]
        found = results.get(job.pk)
        yield job, found[0] if found else None, rules


def _rule(trigger: Trigger) -> str:
    """What an arrow says, and of a schedule its time and how long it waits too."""
    words = _words(trigger)
    if trigger.kind != Kind.SCHEDULE:
        return words
    return f"{words}: {_time(trigger)}; {requirements.waits(trigger)}"


def _time(trigger: Trigger) -> str:
    try:
        return f"{cron.describe(cron.parse(trigger.cron))}, {trigger.timezone}"
    except cron.InvalidCron as error:
        return str(error)
