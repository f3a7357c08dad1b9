"""A connection that bounds how much is read from it and for how long, even if the peer never ends, or drips.

`http.client` bounds neither: each single read may take as long as its time-out, and an answer may have any size.
"""

from __future__ import annotations

import io
import socket
import time


class TooLargeError(OSError):
    """More bytes came than are allowed."""


class BoundedSocket:
    """What `http.client` takes for a socket.

    Attributes:
        most: bytes that may be read until `allow` is called again.
        deadline: until when, by `time.monotonic`.
    """

    def __init__(self, opened: socket.socket, seconds: float, most: int) -> None:
        """Take a connected socket.

        Args:
            opened: the socket, closed with this.
            seconds: see `allow`.
            most: see `allow`.
        """
        self._socket = opened
        self.allow(seconds, most)

    def allow(self, seconds: float, most: int) -> None:
        """Allow what is read next so many seconds from now, and so many bytes."""
        self.deadline, self.most = time.monotonic() + seconds, most

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What is read from it."""
        return io.BufferedReader(_Reader(self), 1 << 16)

    def sendall(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            OSError: it cannot be sent, or not in time.
        """
        self._socket.settimeout(self._left())
        self._socket.sendall(data)

    def receive_into(self, buffer: memoryview) -> int:
        """Read some bytes; 0 at the end.

        Raises:
            OSError: it took too long, was too much, or the connection is gone.
        """
        if self.most <= 0:
            raise TooLargeError
        self._socket.settimeout(self._left())
        count = self._socket.recv_into(buffer[: self.most])
        self.most -= count
        return count

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def interrupt(self) -> None:
        """End it, from any thread."""
        self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Do nothing: `http.client` closes it after the header of a response, and reads on (see `end`)."""

    def end(self) -> None:
        """Let go of it."""
        self._socket.close()


class _Reader(io.RawIOBase):
    def __init__(self, source: BoundedSocket) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # it is given nothing else
        return self._source.receive_into(memoryview(buffer))
