"""The ZAP handler of a server's socket: decides for ZeroMQ whether a peer may connect (ZAP, RFC 27).

ZeroMQ sends the request within the socket's context, and the peer waits for the answer, so a thread gives it. pyzmq
has a handler too; this one supports networks, names users by their keys, reads the folder of keys at each request,
delays clients that guess passwords, disconnects peers that are no longer allowed, whatever the application does
meanwhile, and logs nothing through `logging`, whose handler it may be protecting.
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

_ENDPOINT = "inproc://zeromq.zap.01"  # the address is set by RFC 27
_NOBODY = "-"  # a peer admitted without a name: it came over ipc
_VERSION, _ADMITTED, _REFUSED = b"1.0", b"200", b"400"

_REVOCATION_INTERVAL = 0.5
"""Seconds between two checks for revoked keys and passwords."""


class ZapHandler:
    """The handler thread of one context."""

    def __init__(
        self,
        context: zmq.Context[Any],
        rules: AccessControl,
        notices: ThrottledWarnings,
        endpoints: Callable[[], tuple[tuple[str, ...], tuple[str, ...]]],
    ) -> None:
        """Start, before the socket is bound: no peer is admitted without an answer.

        Args:
            context: the socket's.
            rules: the access rules.
            notices: where refusals are reported.
            endpoints: those that the socket is bound to, and those that it connects to.

        Raises:
            zmq.ZMQError: the context has no room for its sockets.
            OpenError: no thread is available.
        """
        self._access = rules
        self._notices = notices
        self._endpoints = endpoints
        self._delays = Delays()
        self._later: list[tuple[float, int, list[bytes]]] = []  # answers, by due time
        self._numbers = itertools.count()
        self._ending: list[Connection] = []  # half-closed connections whose peers may not react
        self._asked, self._ended, self._end = _sockets(context, zmq.ROUTER, zmq.PAIR, zmq.PAIR)
        self._asked.bind(_ENDPOINT)
        self._ended.bind(f"inproc://message-passing.zap.{id(self)}")
        self._end.connect(f"inproc://message-passing.zap.{id(self)}")
        self._thread = threading.Thread(target=self._run, name="message-passing-zap", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            for one in (self._asked, self._ended, self._end):  # otherwise the context could not end
                one.close(0)
            raise OpenError(f"no thread is left to answer who may connect: {error}") from error

    def stop(self) -> None:
        """End the thread."""
        with contextlib.suppress(zmq.ZMQError):
            self._end.send(b"", zmq.NOBLOCK)
        self._thread.join()
        self._end.close(0)

    def abandon(self) -> None:
        """Reset in a forked child: all of it is the parent's."""
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
        """Disconnect peers that are no longer allowed, and report problems of the files that decide it."""
        for number, problem in enumerate(self._access.problems()):
            self._notices.say(f"a file of who is allowed {number}", problem)
        revoked = self._access.revoked()
        for connection in self._ending:
            end(connection)
        self._ending = begin_disconnecting(*self._endpoints(), revoked) if revoked else []
        self._notices.look()

    def _guarded(self, do: Callable[[], Any]) -> Any:
        """Call a function; report a failure and return None: the thread continues, since all peers wait for it."""
        try:
            return do()
        except Exception as error:  # noqa: BLE001 - who cannot be judged is not let in, and the next one may be
            kind = type(error).__name__
            self._notices.say(f"ZAP handler {kind}", f"cannot check who may connect: {kind}: {error}")
            return None

    def _answer(self, request: list[bytes]) -> None:
        """RFC 27: version, id, domain, address, identity, mechanism, credentials -> version, id, status, ...

        These are preceded by the frames that route the answer: the requester's identity, and an empty one.
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
        """The peer's name, empty when it is refused, which is reported; and the delay of the answer in seconds."""
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
        number = (process or "").rpartition(":")[2]  # where the system reports the process
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
