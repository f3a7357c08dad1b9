"""What an acknowledging input remembers about its senders, so that its next run delivers nothing twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.inputs._keeping import Keeping
from message_passing.inputs._saved_file import SavedFile, Versioned

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.zeromq.hop.consumer import Consumer

REMEMBER_INTERVAL = 1.0
"""Seconds between two saves."""

_MOST_BYTES = 1 << 20
"""The most bytes of the file: as many senders as a consumer remembers, with less than a hundred bytes each."""


class _Senders(Versioned, kw_only=True, forbid_unknown_fields=True):
    floors: dict[str, int]


class RememberedSenders:
    """The number up to which each sender's frames are settled, in a file.

    Attributes:
        keeping: saves them while this runs.
    """

    def __init__(self, path: str, consumer: Consumer, tell: Callable[[str], object]) -> None:
        """Do not touch it yet.

        Args:
            path: the path of the file.
            consumer: the consumer that has the numbers while this runs.
            tell: called with the reason when saving begins to fail.
        """
        self._consumer = consumer
        self._file = SavedFile(path, "state file")
        self.keeping = Keeping(
            consumer.floors,
            lambda floors: self._file.save(_as_senders(floors)),
            interval=REMEMBER_INTERVAL,
            what=f"in {path!r} what has been received",
            otherwise="may receive twice what is received now",
            tell=tell,
        )

    def open(self) -> None:
        """Restore what was saved.

        Raises:
            OpenError: see `SavedFile.open`.
        """
        remedy = "remove it; messages that senders then resend may be delivered twice"
        if found := self._file.open(_Senders, most_bytes=_MOST_BYTES, remedy=remedy):
            for sender, floor in found.floors.items():
                self._consumer.remember(_id(sender), floor)

    def close(self) -> None:
        """Save for the last time."""
        self.keeping.save_now(last=True)
        self._file.close()


def _as_senders(floors: dict[bytes, int]) -> _Senders:
    return _Senders(version=1, floors={sender.hex(): floor for sender, floor in floors.items() if floor})


def _id(sender: str) -> bytes:
    try:
        return bytes.fromhex(sender)
    except ValueError:  # not an identity: it matches no sender
        return b""
