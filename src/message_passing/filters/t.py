"""Send a stream of messages to several outputs (Message::Passing::Filter::T)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from message_passing.errors import MessageError
from message_passing.filters._patience import PatientBranching
from message_passing.options import option


class TFilter(PatientBranching):
    """Passes every message to each of several outputs, like `tee`: the letter has the shape of the stream.

    Changes that a branch makes to a message (a filter that removes a field) do not affect the others, since each
    has its own copy. A branch whose reader has gone does not keep messages from the others.

    The chain runs at the pace of the slowest branch that makes progress. A branch without progress for `patience`
    seconds, for instance because its workers are unreachable, is no longer waited for until it makes progress again:
    the others continue, and what does not fit there is dropped, counted and reported to the error chain. If no
    branch makes progress, none holds up another, and the chain waits.

    To send different messages to different outputs, use [routes](../guide-filters.md#routes).
    """

    name = "T"
    transparent = True
    example = MappingProxyType({"copy": False})

    output_to: Any = option(
        default=None,
        description="Where messages go: a component or a list of them, or anything with `consume`.",
        python_only=True,
    )
    copy: bool = option(
        default=True,
        description="Give each branch its own copy of every dict and list. False shares them, which is "
        "faster, and safe if no branch modifies a message.",
    )

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Return all of them."""
        return messages

    def emit(self, messages: list[Any]) -> None:
        """Pass a batch to every branch: the last one gets the messages themselves, the others copies.

        Raises:
            OutputClosedError: a branch's reader has gone; all the others have their messages.
        """
        *branches, last = self._branches
        with self.handing() as hand:
            for branch in branches:
                if self.copy:
                    messages, batch = self._with_copies(messages)
                else:
                    batch = list(
                        messages
                    )  # its own list at least: a branch may keep the one that it is given
                hand(branch, batch)
            hand(last, messages)

    def _with_copies(self, messages: list[Any]) -> tuple[list[Any], list[Any]]:
        """The messages that can be copied, and their copies; one that cannot fails, for all branches."""
        try:
            return messages, [copied(message) for message in messages]
        except RecursionError:
            whole, copies = [], []
        for message in messages:
            try:
                copies.append(copied(message))
            except RecursionError:
                reason = "nested too deeply to be copied, or contains itself (with copy = false it is shared)"
                self.fail(MessageError(reason), [message])
            else:
                whole.append(message)
        return whole, copies


_CONTAINERS = frozenset({dict, list})


def copied(value: Any) -> Any:
    """The value with new dicts and lists all the way down; everything else is shared."""
    if type(value) is dict:
        return {key: copied(item) if type(item) in _CONTAINERS else item for key, item in value.items()}
    if type(value) is list:
        return [copied(item) if type(item) in _CONTAINERS else item for item in value]
    return value
