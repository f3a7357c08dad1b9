"""Asking a running node: over its control socket (`--control`) or over TCP (`--http`).

Every request has a connection of its own, so a node that was started again is found again.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import urllib.parse
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from message_passing.console.folder import SUFFIX, control_path, folder, is_ours
from message_passing.errors import OpenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT = 5.0
"""Seconds that a node may take to answer. In a stream it says something every second."""

_CHUNK = 1 << 18
"""The most bytes that are read at once."""

_HTTP = re.compile(r"http://(?P<host>\[[0-9a-fA-F:.%\w]+\]|[^/:@\[\]]+):(?P<port>\d{1,5})/?", re.ASCII)
_EXAMPLE = "a process id, the path of a control socket, or http://host:port"


class Node:
    """One running node."""

    def __init__(self, target: str, token: str | None = None, *, timeout: float = TIMEOUT) -> None:
        """Name it; nothing is connected yet.

        Args:
            target: `http://host:port`, the path of a control socket, or a process id.
            token: what its `--http_token` is.
            timeout: seconds that it may take to connect, and to answer.

        Raises:
            OpenError: `target` is none of these.
        """
        self.target = target
        self._token = token
        self._timeout = timeout
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()
        self._pid = int(target) if target.isascii() and target.isdigit() else None
        self._address = _HTTP.fullmatch(target)
        if "://" in target and not self._address:
            what = "is a ZeroMQ endpoint" if target.startswith(("tcp:", "ipc:", "inproc:")) else "is no node"
            raise OpenError(f"{target!r} {what}: a running node is {_EXAMPLE}")
        self.path = control_path(self._pid) if self._pid is not None else Path(target).expanduser()

    def __str__(self) -> str:
        return self.target

    def get(self, path: str, **query: Any) -> Any:
        """What it answers, decoded.

        Args:
            path: `/state`, `/senders`, `/errors` or `/history`.
            query: what is asked; a list is asked several times, None not at all.

        Raises:
            OpenError: it is not there, refuses, or is something else: a sentence that says which.
        """
        stream = self.stream(path, **query)
        with stream:
            answer = stream.whole()
        if answer is None or (path == "/state" and "components" not in answer):
            raise stream.stranger()
        return answer

    def stream(self, path: str, **query: Any) -> Stream:
        """What it goes on to answer, a decoded line at a time, until it ends or the stream is closed.

        Args:
            path: `/tail`.
            query: see `get`.

        Raises:
            OpenError: at once, see `get`; later, when it says nothing any more.
        """
        given = {name: value for name, value in query.items() if value is not None}
        words = urllib.parse.urlencode(given, doseq=True)
        headers = {"Connection": "close"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = self._connection()
        try:
            connection.connect()
            stream = Stream(self.target, connection, self._timeout)
            connection.request("GET", f"{path}?{words}" if words else path, headers=headers)
            stream.response = connection.getresponse()
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError | http.client.HTTPException | ValueError):
                raise OpenError(f"{self.target}: {self._reason(error)}") from error
            raise
        if stream.response.status != http.client.OK:
            with stream:
                raise self._refusal(stream)
        self._streams.add(stream)
        return stream

    def alive(self) -> bool:
        """Whether somebody takes connections there, however long he takes to answer."""
        connection = self._connection()
        try:
            connection.connect()
        except TimeoutError:
            return True
        except OSError:
            return False
        finally:
            connection.close()
        return True

    def close(self) -> None:
        """End all streams, from any thread."""
        while self._streams:
            self._streams.pop().interrupt()

    def _connection(self) -> http.client.HTTPConnection:
        if self._address:
            host, port = self._address["host"].strip("[]"), int(self._address["port"])
            return http.client.HTTPConnection(host, port, timeout=self._timeout)
        return _LocalConnection(self.path, self._timeout)

    def _refusal(self, stream: Stream) -> OpenError:
        answer = stream.whole()
        if stream.response.status == http.client.UNAUTHORIZED:
            told = "this token is not its --http_token" if self._token else "it wants a token (--http_token)"
            return OpenError(f"{self.target}: {told}")
        if isinstance(answer, dict) and "error" in answer:
            return OpenError(f"{self.target}: {answer['error']}")
        return stream.stranger()

    def _reason(self, error: Exception) -> str:
        """Why it could not be asked: a sentence's end."""
        if isinstance(error, TimeoutError):
            return (
                f"no answer within {self._timeout:g} seconds: it hangs, or a firewall swallows what is sent"
            )
        if isinstance(error, http.client.BadStatusLine | ConnectionResetError | BrokenPipeError):
            return "something answers there that does not speak HTTP: it is no node's --control or --http"
        if isinstance(error, socket.gaierror):
            return f"this host name is unknown: {error.strerror}"
        if self._address and isinstance(error, ConnectionRefusedError):
            return "refused: nothing listens on this port; is the node running, with --http?"
        if self._address or not isinstance(error, OSError):
            return getattr(error, "strerror", None) or str(error)
        return self._local_reason(error)

    def _local_reason(self, error: OSError) -> str:
        if isinstance(error, FileNotFoundError):
            if self._pid is None:
                return f"there is no such control socket; a running node is {_EXAMPLE}"
            if not _runs(self._pid):
                return "there is no process with this id"
            return f"this process has no control socket at {self.path}; is it a node with --control?"
        if isinstance(error, ConnectionRefusedError):
            return "the node that this control socket belonged to has ended"
        if isinstance(error, PermissionError):
            return "only the user that runs the node may connect to its control socket"
        return f"it is no control socket: {error.strerror or error}"


class Stream:
    """What a node goes on to say: an iterator, to be closed."""

    response: http.client.HTTPResponse

    def __init__(self, target: str, connection: http.client.HTTPConnection, timeout: float) -> None:
        self._target = target
        self._connection = connection
        self._socket: socket.socket = connection.sock  # the connection forgets it once it has the answer
        self._timeout = timeout

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        """The next line, decoded; waits for it.

        Raises:
            OpenError: it has said nothing for too long, or what it says is no JSON.
        """
        line = self._read(self.response.readline)
        if not line:
            self.close()
            raise StopIteration
        if (answer := _decoded(line)) is None:
            raise self.stranger()
        return answer

    def batches(self) -> Iterator[list[Any]]:
        """The lines, decoded, as many together as have come: for who would write each by itself, and be too slow.

        Raises:
            OpenError: see `__next__`.
        """
        rest = b""
        while data := self._read(lambda: self.response.read1(_CHUNK)):
            *lines, rest = (rest + data).split(b"\n")
            answers = [_decoded(line) for line in lines]
            if None in answers:
                raise self.stranger()
            yield answers
        self.close()

    def whole(self) -> Any:
        """All that there is, decoded; None when it is no JSON."""
        return _decoded(self._read(self.response.read))

    def _read(self, read: Callable[[], bytes]) -> bytes:
        try:
            return read()
        except TimeoutError as error:
            text = f"it has said nothing for {self._timeout:g} seconds: it hangs, or the way is cut"
            raise OpenError(f"{self._target}: {text}") from error
        except (OSError, ValueError, http.client.HTTPException):
            return b""  # it has ended, or we have closed the connection

    def stranger(self) -> OpenError:
        """The error when that is no node."""
        name = self.response.getheader("Server")
        who = f" ({name[:60]!r})" if name else ""
        return OpenError(
            f"{self._target}: an HTTP server answers there{who}, but it is no message-passing node"
        )

    def interrupt(self) -> None:
        """End it, from any thread: who waits for its next line gets no more."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it, from the thread that reads."""
        self.interrupt()
        self.response.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _LocalConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def discover(*, timeout: float = 1.0) -> list[Node]:
    """All nodes of this user with a control socket in the usual folder.

    Args:
        timeout: seconds that each may take, here and later.
    """
    if not is_ours(folder()):
        return []
    pids = sorted(int(one.stem) for one in folder().glob(f"*{SUFFIX}") if one.stem.isdigit())
    return [node for node in (Node(str(pid), timeout=timeout) for pid in pids) if node.alive()]
