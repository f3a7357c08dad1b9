"""Where the boxes of a drawn chain stand, and its edges: for `message-passing graph` and the console's page."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

K = TypeVar("K", bound="Hashable")

Spot = tuple[int, float]
"""A column and a row, from 0; rows may be halves."""

LabelSide = Literal["start", "end", "middle"]


@dataclass(frozen=True, slots=True)
class Edge(Generic[K]):
    """One connection.

    Attributes:
        start: where messages come from.
        end: where they go.
        via: spots that are kept free for it in the columns between.
        label: where, between the first two spots, no other edge is: that is the place for a label.
    """

    start: K
    end: K
    via: tuple[Spot, ...]
    label: LabelSide


@dataclass(frozen=True, slots=True)
class TopologyLayout(Generic[K]):
    """A laid out graph.

    Attributes:
        spots: of each node; no two are the same, and rows of one column differ by 1 at least.
        edges: between them.
        columns: how many.
        rows: how many, at most 1 more than the lowest spot's.
    """

    spots: dict[K, Spot]
    edges: tuple[Edge[K], ...]
    columns: int
    rows: float


def lay_out(after: Mapping[K, Sequence[K]]) -> TopologyLayout[K]:
    """Columns in the order that messages flow, rows beside what messages come from, the first way straight on.

    Args:
        after: for each node, where its messages go; names that are no node are left out. A loop is drawn as well.
    """
    links = [(one, to) for one, ends in after.items() for to in dict.fromkeys(ends) if to in after]
    column = _columns(after, links)
    sources: defaultdict[K, list[K]] = defaultdict(list)
    targets: defaultdict[K, list[K]] = defaultdict(list)
    for start, end in links:
        sources[end].append(start)
        targets[start].append(end)
    waiting: defaultdict[int, list[tuple[object, list[object], int]]] = defaultdict(list)
    last: dict[
        tuple[K, K], object
    ] = {}  # what stands right before the edge's end: its start, or the last free spot
    passed: dict[tuple[K, K], list[object]] = {}
    for start, end in links:
        passed[start, end] = []
        before: object = start
        for between in range(column[start] + 1, column[end]):
            free: object = _Free()
            waiting[between].append((free, [before], targets[start].index(end)))
            passed[start, end].append(free)
            before = free
        last[start, end] = before
    for one in after:
        turn = min((targets[source].index(one) for source in sources[one]), default=0)
        waiting[column[one]].append((one, [last[source, one] for source in sources[one]], turn))
    row = _rows(waiting)
    edges = tuple(
        Edge(
            start,
            end,
            tuple((column[start] + 1 + i, row[free]) for i, free in enumerate(passed[start, end])),
            _label(len(sources[end]), len(targets[start]), bool(passed[start, end])),
        )
        for start, end in links
    )
    spots = {one: (column[one], row[one]) for one in after}
    return TopologyLayout(
        spots, edges, max(column.values(), default=-1) + 1, max(row.values(), default=-1) + 1
    )


class _Free:
    """A spot that an edge passes through."""


def _columns(after: Iterable[K], links: Iterable[tuple[K, K]]) -> dict[K, int]:
    """As many steps as the longest way has; what nothing leads to stands right before what it leads to."""
    ends: defaultdict[K, list[K]] = defaultdict(list)
    missing: defaultdict[K, int] = defaultdict(int)
    for start, end in links:
        ends[start].append(end)
        missing[end] += 1
    column = dict.fromkeys(after, 0)
    left = dict.fromkeys(column)
    ready = [one for one in left if not missing[one]]
    begin = [one for one in ready if ends[one]]
    while left:
        one = ready.pop(0) if ready else next(iter(left))  # a loop, which a chain never has
        if one not in left:
            continue
        del left[one]
        for end in ends[one]:
            missing[end] -= 1
            if end in left:
                column[end] = max(column[end], column[one] + 1)
                if not missing[end]:
                    ready.append(end)
    for one in begin:
        column[one] = max(0, min(column[end] for end in ends[one]) - 1)
    return column


def _rows(waiting: Mapping[int, list[tuple[object, list[object], int]]]) -> dict[object, float]:
    """In each column from the top, everything as near as can be to the middle of what it comes from."""
    row: dict[object, float] = {}
    for _, column in sorted(waiting.items()):
        wanted: list[tuple[float, int, object]] = []
        for one, before, turn in column:
            known = [row[source] for source in before if source in row]
            wanted.append((sum(known) / len(known) if known else float("inf"), turn, one))
        free = 0.0
        for want, _, one in sorted(wanted, key=lambda found: found[:2]):
            row[one] = free if want == float("inf") else max(free, round(want * 2) / 2)
            free = row[one] + 1
    return row


def _label(into: int, out_of: int, has_via: bool) -> LabelSide:
    if has_via or into == 1:
        return "end"
    return "start" if out_of == 1 else "middle"
