"""The components of a node as an operator sees them: each with an id, and where its messages go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from message_passing.errors import did_you_mean
from message_passing.graph import in_order
from message_passing.workers.attended import Attended, with_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from message_passing.component import Component
    from message_passing.flow import Input


@dataclass(frozen=True, slots=True)
class Place:
    """One component in its chain.

    Attributes:
        id: its name in the chain, or its label; no two are the same.
        component: itself, or what stands for it where it runs in workers.
        outputs: the ids of those to whom it hands messages.
        errors: it belongs to an error chain only.
    """

    id: str
    component: Component
    outputs: tuple[str, ...]
    errors: bool


class Layout:
    """All components of some chains, in the order that messages flow, error chains last."""

    def __init__(self, heads: Sequence[Input], names: Mapping[str, Component] | None = None) -> None:
        """Find them.

        Args:
            heads: the inputs.
            names: what the components are called in the chain, as far as they have names.
        """
        everything = in_order(heads, errors=True)
        main = {id(one) for one in with_parts(in_order(heads))}
        self._all = with_parts(everything)
        ids = _ids(self._all, {id(component): name for name, component in (names or {}).items()})
        self.places = tuple(
            Place(
                id=ids[id(one)],
                component=one,
                outputs=tuple(ids[id(to)] for to in _outputs(one) if id(to) in ids),
                errors=id(one) not in main,
            )
            for one in self._all
        )
        self.pools = tuple(one for one in everything if isinstance(one, Attended))
        self.error_heads = tuple({id(one.error): one.error for one in everything if one.error}.values())

    def refresh(self) -> None:
        """Ask those that run elsewhere for their counters. In the chain's thread."""
        for pool in self.pools:
            pool.counted()

    def find(self, name: str) -> tuple[Place | None, str]:
        """The component with this id, or how to put it right: ` (did you mean ...?)`."""
        known = {place.id: place for place in self.places}
        return known.get(name), did_you_mean(name, known) or f" (it has {', '.join(known)})"

    def first_output(self) -> Place | None:
        """The end that the first input leads to, by the first way at each fork: messages are there as they leave."""
        known = {place.id: place for place in self.places}
        place = next(iter(self.places), None)
        while place and place.outputs:
            place = known[place.outputs[0]]
        return place


def _outputs(component: Component) -> Sequence[Any]:
    """Where its messages go next; workers' work is drawn between them and the output."""
    if isinstance(component, Attended) and (parts := component.counted()):
        return parts[:1]
    return component.outputs()


def _ids(components: Sequence[Component], names: Mapping[int, str]) -> dict[int, str]:
    found: dict[int, str] = {}
    taken = set(names.values())
    for one in components:
        name = names.get(id(one), "")
        if not name:
            count, name = 1, one.label
            while name in taken:
                count += 1
                name = f"{one.label} {count}"
        taken.add(name)
        found[id(one)] = name
    return found
