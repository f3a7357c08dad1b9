"""The doorkeeper of a server's socket: answers ZeroMQ's question whether a peer may connect (ZAP, RFC 27).

ZeroMQ asks within the socket's context, and the peer waits for the answer, so a thread gives it. pyzmq's own
answers the same question; this one knows networks, says in the keys' names who it is, reads the folder of keys
when it is asked, and logs nothing through `logging`, whose handler it may be guarding.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq
from zmq.utils import z85

from message_passing.errors import OpenError
from message_passing.zeromq.sockets import disown

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.zeromq.access import Rules

_ENDPOINT = "inproc://zeromq.zap.01"  # RFC 27 says where
_NOBODY = "-"  # a peer that is let in without a name: it came over ipc
_VERSION, _ADMITTED, _REFUSED = b"1.0", b"200", b"400"

_GLANCE = 1000
"""Milliseconds between two looks whether a key was revoked."""


class Doorkeeper:
    """The thread of one context."""

    def __init__(
        self,
        context: zmq.Context[Any],
        rules: Rules,
        tell: Callable[[str, str], None],
        ports: Callable[[], set[int]],
    ) -> None:
        """Begin: before the socket is bound, since nobody is let in until somebody answers.

        Args:
            context: the socket's.
            rules: who may connect.
            tell: called, in the thread, with a kind and a sentence for each one that is refused.
            ports: the TCP ports that the socket is bound to.

        Raises:
            zmq.ZMQError: the context has no room for its sockets.
            OpenError: no thread is to be had.
        """
        self._rules = rules
        self._tell = tell
        self._ports = ports
        self._revoked: set[str] = set()  # addresses whose connections are to be ended
        self._asked, self._ended, self._end = _sockets(context, zmq.REP, zmq.PAIR, zmq.PAIR)
        self._asked.bind(_ENDPOINT)
        self._ended.bind(f"inproc://message-passing.doorkeeper.{id(self)}")
        self._end.connect(f"inproc://message-passing.doorkeeper.{id(self)}")
        self._thread = threading.Thread(target=self._run, name="message-passing-doorkeeper", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            for one in (self._asked, self._ended, self._end):  # else the context could not end
                one.close(0)
            raise OpenError(f"no thread is left to answer who may connect: {error}") from error

    def stop(self) -> None:
        """End the thread."""
        with contextlib.suppress(zmq.ZMQError):
            self._end.send(b"", zmq.NOBLOCK)
        self._thread.join()
        self._end.close(0)

    def abandon(self) -> None:
        """In a forked child: all of it is the parent's."""
        for one in (self._asked, self._ended, self._end):
            disown(one)

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._asked, zmq.POLLIN)
        poller.register(self._ended, zmq.POLLIN)
        try:
            while not any(one is self._ended for one, _ in poller.poll(_GLANCE)):
                with contextlib.suppress(zmq.Again):
                    self._answer(self._asked.recv_multipart(zmq.NOBLOCK))
                self._revoked |= self._rules.revoked()
                with contextlib.suppress(OSError):  # no descriptor is free to look at the others: later, then
                    if self._revoked:
                        sever(self._ports(), self._revoked)
                        self._revoked = set()
        finally:
            self._asked.close(0)
            self._ended.close(0)

    def _answer(self, request: list[bytes]) -> None:
        """RFC 27: version, id, domain, address, identity, mechanism, credentials -> version, id, status, ..."""
        number = request[1] if len(request) > 1 else b""
        try:
            user = self._decide(request)
        except Exception as error:  # noqa: BLE001 - who cannot be judged is not let in, and the next one may be
            user = ""
            self._tell(type(error).__name__, f"refused a client: {type(error).__name__}: {error}")
        status = [_ADMITTED, b"", user.encode(), b""] if user else [_REFUSED, b"refused", b"", b""]
        self._asked.send_multipart([_VERSION, number, *status])

    def _decide(self, request: list[bytes]) -> str:
        """Who it is; empty when it is not let in, which is told."""
        address, mechanism, credentials = request[3].decode(), request[5].decode(), request[6:]
        key = z85.encode(credentials[0]).decode() if mechanism == "CURVE" else ""
        verdict = self._rules.decide(address, mechanism, credentials, key)
        if verdict.reason:
            where = f" at {address}" if address else ""
            self._tell(f"{address} {key}", f"refused a client{where}: {verdict.reason}")
            return ""
        return verdict.user or _NOBODY


def _sockets(context: zmq.Context[Any], *types: int) -> list[zmq.Socket[bytes]]:
    """All of them, or none: a context does not end before the last of its sockets."""
    made: list[zmq.Socket[bytes]] = []
    try:
        for number in types:
            made.append(context.socket(number))
            made[-1].linger = 0
    except zmq.ZMQError:
        for one in made:
            one.close()
        raise
    return made


def sever(ports: set[int], addresses: set[str]) -> None:
    """End the TCP connections of this process on these ports from these addresses.

    ZeroMQ has no way to end one connection: allowed or not is asked once, when it begins. Its descriptor is
    among the process's. Whoever is still allowed connects again at once.

    Raises:
        OSError: no descriptor is free, which looking takes.
    """
    for name in [entry.name for entry in Path("/dev/fd").iterdir()]:
        try:
            one = _duplicate(int(name))
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise
            continue  # it was closed meanwhile, or is no socket
        with contextlib.suppress(OSError), one:  # that it has ended by itself
            if one.family not in (socket.AF_INET, socket.AF_INET6) or one.getsockname()[1] not in ports:
                continue
            if one.getpeername()[0].removeprefix("::ffff:") in addresses:
                one.shutdown(socket.SHUT_RDWR)


def _duplicate(descriptor: int) -> socket.socket:
    """A socket of our own, so that a descriptor that ZeroMQ closes meanwhile is not another's when we close it."""
    copy = os.dup(descriptor)
    try:
        return socket.socket(fileno=copy)
    except OSError:  # no socket
        os.close(copy)
        raise
