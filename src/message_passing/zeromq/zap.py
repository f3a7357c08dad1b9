"""The ZAP handler of a server's socket: answers ZeroMQ's question whether a peer may connect (ZAP, RFC 27).

ZeroMQ asks within the socket's context, and the peer waits for the answer, so a thread gives it. pyzmq's own
answers the same question; this one knows networks, says in the keys' names who it is, reads the folder of keys
when it is asked, lets who guesses passwords wait, disconnects who is allowed no longer, whatever the application does
meanwhile, and logs nothing through `logging`, whose handler it may be guarding.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
from typing import TYPE_CHECKING, Any

import zmq
from zmq.utils import z85

from message_passing.clock import monotonic
from message_passing.errors import OpenError
from message_passing.zeromq.descriptors import end
from message_passing.zeromq.passwords import Delays
from message_passing.zeromq.revocation import begin_disconnecting, ipc_peer
from message_passing.zeromq.sockets import disown

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.zeromq.access_control import AccessControl, Decision
    from message_passing.zeromq.descriptors import Connection
    from message_passing.zeromq.throttled_warnings import ThrottledWarnings

_ENDPOINT = "inproc://zeromq.zap.01"  # RFC 27 says where
_NOBODY = "-"  # a peer that is let in without a name: it came over ipc
_VERSION, _ADMITTED, _REFUSED = b"1.0", b"200", b"400"

_REVOCATION_INTERVAL = 0.5
"""Seconds between two looks whether a key or a password was revoked."""


class ZapHandler:
    """The thread of one context."""

    def __init__(
        self,
        context: zmq.Context[Any],
        rules: AccessControl,
        notices: ThrottledWarnings,
        endpoints: Callable[[], tuple[tuple[str, ...], tuple[str, ...]]],
    ) -> None:
        """Begin: before the socket is bound, since nobody is let in until somebody answers.

        Args:
            context: the socket's.
            rules: who may connect.
            notices: where it is said who is refused.
            endpoints: where the socket is bound, and where it connects to.

        Raises:
            zmq.ZMQError: the context has no room for its sockets.
            OpenError: no thread is to be had.
        """
        self._access = rules
        self._notices = notices
        self._endpoints = endpoints
        self._delays = Delays()
        self._later: list[tuple[float, int, list[bytes]]] = []  # answers, by when they are due
        self._numbers = itertools.count()
        self._ending: list[Connection] = []  # with peers that have been said goodbye to, and may not care
        self._asked, self._ended, self._end = _sockets(context, zmq.ROUTER, zmq.PAIR, zmq.PAIR)
        self._asked.bind(_ENDPOINT)
        self._ended.bind(f"inproc://message-passing.zap.{id(self)}")
        self._end.connect(f"inproc://message-passing.zap.{id(self)}")
        self._thread = threading.Thread(target=self._run, name="message-passing-zap", daemon=True)
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
        glance = 0.0
        try:
            while True:
                due = min(glance, self._later[0][0] if self._later else glance)
                wait = max(0, int((due - monotonic()) * 1000) + 1)
                if any(one is self._ended for one, _ in poller.poll(wait)):
                    return
                with contextlib.suppress(zmq.Again):
                    self._answer(self._asked.recv_multipart(zmq.NOBLOCK))
                while self._later and self._later[0][0] <= monotonic():
                    self._asked.send_multipart(heapq.heappop(self._later)[2])
                if monotonic() >= glance:
                    self._guarded(self._look)
                    glance = monotonic() + _REVOCATION_INTERVAL
        finally:
            self._asked.close(0)
            self._ended.close(0)

    def _look(self) -> None:
        """Disconnect who is allowed no longer, and say what is wrong with the files that decide it."""
        for number, problem in enumerate(self._access.problems()):
            self._notices.say(f"a file of who is allowed {number}", problem)
        revoked = self._access.revoked()
        for connection in self._ending:
            end(connection)
        self._ending = begin_disconnecting(*self._endpoints(), revoked) if revoked else []
        self._notices.look()

    def _guarded(self, do: Callable[[], Any]) -> Any:
        """What is done; None when it fails, which is said: the thread lives, since all others wait for it."""
        try:
            return do()
        except Exception as error:  # noqa: BLE001 - who cannot be judged is not let in, and the next one may be
            kind = type(error).__name__
            self._notices.say(f"ZAP handler {kind}", f"cannot check who may connect: {kind}: {error}")
            return None

    def _answer(self, request: list[bytes]) -> None:
        """RFC 27: version, id, domain, address, identity, mechanism, credentials -> version, id, status, ...

        Before these are the frames by which the answer finds its way: who asks, and an empty one.
        """
        way = request[: request.index(b"") + 1] if b"" in request else request
        asked = request[len(way) :]
        number = asked[1] if len(asked) > 1 else b""
        user, delay = self._guarded(lambda: self._decide(asked)) or ("", 0.0)
        status = [_ADMITTED, b"", user.encode(), b""] if user else [_REFUSED, b"refused", b"", b""]
        answer = [*way, _VERSION, number, *status]
        if delay:
            heapq.heappush(self._later, (monotonic() + delay, next(self._numbers), answer))
        else:
            self._asked.send_multipart(answer)

    def _decide(self, asked: list[bytes]) -> tuple[str, float]:
        """Who it is, empty when it is not let in, which is said; and how many seconds the answer is to wait."""
        address, mechanism, credentials = asked[3].decode(), asked[5].decode(), asked[6:]
        key = z85.encode(credentials[0]).decode() if mechanism == "CURVE" else ""
        if mechanism == "PLAIN" and self._delays.refuses(address):
            decision = self._access.unseen()
        else:
            decision = self._access.decide(address, mechanism, credentials, key)
        if not decision.reason:
            return decision.user or _NOBODY, 0.0
        self._say(address, decision)
        return "", self._delays.after_failure(address) if decision.kind == "password" else 0.0

    def _say(self, address: str, decision: Decision) -> None:
        process = ipc_peer(address)
        number = (process or "").rpartition(":")[2]  # where the system says which process it is
        where = f" at {address}" if process is None else f" (process {number})" if number else ""
        peer = f"{address} {decision.who}".strip()
        self._notices.say(f"refused {decision.kind}", f"refused a client{where}: {decision.reason}", peer)


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
