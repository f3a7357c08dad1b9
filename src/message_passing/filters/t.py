"""Send a stream of messages to several outputs (Message::Passing::Filter::T)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.errors import MessageError, OutputClosedError
from message_passing.flow import Filter
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from message_passing.flow import Output


class TFilter(Filter):
    """Hands every message to each of several outputs: the letter's shape is the stream's.

    What a branch does to a message (a filter that removes a field) is not seen by the others, since each has
    a copy of its own. A branch whose reader has gone away does not keep messages from the others.

    To send different messages to different outputs, put a `Key` filter at the head of a branch.
    """

    name = "T"
    looks = False
    example = MappingProxyType({"copy": False})

    output_to: Any = option(
        default=None,
        description="Where messages go: a list of components or anything with `consume`. One alone is fine.",
        python_only=True,
    )
    copy: bool = option(
        default=True,
        description="Give each branch its own copy of every dict and list. False shares them, which is "
        "faster, and right when no branch changes a message.",
    )

    def on_init(self) -> None:
        """Find out what each of `output_to` is."""
        targets = self.output_to if isinstance(self.output_to, (list, tuple)) else [self.output_to]
        self._branches = [self.as_output(target) for target in targets] or [self.as_output(None)]

    def connect_to(self, target: Any) -> None:
        """Set `output_to` after construction: one output or a list of them."""
        self.output_to = target
        TFilter.on_init(self)

    def outputs(self) -> Sequence[Output]:
        """All the components it hands messages to."""
        return tuple(self._branches)

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """All of them."""
        return messages

    def emit(self, messages: list[Any]) -> None:
        """Hand a batch to every branch: the last one gets the messages themselves, the others copies.

        Raises:
            OutputClosedError: a branch's reader has gone; all the others have their messages.
        """
        *branches, last = self._branches
        gone: OutputClosedError | None = None
        for branch in branches:
            if self.copy:
                messages, batch = self._with_copies(messages)
            else:
                batch = list(messages)  # its own list at least: a branch may keep the one that it is given
            gone = self._hand_to(branch, batch) or gone
        gone = self._hand_to(last, messages) or gone
        if gone:
            raise gone

    def _hand_to(self, branch: Output, batch: list[Any]) -> OutputClosedError | None:
        if not batch:
            return None
        self.metrics.passed += len(batch)
        try:
            branch.consume_many(batch)
        except OutputClosedError as error:
            return error
        return None

    def _with_copies(self, messages: list[Any]) -> tuple[list[Any], list[Any]]:
        """The messages that can be copied, and their copies; one that cannot fails, for all branches."""
        try:
            return messages, [_copied(message) for message in messages]
        except RecursionError:
            whole, copies = [], []
        for message in messages:
            try:
                copies.append(_copied(message))
            except RecursionError:
                reason = "nested too deeply to be copied, or holds itself (with copy = false it is shared)"
                self.fail(MessageError(reason), [message])
            else:
                whole.append(message)
        return whole, copies


_CONTAINERS = frozenset({dict, list})


def _copied(value: Any) -> Any:
    """The value with new dicts and lists all the way down; everything else is shared."""
    if type(value) is dict:
        return {key: _copied(item) if type(item) in _CONTAINERS else item for key, item in value.items()}
    if type(value) is list:
        return [_copied(item) if type(item) in _CONTAINERS else item for item in value]
    return value
