"""Decides what a graph of jobs allows: which edges would close a circle, what lies before and behind, in which order.

Pure: nodes are anything hashable, and a graph says of each node which ones follow it directly.
"""

from collections import deque
from collections.abc import Collection, Hashable, Iterable, Mapping
from graphlib import TopologicalSorter
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)
Followers = Mapping[Node, Collection[Node]]


def followers(edges: Iterable[tuple[Node, Node]]) -> dict[Node, list[Node]]:
    """The graph of `edges`, each one (upstream, downstream); nodes and followers keep the order of the edges."""
    found: dict[Node, list[Node]] = {}
    for upstream, downstream in edges:
        found.setdefault(upstream, [])
        found.setdefault(downstream, [])
        if downstream not in found[upstream]:
            found[upstream].append(downstream)
    return found


def reversed_graph(graph: Followers[Node]) -> dict[Node, list[Node]]:
    """The same graph against the flow: who is directly before each node."""
    return followers((after, before) for before, afters in graph.items() for after in afters)


def reachable(graph: Followers[Node], start: Node, *, hops: int | None = None) -> set[Node]:
    """All that follows `start`, at most `hops` edges away; `start` itself only if it lies on a circle."""
    found: set[Node] = set()
    waiting = deque((node, 1) for node in graph.get(start, ()))
    while waiting:
        node, distance = waiting.popleft()
        if node not in found and (hops is None or distance <= hops):
            found.add(node)
            waiting.extend((after, distance + 1) for after in graph.get(node, ()))
    return found


def circle(graph: Followers[Node], *, upstream: Node, downstream: Node) -> list[Node] | None:
    """The shortest circle that the edge upstream → downstream would close; None if it closes none.

    It begins and ends with `downstream`: to A → B → C, the edge C → A gives [A, B, C, A].
    """
    came_from: dict[Node, Node | None] = {downstream: None}
    waiting = deque([downstream])
    while waiting and upstream not in came_from:
        node = waiting.popleft()
        for after in graph.get(node, ()):
            if after not in came_from:
                came_from[after] = node
                waiting.append(after)
    if upstream not in came_from:
        return None
    chain = [downstream]
    step: Node | None = upstream
    while step is not None:
        chain.append(step)
        step = came_from[step]
    return chain[::-1]


def in_order(graph: Followers[Node]) -> list[Node]:
    """All nodes, each one after everything it follows; raises graphlib.CycleError with the circle in args[1]."""
    before = reversed_graph(graph)
    return list(TopologicalSorter({node: before.get(node, ()) for node in graph}).static_order())
