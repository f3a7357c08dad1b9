"""Changing a running chain to another: what has not changed stays as it is, and nothing is lost.

Components whose declaration is the same in both chains stay open, with all that they hold; only what they are
connected to changes, between two batches. The others are opened before those that they replace are closed, except
where both need the same address. If one of them cannot be opened, the previous chain stays.

A running input can be neither changed nor removed: messages on their way to its socket would be lost.
Neither can an output that keeps messages until they are acknowledged, as long as no receiver is there to do so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.errors import Fault, OpenError, UserError, collecting, naming_component
from message_passing.flow import Input, Output, Source
from message_passing.graph import naming_opening, topological_order
from message_passing.living import close_alone, lives
from message_passing.metrics import plural

if TYPE_CHECKING:
    from message_passing.chain import Chain
    from message_passing.component import Component
    from message_passing.runner import Server


class ChainUpdate:
    """One change of a running chain.

    Attributes:
        added: names that are new.
        replaced: names of components that were replaced.
        removed: names that are gone.
        retired: components that were closed, whose counters are still reported.
    """

    def __init__(self, server: Server, before: Chain, after: Chain) -> None:
        """Compare the chains; nothing is changed yet.

        Args:
            server: runs `before`.
            before: as it was built.
            after: as built, with no component open.
        """
        kept = after.unchanged(before)
        self.added = sorted(after.components.keys() - before.components.keys())
        self.removed = sorted(before.components.keys() - after.components.keys())
        self.replaced = sorted(after.components.keys() - kept - set(self.added))
        self.retired: list[Component] = []
        self._server, self._before, self._after = server, before, after
        self._kept = {name: before.components[name] for name in kept}
        # In the order that messages flow, error chains last.
        gone = {id(before.components[name]): name for name in (*self.replaced, *self.removed)}
        heads: list[Component] = [*before.heads]
        everything = topological_order(heads, errors=True)
        self._gone = {gone[id(one)]: one for one in everything if id(one) in gone}

    def check(self) -> None:
        """Look for errors before anything is changed. It may take time.

        Raises:
            UserError: with what was found.
        """
        faults = [
            Fault(f"the input {name!r} cannot change while it runs: what is on its way to it would be lost")
            for name, component in self._gone.items()
            if isinstance(component, Input)
        ]
        faults += [
            Fault(
                f"the output {name!r} cannot change now: it keeps {plural(component.held())} for its receiver, which "
                "would be lost: try again when they have been taken, or restart"
            )
            for name, component in self._gone.items()
            if isinstance(component, Output) and _keeps_for_somebody_away(component)
        ]
        for name in (*self.added, *self.replaced):
            component = self._after.components[name]
            with collecting(faults, component.label), naming_component(component, "preflight"):
                component.preflight()
        if faults:
            raise UserError(*faults)

    def run(self) -> None:
        """Apply the change. Within the server's loop, and between two batches.

        Raises:
            OpenError: a new component cannot be opened; the previous chain stays.
        """
        self._connect(self._after, self._kept)
        try:
            self._open_new()
        except Exception:
            self._go_back()
            raise
        self._close_gone(flush=True)
        self._server.backgrounds.begin(self._server.components)
        for head in self._server.heads:
            if not self._server.runs(head):
                self._server.begin(head)

    def _connect(self, chain: Chain, instead: dict[str, Component]) -> None:
        chain.connect(instead)
        self._server.heads = chain.heads
        for component in topological_order(chain.heads, errors=True):
            if isinstance(component, Source):
                component.rewire()
        self._server.adopt()

    def _open_new(self) -> None:
        """If a new component cannot be opened, close those that are leaving, which may have its address, and retry.

        Raises:
            OpenError: it failed for another reason.
        """
        faults: list[Fault] = []
        for component in reversed(topological_order(self._after.heads, errors=True)):
            try:
                with naming_opening(component):
                    component.open()
            except UserError:  # perhaps what goes has what this one needs
                self._close_gone()
                with collecting(faults, component.label), naming_opening(component):
                    component.open()
        if faults:
            raise OpenError(*faults)

    def _close_gone(self, *, flush: bool = False) -> None:
        """Close each, passing what it holds to the components after it, as before.

        Args:
            flush: let those that can flush within the loop; False if a new component needs their address now.
        """
        for component in self._gone.values():
            if component not in self.retired:
                self.retired.append(component)
                if flush and (lives(component) or self._server.backgrounds.are_leaving):
                    self._server.backgrounds.retire(component)
                else:
                    close_alone(component)

    def _go_back(self) -> None:
        """Restore the previous chain; what was closed for the new one is constructed again."""
        kept = set(map(id, self._kept.values()))
        for component in topological_order(self._after.heads, errors=True):
            if id(component) not in kept:
                close_alone(component)
        closed = {name: component for name, component in self._gone.items() if component in self.retired}
        self._connect(self._before, {name: self._before.make_again(name) for name in closed})
        for component in reversed(topological_order(self._before.heads, errors=True)):
            try:
                with naming_opening(component):
                    component.open()
            except UserError as error:  # another program has taken its address
                component.report(error)


def _keeps_for_somebody_away(output: Output) -> bool:
    """Whether an output that tells what has arrived has messages that nobody takes."""
    if output.confirms_early or not output.held():
        return False
    return output.info().get("peers") == 0 or bool(output.problems())
