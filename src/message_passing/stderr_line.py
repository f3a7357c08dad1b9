"""The line of standard error that is drawn again and again, and what makes way for whatever else is written there."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_drawn: list[Callable[[], object]] = []


def make_way() -> None:
    """Take the line away, if there is one: something else is about to be written to standard error."""
    for erase in _drawn:
        erase()


@contextmanager
def drawing(erase: Callable[[], object]) -> Iterator[None]:
    """Within the block a line may be drawn, which `erase` takes away until it is drawn again."""
    _drawn.append(erase)
    try:
        yield
    finally:
        erase()
        _drawn.remove(erase)
