"""Send a stream of messages to several outputs (Message::Passing::Filter::T)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from message_passing.filters._copying import CopyingBranching
from message_passing.options import option


class TFilter(CopyingBranching):
    """Passes every message to each of several outputs, like `tee`: the letter has the shape of the stream.

    Changes that a branch makes to a message (a filter that removes a field) do not affect the others: a branch that
    may change messages has its own copies. A branch whose reader has gone does not keep messages from the others.

    The chain runs at the pace of the slowest branch that makes progress. A branch without progress for `patience`
    seconds, for instance because its workers are unreachable, is no longer waited for until it makes progress again:
    the others continue, and what does not fit there is dropped, counted and reported to the error chain. If no
    branch makes progress, none holds up another, and the chain waits.

    To send different messages to different outputs, use [routes](../guide-filters.md#routes).
    """

    name = "T"
    transparent = True
    if_not_copied = " (with copy = false it is shared)"
    example = MappingProxyType({"copy": False})

    output_to: Any = option(
        default=None,
        description="Where messages go: a component or a list of them, or anything with `consume`.",
        python_only=True,
    )
    copy: bool = option(
        default=True,
        description="Give each branch that may modify messages (components of your own, filters that change fields) "
        "its own copy of every dict and list. False shares them, which is faster, and safe if none does.",
    )

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Return all of them."""
        return messages

    def emit(self, messages: list[Any]) -> None:
        """Pass a batch to every branch, with copies where the branch may change it.

        Raises:
            OutputClosedError: a branch's reader has gone; all the others have their messages.
        """
        with self.handing() as hand:
            if len(self._branches) == 1:
                hand(self._branches[0], messages)
                return
            _, batches = self.shared_among(self._branches, messages)
            for branch, batch in zip(self._branches, batches, strict=True):
                hand(branch, batch)
