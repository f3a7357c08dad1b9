"""Walking over connected components, in the order that messages flow."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from message_passing.errors import Fault, OpenError, collecting, naming_component

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager


class Node(Protocol):
    """The part of a component that walking, opening and closing needs."""

    label: str
    error: Any

    def outputs(self) -> Sequence[Any]:
        """Where its messages go."""

    def open(self) -> None:
        """Acquire its resources."""

    def close_one(self) -> None:
        """Release them."""

    def counted(self) -> Sequence[Any]:
        """Components that work for it in other processes."""

    def report(self, error: BaseException) -> None:
        """Send a report to the error chain."""


N = TypeVar("N", bound=Node)


def topological_order(heads: Iterable[N], *, errors: bool = False) -> list[N]:
    """Everything that can be reached from `heads`, each before the components it passes messages to.

    Args:
        heads: where to start.
        errors: include the components of their error chains, after all others: each of these may have something
            to report until it is closed.

    Raises:
        ValueError: the components form a loop.
    """
    heads = list(heads)
    order = _topological_order(heads)
    while errors:
        known = {id(head) for head in heads}
        found = {id(one.error): one.error for one in order if hasattr(one.error, "outputs")}
        if found.keys() <= known:
            break
        heads = [*(head for key, head in found.items() if key not in known), *heads]
        order = _topological_order(heads)
    return order


def _topological_order(heads: Iterable[N]) -> list[N]:
    order: list[N] = []
    state: dict[int, bool] = {}  # True once finished, False while its outputs are being visited

    def visit(component: N) -> None:
        finished = state.get(id(component))
        if finished is None:
            state[id(component)] = False
            for output in component.outputs():
                visit(output)
            state[id(component)] = True
            order.append(component)
        elif not finished:
            raise ValueError(f"{component.label} leads back to itself")

    for head in heads:
        visit(head)
    order.reverse()
    return order


def with_parts(components: Iterable[N]) -> list[N]:
    """All of them, each followed by those that work for it in other processes."""
    return [one for component in components for one in (component, *component.counted())]


def open_all(
    heads: Iterable[N],
    *,
    only: Callable[[N], bool] = lambda _: True,
    errors: bool = False,
    within: Callable[[N], AbstractContextManager[object]] = lambda _: nullcontext(),
) -> None:
    """Open everything reachable from `heads`, the far end first, so that nothing arrives at a closed component.

    Args:
        heads: where to start.
        only: skip those for which this is false.
        errors: include their error chains, see `topological_order`.
        within: what to open each one within, such as `naming_opening`.

    Raises:
        OpenError: with the errors of all that could not be opened.
    """
    faults: list[Fault] = []
    for component in reversed(topological_order(heads, errors=errors)):
        if only(component):
            with collecting(faults, component.label), within(component):
                component.open()
    if faults:
        raise OpenError(*faults)


def naming_opening(component: Any) -> AbstractContextManager[None]:
    """Wrap the opening of a component: see `naming_component`."""
    return naming_component(component, "on_open")


def close_all(heads: Iterable[N], *, errors: bool = False) -> None:
    """Close everything reachable from `heads`, in the order that messages flow; `errors`: see `topological_order`.

    Outputs are closed after all components that feed them, so that what is queued for receivers is complete. Error
    chains come last.
    """
    heads = list(heads)
    own = {id(one) for one in topological_order(heads)}
    order = topological_order(heads, errors=errors)
    reports = {id(one) for one in topological_order([one for one in order if id(one) not in own])}
    for component in sorted(order, key=lambda one: 2 if id(one) in reports else not one.outputs()):
        try:
            component.close_one()
        except Exception as error:  # noqa: BLE001 - the rest must still be closed
            component.report(error)
