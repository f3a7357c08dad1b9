"""A chain as lines of text, and as Mermaid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from message_passing.escaping import escape_control

if TYPE_CHECKING:
    from collections.abc import Iterator

    from message_passing.cli.graph.model import Graph, GraphNode

_PLAIN = str.maketrans({"●": "*", "○": "o", "│": "|", "├": "+", "└": "+", "─": "-", "↑": "^"})


def as_lines(graph: Graph) -> str:
    """A line for each component, with a branch of its own for each output of a `T`."""
    drawing = _Lines(graph)
    lines: list[str] = []
    for head in graph.heads:
        lines += [*drawing.draw(head, "", ""), ""]
    for start, head in graph.failed.items():
        lines += [f"what fails in {graph.nodes[start].title}:", *drawing.draw(head, "", "", "○"), ""]
    if graph.error_head:
        everywhere = "everywhere else" if graph.failed else "anywhere"
        lines += [f"what fails {everywhere}:", *drawing.draw(graph.error_head, "", "", "○"), ""]
    for number, node in graph.nodes.items():
        if number not in drawing.drawn:
            lines += [f"not used: {node}", ""]
    return "\n".join(map(escape_control, lines))


def as_plain(text: str) -> str:
    """The same in ASCII, for terminals that support nothing else."""
    return text.translate(_PLAIN)


@dataclass(slots=True)
class _Lines:
    """Draws each component once.

    Attributes:
        graph: the graph to draw.
        drawn: the numbers of those that were.
    """

    graph: Graph
    drawn: set[int] = field(default_factory=set)

    def draw(self, number: int, first: str, rest: str, bullet: str = "●") -> Iterator[str]:
        """A component and what follows it; `first` begins its line, `rest` those below."""
        while True:
            node = self.graph.nodes[number]
            if number in self.drawn:
                yield f"{first}↑ {node.title}, see above"
                return
            self.drawn.add(number)
            workers = f"  [{self.graph.count} workers]" if number in self.graph.workers else ""
            yield f"{first}{bullet} {node}{workers}"
            *branches, last = self.graph.after[number] or [0]
            for branch in branches:
                yield from self.draw(branch, f"{rest}├─{self._said(number, branch)}", f"{rest}│ ", bullet)
            if branches:
                yield from self.draw(last, f"{rest}└─{self._said(number, last)}", f"{rest}  ", bullet)
                return
            if not last:
                return
            yield f"{rest}│{self._said(number, last)}".rstrip()
            number, first = last, rest

    def _said(self, start: int, end: int) -> str:
        """What is said of an arrow."""
        label = self.graph.labels.get((start, end))
        return f" {label}: " if label else ""


def as_mermaid(graph: Graph) -> str:
    """A flowchart, as GitHub and others draw it (https://mermaid.js.org)."""
    lines = ["flowchart LR"]
    inside = [_box(graph.nodes[number]) for number in sorted(graph.workers)]
    if inside:
        lines += [f'  subgraph workers["{graph.count} workers"]', *(f"  {line}" for line in inside), "  end"]
    lines += [_box(node) for number, node in graph.nodes.items() if number not in graph.workers]
    for start, ends in graph.after.items():
        labels = {end: graph.labels.get((start, end)) for end in ends}
        lines += [
            f'  n{start} -->|"{_quoted(label)}"| n{end}' if label else f"  n{start} --> n{end}"
            for end, label in labels.items()
        ]
    lines += [f"  n{start} -. failed .-> n{end}" for start, end in graph.failed.items()]
    if graph.error_head:
        others = "all others" if graph.failed else "all"
        lines += [f'  all(["{others}"])', f"  all -. failed .-> n{graph.error_head}"]
    return "\n".join([*lines, ""])


def _box(node: GraphNode) -> str:
    text = "<br>".join(_quoted(line) for line in (node.title, node.detail) if line)
    return f'  n{node.number}(["{text}"])' if node.is_end else f'  n{node.number}["{text}"]'


def _quoted(text: str) -> str:
    """Text, escaped for Mermaid."""
    special = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "\n": " ", "`": "#96;"}
    return "".join(special.get(letter, letter) for letter in text)
