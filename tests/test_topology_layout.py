"""Where the boxes of a drawn chain stand: of any graph, no two in one place, and every edge to the right."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from message_passing.topology_layout import TopologyLayout, lay_out

if TYPE_CHECKING:
    from message_passing.topology_layout import Spot


@st.composite
def graphs(draw: st.DrawFn) -> dict[int, list[int]]:
    """Chains of any shape: each component hands messages to some of those after it."""
    count = draw(st.integers(0, 12))
    return {
        one: draw(st.lists(st.integers(one + 1, count - 1), unique=True, max_size=4))
        if one < count - 1
        else []
        for one in range(count)
    }


def taken(layout: TopologyLayout[int]) -> list[Spot]:
    """Every spot that is taken or kept free."""
    return [*layout.spots.values(), *(spot for edge in layout.edges for spot in edge.via)]


@given(graphs())
def test_nothing_stands_on_anything(after: dict[int, list[int]]) -> None:
    """Nor does an edge pass through a box; each goes from column to column, and all of them are there."""
    layout = lay_out(after)
    by_column: dict[int, list[float]] = {}
    for column, row in taken(layout):
        by_column.setdefault(column, []).append(row)
    for rows in by_column.values():
        assert all(below - above >= 1 for above, below in pairwise(sorted(rows)))
    assert {(edge.start, edge.end) for edge in layout.edges} == {
        (start, end) for start, ends in after.items() for end in ends
    }
    for edge in layout.edges:
        columns = [column for column, _ in (layout.spots[edge.start], *edge.via, layout.spots[edge.end])]
        assert columns == list(range(columns[0], columns[-1] + 1))
    assert all(column < layout.columns and 0 <= row <= layout.rows - 1 for column, row in taken(layout))


@given(graphs())
def test_a_label_has_a_place_of_its_own(after: dict[int, list[int]]) -> None:
    """No two labels are at the end of one box's edges, or at the start of one's."""
    layout = lay_out(after)
    ends = [
        (edge.via[0] if edge.via else layout.spots[edge.end]) for edge in layout.edges if edge.label == "end"
    ]
    starts = [edge.start for edge in layout.edges if edge.label == "start"]
    assert len(set(ends)) == len(ends)
    assert len(set(starts)) == len(starts)


def test_the_first_way_goes_straight_on() -> None:
    """Branches are below it, and what they come together in is between them."""
    spots = lay_out({"in": ["split"], "split": ["a", "b"], "a": ["out"], "b": ["out"], "out": []}).spots
    assert spots == {"in": (0, 0), "split": (1, 0), "a": (2, 0), "b": (2, 1), "out": (3, 0.5)}


def test_an_input_stands_right_before_what_it_leads_to() -> None:
    """Also when that is far to the right, and then below the others."""
    spots = lay_out({"in": ["a"], "late": ["out"], "a": ["out"], "out": [], "alone": []}).spots
    assert spots == {"in": (0, 0), "a": (1, 0), "out": (2, 0.5), "late": (1, 1), "alone": (0, 1)}


def test_a_loop_and_strange_names_are_drawn_all_the_same() -> None:
    """A chain never has any, and a node may say anything."""
    layout = lay_out({"a": ["b", "b", "nobody"], "b": ["a"]})
    assert len(set(layout.spots.values())) == 2
    nothing: dict[str, list[str]] = {}
    assert lay_out(nothing).columns == 0
