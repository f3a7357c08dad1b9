"""A built chain as a graph to draw: boxes, and the arrows between them."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from message_passing.workers.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from message_passing.chain import Chain
    from message_passing.component import Component

_TELLING = ("socket_bind", "connect", "hostname", "port", "filename", "key", "match", "filter_function")
"""Options that say what a component is for. None of them is a secret."""

_ENDS = ("input", "output")


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One box.

    Attributes:
        number: from 1, in the order that messages flow.
        label: `ZeroMQ input`.
        name: its name in the chain; empty if that is only its kind.
        detail: `socket_bind=tcp://*:5558`.
        is_end: an input or an output.
    """

    number: int
    label: str
    name: str = ""
    detail: str = ""
    is_end: bool = False

    @property
    def title(self) -> str:
        """Both names on one line."""
        return f"{self.label} ({self.name})" if self.name else self.label

    def __str__(self) -> str:
        return f"{self.title}  {self.detail}" if self.detail else self.title


@dataclass(slots=True)
class Graph:
    """The graph to draw.

    Attributes:
        nodes: all of them.
        heads: where messages come in.
        after: where messages go from each, by number.
        labels: what is said of an arrow: the condition of a route.
        failed: where the failures of each go, if not to `error_head`.
        error_head: where the failures of most go.
        workers: the numbers of those that run in several processes; and
        count: in how many.
    """

    nodes: dict[int, GraphNode] = field(default_factory=dict)
    heads: list[int] = field(default_factory=list)
    after: dict[int, list[int]] = field(default_factory=dict)
    labels: dict[tuple[int, int], str] = field(default_factory=dict)
    failed: dict[int, int] = field(default_factory=dict)
    error_head: int | None = None
    workers: set[int] = field(default_factory=set)
    count: int = 0


def graph_of(chain: Chain) -> Graph:
    """Make the graph of a built chain."""
    return _Drawing(chain).graph


class _Drawing:
    """Walks over the components once."""

    def __init__(self, chain: Chain) -> None:
        self.graph = Graph()
        self._numbers: dict[int, int] = {}
        self._names = {id(one): name for name, one in chain.components.items()}
        made = list(chain.components.values())
        self._pool = next((one for one in made if isinstance(one, Pool)), None)
        made = [one for one in made if one is not self._pool]
        self.graph.heads = self._visit_all(chain.heads)
        heads = {id(one.error): one.error for one in made if hasattr(one.error, "outputs")}
        self._visit_all(heads.values())
        usual = Counter(id(one.error) for one in made if id(one.error) in heads).most_common(1)
        for key, _ in usual:
            self.graph.error_head = self._numbers[key]
        for one in made:
            if id(one.error) in heads and id(one.error) != usual[0][0]:
                self.graph.failed[self._numbers[id(one)]] = self._numbers[id(one.error)]
        self._visit_all(made)  # what nothing outputs to
        if self._pool:
            members = self._pool.members.values()
            self.graph.workers = {self._numbers[id(one)] for one in members}
            self.graph.count = self._pool.count

    def _visit_all(self, components: Iterable[Component]) -> list[int]:
        return [self._visit(one) for one in components]

    def _visit(self, one: Component) -> int:
        known = self._numbers.get(id(one))
        if known:
            return known
        number = len(self._numbers) + 1
        self._numbers[id(one)] = number
        name = self._names.get(id(one), "")
        self.graph.nodes[number] = GraphNode(
            number=number,
            label=one.label,
            name="" if name == one.kind else name,
            detail=_detail(one),
            is_end=one.kind in _ENDS,
        )
        self.graph.after[number] = []
        ends = self._visit_all(self._instead(target) for target in one.outputs())
        self.graph.after[number] += dict.fromkeys(ends)
        if routes := one.info().get("routes"):
            said: defaultdict[int, list[str]] = defaultdict(list)
            rest = iter(ends)
            for route in routes:
                for end in islice(rest, len(route["to"])):
                    said[end].append(_shown(route["when"]) or "all others")
            self.graph.labels |= {(number, end): "; or ".join(texts) for end, texts in said.items()}
        return number

    def _instead(self, target: Component) -> Component:
        """The first of those that run in workers, where these stand in the chain."""
        if not isinstance(target, Pool):
            return target
        first: Component = next(iter(target.members.values()))
        return first


def _detail(one: Component) -> str:
    if (routes := one.info().get("routes")) and not routes[-1]["to"]:
        return "all others are filtered out"
    found = [f"{name}={_shown(value)}" for name in _TELLING if (value := getattr(one, name, None))]
    return " ".join(found)


def _shown(value: Any) -> str:
    text = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
