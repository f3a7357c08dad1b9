"""A batch of messages that is also one block of text, so that nobody joins them twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Lines(list[bytes]):
    """A batch of messages of one line each, and the block of text that they make together.

    Who checks a batch has to join it, and so has who writes it: passed on as this, it is joined once. Like
    every batch, it is not changed by those who get it.
    """

    __slots__ = ("block",)

    def __init__(self, messages: Iterable[bytes]) -> None:
        """Join `messages`, none of which has a line break in it."""
        super().__init__(messages)
        self.block = b"\n".join([*self, b""])
        """Every message, each followed by a newline."""
