"""What a component's attribute `output_to` is: the next component, reached by the way that counts.

A filter or an input may hand messages on itself, as those of the original do: `self.output_to.consume(message)`. What
it hands on so is counted as passed, and stays in order with what it returns.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import get_ident
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Emits(Protocol):
    """What hands messages on."""

    def emit(self, messages: list[Any]) -> None:
        """Hand a batch on: counted."""


class Onward:
    """The next component, as its predecessor sees it. Whatever is no `consume` is asked of that component itself.

    Attributes:
        target: what was given as `output_to`.
    """

    __slots__ = ("_gathered", "_owner", "target")

    def __init__(self, owner: Emits | None, target: Any) -> None:
        """Lead to `target`.

        Args:
            owner: hands a batch on, and counts it.
            target: a component, anything else with `consume`, or None.
        """
        self._owner = owner
        self._gathered: tuple[list[Any], int] | None = None
        self.target = target

    @contextmanager
    def gathered(self, messages: list[Any]) -> Iterator[None]:
        """Within the block, what this thread hands on is added to `messages`, which are handed on later."""
        before, self._gathered = self._gathered, (messages, get_ident())
        try:
            yield
        finally:
            self._gathered = before

    def consume(self, message: Any) -> None:
        """Hand one message on."""
        self.consume_many([message])

    def consume_many(self, messages: list[Any]) -> None:
        """Hand a batch on."""
        if self._gathered and self._gathered[1] == get_ident():
            self._gathered[0].extend(messages)
        elif self._owner:
            self._owner.emit(list(messages))

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "target"), name)

    def __repr__(self) -> str:
        return f"<output_to: {self.target!r}>"


def unwrapped(target: Any) -> Any:
    """The component itself, where another one's `output_to` was given."""
    return target.target if isinstance(target, Onward) else target
