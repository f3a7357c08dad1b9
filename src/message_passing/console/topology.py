"""A node's components as an operator sees them: each with an id and the components that it sends to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from message_passing.errors import did_you_mean
from message_passing.flow import Encoder, Output
from message_passing.graph import topological_order, with_parts
from message_passing.topology_layout import lay_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from message_passing.component import Component
    from message_passing.flow import Input


@runtime_checkable
class Elsewhere(Protocol):
    """A component that has others work for it in other processes, and tells how they fare."""

    def counted(self) -> Sequence[Component]:
        """See `Component.counted`."""

    def look(self) -> None:
        """Sample, for the next seconds, where the time of those parts goes: the console has a viewer."""

    def shares(self) -> Mapping[Component, float]:
        """The sampled shares of the time, from 0 to 1; empty without a viewer."""

    def described_workers(self) -> list[dict[str, Any]]:
        """The processes in which they run: `number`, `pid`, `ready`, `outstanding` messages."""


@dataclass(frozen=True, slots=True)
class ComponentView:
    """One component in its chain.

    Attributes:
        id: its name; no two are the same.
        component: itself, or what stands for it where it runs in workers.
        outputs: the ids of those to whom it hands messages.
        errors: it belongs to an error chain only.
        in_workers: it runs there.
    """

    id: str
    component: Component
    outputs: tuple[str, ...]
    errors: bool
    in_workers: bool


class Topology:
    """All components of some chains, in the order that messages flow, error chains last."""

    def __init__(self, heads: Sequence[Input], names: Mapping[str, Component] | None = None) -> None:
        """Find them.

        Args:
            heads: the inputs.
            names: what the components are called in the chain, as far as they have names.
        """
        everything = topological_order(heads, errors=True)
        main = {id(one) for one in with_parts(topological_order(heads))}
        self._all = with_parts(everything)
        self.pools = tuple(one for one in everything if isinstance(one, Elsewhere))
        parts = {id(part) for pool in self.pools for part in pool.counted()}
        ids = _ids(self._all, {id(component): name for name, component in (names or {}).items()})
        self.places = tuple(
            ComponentView(
                id=ids[id(one)],
                component=one,
                outputs=tuple(ids[id(to)] for to in _outputs(one) if id(to) in ids),
                errors=id(one) not in main,
                in_workers=id(one) in parts,
            )
            for one in self._all
        )
        self.drawings = {
            "chain": _drawing([place for place in self.places if not place.errors]),
            "errors": _drawing([place for place in self.places if place.errors]),
        }
        """How the chains, and those for errors alone, are drawn: see `message_passing.topology_layout`."""
        begin = {id(one.error): one.error for one in everything if isinstance(one.error, Output)}
        self.error_heads = tuple(one for key, one in begin.items() if key not in main)
        """Where error chains begin, but for those that messages come to as well."""
        watched = set(map(id, self.error_heads))
        self.reporters = tuple(one for one in everything if id(one.error) not in watched)
        """Those whose reports go elsewhere."""
        self.sampled = tuple({id(one): one for one in map(self._first_readable, heads)}.values())
        """Whose batches have a message's own time, of each input: behind the decoders, where these can be seen."""

    def refresh(self, *, watched: bool) -> None:
        """Ask those that run elsewhere for their counters, and where their time goes. In the chain's thread."""
        for pool in self.pools:
            pool.counted()
            if watched:
                pool.look()

    def shares(self) -> dict[str, float]:
        """What share of the workers' time each component that runs there takes, as far as known."""
        found = {id(one): share for pool in self.pools for one, share in pool.shares().items()}
        return {place.id: found[id(place.component)] for place in self.places if id(place.component) in found}

    def _first_readable(self, head: Input) -> Component:
        """What is behind an input's decoders; in workers nothing can be seen, so what is before them."""
        known = {place.id: place for place in self.places}
        found = place = next(place for place in self.places if place.component is head)
        while place.outputs and place.component.kind in ("input", "decoder"):
            place = known[place.outputs[0]]
            if not place.in_workers:
                found = place
        return found.component

    def find(self, name: str) -> tuple[ComponentView | None, str]:
        """The component with this id, or a hint: ` (did you mean ...?)`."""
        known = {place.id: place for place in self.places}
        return known.get(name), did_you_mean(name, known) or f" (it has {', '.join(known)})"

    def shown_at(self) -> ComponentView | None:
        """The component whose messages are shown by default: where the path of the first input ends.

        At each fork it follows the first output. It stops earlier where readable messages are packed or encrypted;
        work in workers can only be watched before and after them.
        """
        known = {place.id: place for place in self.places}
        found = place = next(iter(self.places), None)
        while place:
            if not place.in_workers:
                found = place
            if isinstance(place.component, Encoder) and not place.component.readable:
                break
            place = known[place.outputs[0]] if place.outputs else None
        return found


def _drawing(places: Sequence[ComponentView]) -> dict[str, Any]:
    """Spots as `[column, row]`, for `GET /state`."""
    layout = lay_out({place.id: place.outputs for place in places})
    return {
        "columns": layout.columns,
        "rows": layout.rows,
        "spots": layout.spots,
        "edges": [
            {"from": edge.start, "to": edge.end, "via": edge.via, "label": edge.label}
            for edge in layout.edges
        ],
    }


def _outputs(component: Component) -> Sequence[Any]:
    """Where its messages go next; workers' work is drawn between them and the output."""
    if parts := component.counted():
        return parts[:1]
    return component.outputs()


def _ids(components: Sequence[Component], names: Mapping[int, str]) -> dict[int, str]:
    found: dict[int, str] = {}
    taken = set(names.values())
    for one in components:
        name = names.get(id(one), "")
        if not name:
            count, name = 1, one.chain_name
            while name in taken:
                count += 1
                name = f"{one.chain_name} {count}"
        taken.add(name)
        found[id(one)] = name
    return found
