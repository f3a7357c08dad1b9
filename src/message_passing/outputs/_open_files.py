"""The files that an output has open besides the one that it writes, of which the least recently used is closed."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from message_passing.outputs._channel import Channel


class OpenFile(NamedTuple):
    """A file that is open, as it was left.

    Attributes:
        fd: its descriptor.
        channel: for writing to it.
        torn: the last thing written to it was cut off before its newline.
    """

    fd: int
    channel: Channel | None
    torn: bool


class OpenFiles:
    """Files by their paths.

    Attributes:
        closed: how many were closed to make room for others.
    """

    def __init__(self, most: int) -> None:
        """Start without any.

        Args:
            most: how many there may be, 0 or more.
        """
        self._most = most
        self._files: OrderedDict[str, OpenFile] = OrderedDict()
        self.closed = 0

    def __len__(self) -> int:
        """How many there are."""
        return len(self._files)

    def take(self, path: str) -> OpenFile | None:
        """Hand over a file; None if it is not open."""
        return self._files.pop(path, None)

    def put(self, path: str, file: OpenFile) -> OpenFile | None:
        """Keep a file, as the one most recently used; return the one to close for it, if any."""
        self._files[path] = file
        return self.oldest() if len(self._files) > self._most else None

    def oldest(self) -> OpenFile | None:
        """Hand over the one least recently used, to be closed to make room; None if there is none."""
        if not self._files:
            return None
        self.closed += 1
        return self._files.popitem(last=False)[1]

    def take_all(self) -> list[OpenFile]:
        """Hand over all."""
        found = [*self._files.values()]
        self._files.clear()
        return found

    def take_those(self, numbers: list[int]) -> list[OpenFile]:
        """Hand over those with these descriptors."""
        paths = [path for path, file in self._files.items() if file.fd in numbers]
        return [self._files.pop(path) for path in paths]
