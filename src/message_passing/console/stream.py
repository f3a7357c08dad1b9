"""A running node's response, read as it arrives: whole, or line by line, within bounds."""

from __future__ import annotations

import contextlib
import http.client
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from message_passing.console.bounded_socket import TooLargeError
from message_passing.console.schema import decode_answer
from message_passing.errors import OpenError
from message_passing.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from message_passing.console.bounded_socket import BoundedSocket

LARGEST_ANSWER = 4 * 1024 * 1024
"""Bytes of an answer, and of a line in a stream."""

QUOTED = 300
"""Characters of a node's response that are quoted."""

_CHUNK = 1 << 18
"""The most bytes that are read at once."""


class Stream:
    """A response that continues, as an iterator; close it when done."""

    response: http.client.HTTPResponse

    def __init__(self, target: str, path: str, connection: BoundedSocket, timeout: float) -> None:
        self._target, self._path = target, path
        self._connection = connection
        self._timeout = timeout
        self._rest, self._streams = b"", False
        self._lines: deque[Any] = deque()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        """The next line, decoded; waits for it.

        Raises:
            OpenError: nothing came for too long, or it is not a node's response.
        """
        while not self._lines:
            if (answers := self._next_lines()) is None:
                self.close()
                raise StopIteration
            self._lines += answers
        return self._lines.popleft()

    def batches(self) -> Iterator[list[Any]]:
        """The decoded lines, in batches of those that have arrived.

        Raises:
            OpenError: see `__next__`.
        """
        while (answers := self._next_lines()) is not None:
            yield answers
        self.close()

    def whole(self) -> Any:
        """All that there is, decoded.

        Raises:
            OpenError: it is not a node's response, does not end, or takes too long.
        """
        return self._decoded(self.read())

    def read(self) -> bytes:
        """All that there is.

        Raises:
            OpenError: it does not end, or takes too long.
        """
        parts = []
        while part := self._read():
            parts.append(part)
        return b"".join(parts)

    def _next_lines(self) -> list[Any] | None:
        """The complete lines that have arrived; None at the end."""
        self._streams = True
        data = self._read()
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines:  # a part of one gives no more time for the rest of it
            self._connection.allow(self._timeout, LARGEST_ANSWER)
        return [self._decoded(line) for line in lines]

    def _read(self) -> bytes:
        """Some bytes that have arrived; empty at the end."""
        try:
            return self.response.read1(_CHUNK)
        except TimeoutError as error:
            text = f"it has sent nothing for {self._timeout:g} seconds: it hangs, or the connection is broken"
            if self._rest or not self._streams:
                text = f"its answer was not complete within {self._timeout:g} seconds: it hangs or is slow"
            raise OpenError(f"{self._target}: {text}") from error
        except TooLargeError as error:
            text = f"its answer has more than {LARGEST_ANSWER >> 20} MiB: it is broken, or no message-passing node"
            raise OpenError(f"{self._target}: {text}") from error
        except (OSError, ValueError, http.client.HTTPException):
            return b""  # it has ended, or we have closed the connection

    def _decoded(self, data: bytes) -> Any:
        try:
            return decode_answer(self._path, data)
        except ValueError as error:
            if not data.lstrip().startswith(b"{"):
                raise self.stranger() from error
            told = one_line(str(error), QUOTED)
            text = f"its answer to {self._path} is invalid: {told}; is it another version of message-passing?"
            raise OpenError(f"{self._target}: {text}") from error

    def stranger(self) -> OpenError:
        """The error for a server that is not a node."""
        name = self.response.getheader("Server")
        who = f" ({name[:60]!r})" if name else ""
        return OpenError(
            f"{self._target}: an HTTP server answers there{who}, but it is no message-passing node"
        )

    def interrupt(self) -> None:
        """End it, from any thread: whatever waits for its next line stops."""
        with contextlib.suppress(OSError):
            self._connection.interrupt()

    def close(self) -> None:
        """End it, from the thread that reads."""
        self.interrupt()
        self.response.close()
        self._connection.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
