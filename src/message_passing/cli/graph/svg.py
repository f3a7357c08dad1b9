"""A chain as an SVG image: light or dark as the viewer prefers, with a title on every box and arrow."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from message_passing.topology_layout import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterable

    from message_passing.cli.graph.model import Graph
    from message_passing.topology_layout import Spot

_WIDTH, _HEIGHT = 200, 54
_GAP_X, _GAP_Y = 56, 26
_MARGIN = 28
_FITTING = 33
"""Characters that fit into a box."""

_ALL = 0
"""The number of the box that stands for every component whose messages may fail."""

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_TIP = (
    '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="tip" d="M0 0 8 4 0 8z"/></marker>'
)
"""The point of an arrow."""

_STYLE = """\
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .small { font-size: 11px; fill: #59636e; }
  .box { fill: #ffffff; stroke: #59636e; }
  .end { fill: #ddf4ff; stroke: #0969da; }
  .group { fill: #f6f8fa; stroke: #59636e; }
  .arrow { fill: none; stroke: #59636e; stroke-width: 1.5; }
  .failed { stroke: #cf222e; stroke-dasharray: 5 4; }
  .all { fill: #ffffff; stroke: #cf222e; stroke-dasharray: 5 4; }
  .tip { fill: #59636e; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .small { fill: #9198a1; }
    .box, .all { fill: #0d1117; }
    .box, .group { stroke: #9198a1; }
    .end { fill: #121d2f; stroke: #4493f8; }
    .group { fill: #151b23; }
    .arrow { stroke: #9198a1; }
    .failed, .all { stroke: #f85149; }
    .tip { fill: #9198a1; }
  }"""


def as_svg(graph: Graph) -> str:
    """The image."""
    drawn = _Drawn(graph)
    places = drawn.places()
    right = max((x for x, _ in places.values()), default=0) + _WIDTH + _MARGIN
    bottom = max((y for _, y in places.values()), default=0) + _HEIGHT + _MARGIN
    size = f'viewBox="0 0 {right} {bottom}" width="{right}" height="{bottom}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{_xml(_title(graph))}</title>",
        f"<style>\n{_STYLE}\n</style>",
        f"<defs>{_TIP}</defs>",
    ]
    if graph.workers:
        parts.append(_group([places[number] for number in graph.workers], f"{graph.count} workers"))
    for start, ends in graph.after.items():
        parts += [_arrow(drawn, start, end, _says(graph, start, end)) for end in ends]
    for start, end in graph.failed.items():
        parts.append(_arrow(drawn, start, end, f"what fails: {_says(graph, start, end)}", "arrow failed"))
    if graph.error_head:
        others = "all others" if graph.failed else "all components"
        said = f"what fails in {others} goes to {graph.nodes[graph.error_head].title}"
        parts.append(_arrow(drawn, _ALL, graph.error_head, said, "arrow failed"))
        parts.append(_box(places[_ALL], "all", "what fails", f"in {others}", said))
    for number, node in graph.nodes.items():
        small = " ".join(filter(None, (node.name, node.detail)))
        parts.append(_box(places[number], "end" if node.is_end else "box", node.label, small, str(node)))
    return "\n".join([*parts, "</svg>", ""])


@dataclass(slots=True)
class _Drawn:
    """The layout: blocks below each other, the chain first, then what only failures reach.

    Attributes:
        spots: of each box, in columns and rows.
        via: of the arrows that pass through columns between, where.
    """

    graph: Graph
    spots: dict[int, Spot] = field(default_factory=dict)
    via: dict[tuple[int, int], tuple[Spot, ...]] = field(default_factory=dict)
    _rows: float = 0

    def __post_init__(self) -> None:
        """Place it all."""
        graph = self.graph
        self._add(graph.heads)
        for head in (*graph.failed.values(), *filter(None, [graph.error_head]), *graph.nodes):
            if head in self.spots:
                continue
            if head == graph.error_head:
                self.spots[_ALL] = (0, self._rows)
            self._add([head], column=1 if head == graph.error_head else 0)
        if graph.error_head and _ALL not in self.spots:  # its head is a part of the chain
            self.spots[_ALL] = (0, self._rows)

    def _add(self, heads: Iterable[int], column: int = 0) -> None:
        """These and what follows them, under all that has its place already."""
        found: dict[int, None] = {}
        waiting = list(heads)
        while waiting:
            number = waiting.pop(0)
            if number not in found and number not in self.spots:
                found[number] = None
                waiting += self.graph.after[number]
        layout = lay_out({number: self.graph.after[number] for number in found})
        below = self._rows
        self.spots |= {number: (x + column, y + below) for number, (x, y) in layout.spots.items()}
        for edge in layout.edges:
            self.via[edge.start, edge.end] = tuple((x + column, y + below) for x, y in edge.via)
        self._rows += layout.rows

    def places(self) -> dict[int, tuple[int, int]]:
        """The top left corner of each box."""
        return {number: _corner(spot) for number, spot in self.spots.items()}


def _corner(spot: Spot) -> tuple[int, int]:
    x, y = spot
    return _MARGIN + x * (_WIDTH + _GAP_X), _MARGIN + round(y * (_HEIGHT + _GAP_Y))


def _says(graph: Graph, start: int, end: int) -> str:
    label = graph.labels.get((start, end))
    said = f"{graph.nodes[start].title} to {graph.nodes[end].title}"
    return f"{said}: {label}" if label else said


def _title(graph: Graph) -> str:
    heads = " and ".join(graph.nodes[number].title for number in graph.heads)
    return f"The chain that begins at {heads}: {len(graph.nodes)} components"


def _box(place: tuple[int, int], style: str, label: str, small: str, title: str) -> str:
    x, y = place
    middle = x + _WIDTH // 2
    lines = [f'<text x="{middle}" y="{y + (23 if small else 32)}" text-anchor="middle">{_cut(label)}</text>']
    if small:
        lines.append(
            f'<text class="small" x="{middle}" y="{y + 41}" text-anchor="middle">{_cut(small)}</text>'
        )
    rectangle = f'<rect class="{style}" x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>'
    return f"<g><title>{_xml(title)}</title>{rectangle}{''.join(lines)}</g>"


def _group(places: list[tuple[int, int]], title: str) -> str:
    left, right = min(x for x, _ in places) - 14, max(x for x, _ in places) + _WIDTH + 14
    top, bottom = min(y for _, y in places) - 24, max(y for _, y in places) + _HEIGHT + 8
    rectangle = (
        f'<rect class="group" x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" rx="8"/>'
    )
    text = f'<text class="small" x="{left + 12}" y="{top + 16}">{_xml(title)}</text>'
    return f"<g><title>{_xml(title)}</title>{rectangle}{text}</g>"


def _arrow(drawn: _Drawn, start: int, end: int, title: str, style: str = "arrow") -> str:
    spots = [drawn.spots[start], *drawn.via.get((start, end), ()), drawn.spots[end]]
    (from_x, from_y), *others = map(_corner, spots)
    from_x, from_y = from_x + _WIDTH, from_y + _HEIGHT // 2
    curve = f"M{from_x} {from_y}"
    for i, (left, top) in enumerate(others, 1):
        x, y = left, top + _HEIGHT // 2
        bend = max(_GAP_X // 2, abs(x - from_x) // 2)
        curve += f"C{from_x + bend} {from_y} {x - bend} {y} {x} {y}"
        from_x, from_y = x, y
        if i < len(others):  # straight through the column that it passes
            from_x += _WIDTH
            curve += f"H{from_x}"
    return f'<g><title>{_xml(title)}</title><path class="{style}" marker-end="url(#tip)" d="{curve}"/></g>'


def _cut(text: str) -> str:
    return _xml(text if len(text) <= _FITTING else f"{text[: _FITTING - 1]}…")


def _xml(text: str) -> str:
    return escape(_NO_XML.sub("\ufffd", text))
