"""Several chains in one process, as a command's `build_chain` may return them (Message::Passing::Role::Script)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from message_passing.chain import Chain
from message_passing.errors import ChainError, UserError, collecting
from message_passing.flow import Input
from message_passing.graph import topological_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from message_passing.component import Component
    from message_passing.errors import Fault


def as_chain(given: Any) -> Chain:
    """Make one chain of a chain, an input, or nested lists of these.

    Args:
        given: a chain, the input of a chain that was connected by hand, or a list of these and of such lists.

    Raises:
        ChainError: it is something else, or nothing.
    """
    if isinstance(given, Chain):
        return given
    parts = list(_flat(given))
    if not parts:
        raise ChainError("there is no chain to run: a list without a chain or an input")
    return parts[0] if len(parts) == 1 and isinstance(parts[0], Chain) else ChainGroup(parts)


def _flat(given: Any) -> Iterator[Chain | Input]:
    if isinstance(given, (Chain, Input)):
        yield given
    elif isinstance(given, (list, tuple)):
        for one in given:
            yield from _flat(one)
    else:
        kind = "nothing" if given is None else f"an object of type {type(given).__name__}"
        raise ChainError(f"a chain, an input, or a list of these is needed, not {kind}")


class ChainGroup(Chain):
    """Chains that run together. Each has its own names; here, a repeated name gets a number."""

    def __init__(self, parts: list[Chain | Input]) -> None:
        """Group chains.

        Args:
            parts: chains, and inputs of chains that were connected by hand.
        """
        super().__init__()
        self._parts = parts

    def build(self) -> list[Input]:
        """Build each.

        Raises:
            UserError: with the errors of all.
        """
        if self._built:
            return self.heads
        faults: list[Fault] = []
        for part in self._parts:
            with collecting(faults):
                if isinstance(part, Chain):
                    self.heads += part.build()
                    self._add(part.components.items())
                else:
                    self.heads.append(part)
                    self._add((one.chain_name, one) for one in topological_order([part], errors=True))
        if faults:
            raise UserError(*faults)
        self._built = True
        return self.heads

    def _add(self, components: Iterable[tuple[str, Component]]) -> None:
        known = set(map(id, self.components.values()))
        for name, one in components:
            if id(one) not in known:
                free, number = name, 1
                while free in self.components:
                    number += 1
                    free = f"{name} {number}"
                self.components[free], one.chain_name = one, free

    def unchanged(self, before: Chain) -> set[str]:  # noqa: ARG002 - see there
        """No names: what a program connects is not compared."""
        return set()
