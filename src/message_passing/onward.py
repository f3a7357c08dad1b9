"""The value of a component's attribute `output_to`: a proxy of the next component that counts what passes.

A filter or an input may pass messages on itself, as in the original: `self.output_to.consume(message)`. Such messages
are counted as passed, and stay in order with those that it returns.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import get_ident
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Emits(Protocol):
    """A component that passes messages on."""

    def emit(self, messages: list[Any]) -> None:
        """Pass a batch on, counting it."""


class Onward:
    """The next component, as its predecessor sees it. Every attribute but `consume` is that component's own.

    Attributes:
        target: what was given as `output_to`.
    """

    __slots__ = ("_gathered", "_owner", "target")

    def __init__(self, owner: Emits | None, target: Any) -> None:
        """Proxy for `target`.

        Args:
            owner: passes a batch on, and counts it.
            target: a component, anything else with `consume`, or None.
        """
        self._owner = owner
        self._gathered: tuple[list[Any], int] | None = None
        self.target = target

    @contextmanager
    def gathered(self, messages: list[Any]) -> Iterator[None]:
        """Within the block, what this thread passes on is added to `messages`, which are passed on later."""
        before, self._gathered = self._gathered, (messages, get_ident())
        try:
            yield
        finally:
            self._gathered = before

    def consume(self, message: Any) -> None:
        """Pass one message on."""
        self.consume_many([message])

    def consume_many(self, messages: list[Any]) -> None:
        """Pass a batch on."""
        if self._gathered and self._gathered[1] == get_ident():
            self._gathered[0].extend(messages)
        elif self._owner:
            self._owner.emit(list(messages))

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "target"), name)

    def __repr__(self) -> str:
        return f"<output_to: {self.target!r}>"


def unwrapped(target: Any) -> Any:
    """The component itself, if this is another component's `output_to`."""
    return target.target if isinstance(target, Onward) else target
