"""How far an input has got in a file that it reads once, delivered in order and kept from one run to the next."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from message_passing.errors import OpenError
from message_passing.file_identity import file_identity
from message_passing.inputs._followed import line_end
from message_passing.inputs._keeping import POSITION_INTERVAL, Keeping
from message_passing.inputs._ordered import OrderedDeliveries
from message_passing.inputs._position import PositionFile, is_at, place_in
from message_passing.inputs._reading import READ_BATCH

if TYPE_CHECKING:
    from message_passing.inputs._position import FilePlace
    from message_passing.source import Source


class KeptPosition:
    """Delivers the lines of a file, and keeps the position up to which they are settled.

    Attributes:
        keeping: saves it while this runs.
    """

    def __init__(self, owner: Source, path: str) -> None:
        """Touch no file yet.

        Args:
            owner: the input.
            path: the path of the position file.
        """
        self._path = path
        self._fd = -1
        self._file: PositionFile | None = None
        self._read_to = self._line_end = 0
        self._lines: list[bytes] = []  # not delivered yet
        self._place: FilePlace | None = None  # behind the lines that are about to be delivered
        self._deliveries = OrderedDeliveries(owner, list)
        self.keeping: Keeping[FilePlace] = Keeping(
            lambda: self._deliveries.reached,
            self._save,
            interval=POSITION_INTERVAL,
            what=f"the position in {path!r}",
            otherwise="would read what is read now once more",
            tell=lambda text: owner.report(OpenError(text)),
        )

    def _save(self, place: FilePlace) -> None:
        if self._file:
            self._file.save(place)

    def open(self, fd: int) -> int:
        """Go to where the run before got to, or else stay; return the position.

        Raises:
            OpenError: see `PositionFile.open`; or it is a position in another file.
        """
        if file_identity(self._path) == file_identity(fd):
            raise OpenError("position_file is the file that is read: name another")
        self._file = PositionFile(self._path, os.path.realpath(f"/proc/self/fd/{fd}"))
        place = self._file.open()
        try:
            self._fd, self._read_to = fd, self._seek(fd, place)
        except (OSError, OpenError) as error:
            self._file.close()
            raise OpenError(f"standard input: {getattr(error, 'strerror', error)}") from error
        self._line_end = self._read_to
        return self._read_to

    def _seek(self, fd: int, place: FilePlace | None) -> int:
        if place is None:
            return os.lseek(fd, 0, os.SEEK_CUR)
        if not is_at(fd, place):
            raise OpenError(
                f"the position in {self._path!r} is in another file, or this one was changed: give each file a "
                "position file of its own, or remove it to start over"
            )
        return os.lseek(fd, place.position, os.SEEK_SET)

    def was_read(self, data: bytes, newline: bytes) -> None:
        """This was read, in the encoding whose lines end so."""
        self._mark(line_end(data, self._read_to, newline))
        self._read_to += len(data)

    def at_end(self) -> None:
        """What was read last is whole, though it may not end with a newline."""
        self._mark(self._read_to)

    def _mark(self, position: int) -> None:
        if position > self._line_end:
            self._line_end, self._place = position, place_in(self._fd, position)

    async def deliver(self, lines: list[bytes]) -> None:
        """Deliver lines, mark the position behind them, and wait until there may be more."""
        self._lines += lines
        while self._lines:
            await self._deliveries.deliver(self._take_batch())
        self._tell_mark()
        await self._deliveries.catch_up()

    def deliver_last(self, lines: list[bytes]) -> None:
        """Deliver lines after which no more are read, and those of `deliver` if that was cancelled."""
        self._lines += lines
        while self._lines:
            self._deliveries.deliver_last(self._take_batch())
        self._tell_mark()

    def _take_batch(self) -> list[bytes]:
        batch = self._lines[:READ_BATCH]
        del self._lines[:READ_BATCH]
        return batch

    def _tell_mark(self) -> None:
        if self._place:
            self._deliveries.mark(self._place)
            self._place = None

    def info(self) -> dict[str, Any]:
        """The position, and the number of unsettled messages."""
        reached = self._deliveries.reached
        return {
            "position": reached.position if reached else 0,
            "unsettled": self._deliveries.unsettled(),
            "redelivered": self._deliveries.redelivered,
        }

    def problems(self) -> list[str]:
        """The position cannot be saved, or the chain loses messages."""
        stalls = "the chain lost messages, which are delivered again; until then, nothing more is read"
        trouble = [self.keeping.trouble] if self.keeping.trouble else []
        return [*trouble, *([stalls] if self._deliveries.stalls() else [])]

    def close(self) -> None:
        """Save the position for the last time."""
        if self._file:
            self.keeping.save_now(last=True)
            self._file.close()
