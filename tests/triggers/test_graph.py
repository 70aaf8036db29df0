"""triggers.graph: circles are found before they are closed, and named in the direction of the flow."""

import itertools
from graphlib import CycleError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggers import graph

CHAIN = graph.followers([("a", "b"), ("b", "c"), ("c", "d"), ("b", "e")])
edges = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=14)


def test_the_edge_that_closes_a_circle_is_told_with_the_whole_chain() -> None:
    assert graph.circle(CHAIN, upstream="d", downstream="a") == ["a", "b", "c", "d", "a"]


def test_a_job_after_itself_is_a_circle() -> None:
    assert graph.circle(CHAIN, upstream="b", downstream="b") == ["b", "b"]
    assert graph.circle({}, upstream="x", downstream="x") == ["x", "x"]


@pytest.mark.parametrize(("upstream", "downstream"), [("a", "d"), ("d", "e"), ("e", "new"), ("new", "a")])
def test_an_edge_that_closes_nothing_is_fine(upstream: str, downstream: str) -> None:
    assert graph.circle(CHAIN, upstream=upstream, downstream=downstream) is None


def test_of_several_circles_the_shortest_is_told() -> None:
    short = graph.followers([("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")])
    assert graph.circle(short, upstream="d", downstream="a") == ["a", "d", "a"]


def test_what_follows_is_found_over_any_distance() -> None:
    assert graph.reachable(CHAIN, "b") == {"c", "d", "e"}
    assert graph.reachable(CHAIN, "d") == set()
    assert graph.reachable(CHAIN, "unknown") == set()


def test_what_comes_before_is_the_same_graph_against_the_flow() -> None:
    assert graph.reachable(graph.reversed_graph(CHAIN), "d") == {"a", "b", "c"}


@given(edges)
def test_edges_are_refused_exactly_when_no_order_would_be_left(wanted: list[tuple[int, int]]) -> None:
    kept: list[tuple[int, int]] = []
    for upstream, downstream in wanted:
        chain = graph.circle(graph.followers(kept), upstream=upstream, downstream=downstream)
        together = graph.followers([*kept, (upstream, downstream)])
        if chain is None:
            kept.append((upstream, downstream))
            place = {node: number for number, node in enumerate(graph.in_order(together))}
            assert all(place[before] < place[after] for before, after in kept)
        else:
            assert chain[0] == chain[-1] == downstream
            assert chain[-2] == upstream
            assert all(after in together[before] for before, after in itertools.pairwise(chain))
            with pytest.raises(CycleError):
                graph.in_order(together)
