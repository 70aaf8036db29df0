"""Places a graph without circles on a plane: in layers from left to right, with few crossings. Pure.

The layer of a node is the longest way to it. An edge over several layers gets a stop in each of them, so that it
goes between nodes and not through them. The order inside the layers comes from a few sweeps of barycentres.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from triggers import graph

WIDTH: Final = 184
HEIGHT: Final = 44
GAP_X: Final = 132
GAP_Y: Final = 26
MARGIN: Final = 12
SWEEPS: Final = 6

Place = int | tuple[int, int, int]  # a node, or where the edge (from, to) passes a layer


@dataclass(frozen=True, slots=True)
class Point:
    """A point in the picture."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """The size of the picture, the left upper corner of each node, and the points each edge goes through."""

    width: int
    height: int
    corners: Mapping[int, Point]
    routes: Mapping[tuple[int, int], Sequence[Point]]


def place(followers: Mapping[int, Sequence[int]]) -> Drawing:
    """Where everything of the graph goes; raises graphlib.CycleError for one with a circle."""
    layer = _layers(followers)
    chains: dict[tuple[int, int], list[Place]] = {
        (node, after): [node, *((node, after, at) for at in range(layer[node] + 1, layer[after])), after]
        for node, afters in followers.items()
        for after in afters
    }
    rows = _rows(layer, chains.values())
    tallest = max((len(row) for row in rows), default=0)
    corners = {
        each: Point(
            MARGIN + column * (WIDTH + GAP_X),
            MARGIN + (number + (tallest - len(row)) / 2) * (HEIGHT + GAP_Y),
        )
        for column, row in enumerate(rows)
        for number, each in enumerate(row)
    }
    return Drawing(
        width=2 * MARGIN + len(rows) * WIDTH + max(len(rows) - 1, 0) * GAP_X,
        height=2 * MARGIN + tallest * HEIGHT + max(tallest - 1, 0) * GAP_Y,
        corners={each: corner for each, corner in corners.items() if isinstance(each, int)},
        routes={edge: _route([corners[each] for each in chain]) for edge, chain in chains.items()},
    )


def _layers(followers: Mapping[int, Sequence[int]]) -> dict[int, int]:
    layer: dict[int, int] = {}
    before = graph.reversed_graph(followers)
    for node in graph.in_order(followers):
        layer[node] = max((layer[each] + 1 for each in before.get(node, ())), default=0)
    return layer


def _rows(layer: Mapping[int, int], chains: Iterable[Sequence[Any]]) -> list[list[Place]]:
    """What stands in each layer, from above to below, ordered so that few edges cross."""
    rows: list[list[Place]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for node, at in layer.items():
        rows[at].append(node)
    links: list[tuple[Place, Place]] = []
    for chain in chains:
        links += pairwise(chain)
        for stop in chain[1:-1]:
            rows[stop[2]].append(stop)
    ahead, back = graph.followers(links), graph.followers((after, before) for before, after in links)
    for sweep in range(SWEEPS):
        forwards = sweep % 2 == 0
        for fixed, row in pairwise(rows if forwards else rows[::-1]):
            _sort(row, fixed, back if forwards else ahead)
    return rows


def _sort(row: list[Place], fixed: Sequence[Place], links: Mapping[Place, Sequence[Place]]) -> None:
    """Orders `row` by the mean place of each one's neighbours in the layer beside it; who has none stays."""
    places = {each: number for number, each in enumerate(fixed)}
    means = {}
    for number, each in enumerate(row):
        found = [places[other] for other in links.get(each, ()) if other in places]
        means[each] = sum(found) / len(found) if found else float(number)
    row.sort(key=lambda each: means[each])


def _route(corners: Sequence[Point]) -> list[Point]:
    """From the right side of the first box over the stops to the left side of the last one."""
    stops = [
        point
        for corner in corners[1:-1]
        for point in (Point(corner.x, corner.y + HEIGHT / 2), Point(corner.x + WIDTH, corner.y + HEIGHT / 2))
    ]
    first, last = corners[0], corners[-1]
    return [Point(first.x + WIDTH, first.y + HEIGHT / 2), *stops, Point(last.x, last.y + HEIGHT / 2)]


def path(points: Sequence[Point]) -> str:
    """The `d` of an SVG path through the points: bends between layers, straight past the stops."""
    parts = [f"M{points[0].x:g} {points[0].y:g}"]
    for before, after in pairwise(points):
        if before.y == after.y:
            parts.append(f"H{after.x:g}")
        else:
            middle = (before.x + after.x) / 2
            parts.append(f"C{middle:g} {before.y:g} {middle:g} {after.y:g} {after.x:g} {after.y:g}")
    return " ".join(parts)
