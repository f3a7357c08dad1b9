"""The base of filters that pass one message to several outputs, which do not see what each other change of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from message_passing.errors import MessageError
from message_passing.filters._patience import PatientBranching
from message_passing.lines import ImmutableBatch
from message_passing.wiring import leaves_messages_unchanged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from message_passing.output import Output


class CopyingBranching(PatientBranching):
    """A branch that may change messages has copies of its own; those that cannot have the same ones."""

    copy = True  # without an annotation, which would make an option of it
    if_not_copied = ""  # likewise: what a user may do about what cannot be copied

    def on_branches(self) -> None:
        """Each may change messages, until it is known what follows."""
        super().on_branches()
        self._unchanging: set[Output] = set()

    def on_rewire(self) -> None:
        """Find out which branches may change messages."""
        super().on_rewire()
        self._unchanging = {one for one in self._branches if leaves_messages_unchanged(one)}

    def shared_among(
        self, branches: Sequence[Output], messages: list[Any]
    ) -> tuple[list[Any], list[list[Any]]]:
        """What each of several branches gets: a list of its own at least, since it may keep the one that it is given.

        Returns:
            The messages that could be copied, and for each branch these or their copies.
        """
        changing = [number for number, one in enumerate(branches) if one not in self._unchanging]
        if len(changing) == len(branches):
            del changing[-1]  # nobody else has the messages themselves
        copies: dict[int, list[Any]] = {}
        for number in changing if self.copy else ():
            messages, copies[number] = self._with_copies(messages)
        own = messages if isinstance(messages, ImmutableBatch) else None
        return messages, [copies.get(number) or own or [*messages] for number in range(len(branches))]

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
                reason = f"nested too deeply to be copied, or contains itself{self.if_not_copied}"
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
