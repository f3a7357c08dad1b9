"""Client of a running node, over its control socket (`--control`) or over TCP (`--http`).

Every request has its own connection, so a restarted node is found again.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import urllib.parse
import weakref
from pathlib import Path
from typing import Any

from message_passing.console.bounded_socket import BoundedSocket, TooLargeError
from message_passing.console.runtime_dir import SUFFIX, control_path, folder, is_ours
from message_passing.console.schema import decode_answer
from message_passing.console.stream import LARGEST_ANSWER, QUOTED, Stream
from message_passing.environment import expand_home
from message_passing.errors import OpenError
from message_passing.escaping import one_line

TIMEOUT = 5.0
"""Seconds that a node may take to answer, to the last byte. A stream has a line every second."""

_MOST_HEAD = 64 * 1024
"""Bytes of a response's header."""

_HTTP = re.compile(r"http://(?P<host>\[[0-9a-fA-F:.%\w]+\]|[^/:@\[\]]+):(?P<port>\d{1,5})/?", re.ASCII)
_EXAMPLE = "a process id, the path of a control socket, or http://host:port"


class NodeClient:
    """One running node."""

    def __init__(self, target: str, token: str | None = None, *, timeout: float = TIMEOUT) -> None:
        """Name it; nothing is connected yet.

        Args:
            target: `http://host:port`, the path of a control socket, or a process id.
            token: its `--http_token`.
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
            what = (
                "is a ZeroMQ endpoint" if target.startswith(("tcp:", "ipc:", "inproc:")) else "is not a node"
            )
            raise OpenError(f"{target!r} {what}: a running node is {_EXAMPLE}")
        self.path = control_path(self._pid) if self._pid is not None else Path(expand_home(target))

    def __str__(self) -> str:
        return self.target

    def get(self, path: str, **query: Any) -> Any:
        """What it answers, decoded.

        Args:
            path: `/state`, `/senders`, `/errors` or `/history`.
            query: the parameters; a list repeats one, None omits it.

        Raises:
            OpenError: it is not there, refuses, or is not a node; the sentence says which.
        """
        stream = self.stream(path, **query)
        with stream:
            return stream.whole()

    def stream(self, path: str, **query: Any) -> Stream:
        """What it goes on to answer, a decoded line at a time, until it ends or the stream is closed.

        Args:
            path: `/tail`.
            query: see `get`.

        Raises:
            OpenError: at once, see `get`; later, when it stops sending.
        """
        given = {name: value for name, value in query.items() if value is not None}
        words = urllib.parse.urlencode(given, doseq=True)
        headers = {"Connection": "close"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = self._connection()
        bounded: BoundedSocket | None = None
        try:
            connection.connect()
            bounded = BoundedSocket(connection.sock, self._timeout, _MOST_HEAD)
            connection.sock = bounded
            stream = Stream(self.target, path, bounded, self._timeout)
            connection.request("GET", f"{path}?{words}" if words else path, headers=headers)
            stream.response = connection.getresponse()
            bounded.most = LARGEST_ANSWER
        except BaseException as error:
            connection.close()
            if bounded:
                bounded.end()
            if isinstance(error, OSError | http.client.HTTPException | ValueError):
                raise OpenError(f"{self.target}: {self._reason(error)}") from error
            raise
        if stream.response.status != http.client.OK:
            with stream:
                raise self._refusal(stream)
        self._streams.add(stream)
        return stream

    def alive(self) -> bool:
        """Whether something accepts connections there, however long it takes to answer."""
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
        if stream.response.status == http.client.UNAUTHORIZED:
            told = (
                "this token is not its --http_token" if self._token else "it requires a token (--http_token)"
            )
            return OpenError(f"{self.target}: {told}")
        with contextlib.suppress(ValueError):
            answer = decode_answer("", stream.read())
            if isinstance(answer, dict) and isinstance(text := answer.get("error"), str):
                return OpenError(f"{self.target}: {one_line(text, QUOTED)}")
        return stream.stranger()

    def _reason(self, error: Exception) -> str:
        """Why the request failed, as the end of a sentence."""
        if isinstance(error, TimeoutError):
            return f"no answer within {self._timeout:g} seconds: it hangs, or a firewall drops the packets"
        if isinstance(error, TooLargeError | http.client.LineTooLong):
            return "the header of its response is too long: it is not a node's --control or --http"
        if isinstance(error, http.client.HTTPException | ConnectionResetError | BrokenPipeError | ValueError):
            return "something answers there that does not speak HTTP: it is not a node's --control or --http"
        if isinstance(error, socket.gaierror):
            return f"this host name is unknown: {error.strerror}"
        if self._address and isinstance(error, ConnectionRefusedError):
            return "refused: nothing listens on this port; is the node running, with --http?"
        if self._address or not isinstance(error, OSError):
            return one_line(getattr(error, "strerror", None) or str(error), QUOTED)
        return self._local_reason(error)

    def _local_reason(self, error: OSError) -> str:
        if isinstance(error, FileNotFoundError):
            if self._pid is None:
                return f"there is no such control socket; a running node is {_EXAMPLE}"
            if not process_exists(self._pid):
                return "there is no process with this id"
            return f"this process has no control socket at {self.path}; is it a node with --control?"
        if isinstance(error, ConnectionRefusedError):
            return "the node that this control socket belonged to has ended"
        if isinstance(error, PermissionError):
            return "only the user that runs the node may connect to its control socket"
        return f"it is not a control socket: {error.strerror or error}"


class _LocalConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def process_exists(pid: int) -> bool:
    """Whether this machine, as seen by this process, has a process with this id."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def discover(*, timeout: float = 1.0) -> list[NodeClient]:
    """All nodes of this user that have a control socket in the default directory.

    Args:
        timeout: seconds that each may take, here and later.
    """
    if not is_ours(folder()):
        return []
    pids = sorted(int(one.stem) for one in folder().glob(f"*{SUFFIX}") if one.stem.isdigit())
    return [node for node in (NodeClient(str(pid), timeout=timeout) for pid in pids) if node.alive()]
