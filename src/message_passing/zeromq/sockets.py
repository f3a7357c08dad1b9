"""From settings to an open ZeroMQ socket (Message::Passing::ZeroMQ::Role::HasASocket)."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from typing import TYPE_CHECKING, Any

import zmq

from message_passing.clock import monotonic
from message_passing.errors import Fault, OpenError
from message_passing.file_identity import file_identity
from message_passing.zeromq.early_bind import absent, bind_early
from message_passing.zeromq.endpoints import bound_as, host_name, refusal, wants_ipv6
from message_passing.zeromq.spare import with_room
from message_passing.zeromq.throttled_warnings import ThrottledWarnings

if TYPE_CHECKING:
    from message_passing.zeromq.settings import Endpoints, PeerGuard, SocketSettings

_LOOK_INTERVAL = 0.005
"""Seconds between two checks whether a descriptor's number was reused for another file."""

_LOOKUP = 1.0
"""Seconds beyond its linger that closing waits for a name lookup."""

_EARLY = 0.002
"""Seconds by which ZeroMQ's linger may end early: its clock counts whole milliseconds."""

SENDERS_FRAME, _SENDERS_QUEUE, _SENDERS_BUFFER = 4096, 20, 16 << 10
"""What a send-only socket may receive: bytes of a frame (of a handshake's, less than 1024: RFC 23, RFC 26), messages
not yet read, and bytes in the system, which arrive even after a connection was ended."""

_DOMAIN = b"message-passing"
"""The ZAP domain of a send-only socket: with any (RFC 27), libzmq ends connections of ZMTP 2 and older, to which ZAP
does not apply. Those include whatever an HTTP server answers; libzmq then sends there, and queues for each one a
subscription in a PUB, where one more than fits ends the whole process (zmtp_engine.cpp,
`process_routing_id_msg`). Peers with ZMTP 3 (ZeroMQ 4, of 2013, and later) are admitted as without a domain, as long
as the context has no ZAP handler: so not in a shared one."""

_LATER = "peers can connect as soon as it has"

type_codes = {
    "PUB": zmq.XPUB,
    "SUB": zmq.SUB,
    "PUSH": zmq.PUSH,
    "PULL": zmq.PULL,
    "DEALER": zmq.DEALER,
    "ROUTER": zmq.ROUTER,
}
"""ZeroMQ's number for each type. A PUB is an XPUB underneath: the same on the wire (RFC 29), but it receives
the subscriptions, so that messages can be buffered until a peer subscribes, and it can refuse a message."""


class OpenSocket:
    """A socket, not yet bound or connected, and its context.

    Each has its own context: terminating that is ZeroMQ's only way to wait until sent messages have left
    (zmq_ctx_term(3)). Only inproc endpoints use the process's shared `zmq.Context.instance()`.
    """

    def __init__(self, settings: SocketSettings, notices: ThrottledWarnings | None = None) -> None:
        """Make it.

        Args:
            settings: the settings of the socket.
            notices: where to report rejected peers.

        Raises:
            OpenError: a key cannot be read, or there is no room for another socket.
        """
        self.settings = settings
        self._notices = notices or ThrottledWarnings()
        self._zap_handler: PeerGuard | None = None
        self._bound: tuple[str, ...] = ()
        self._early: list[str] = []
        self._left: set[str] = set()  # endpoints that are not connected to for the time being
        self._shared = settings.in_process
        self.context, self.socket = with_room(self._made)
        self.file_descriptor = int(self.socket.fileno())
        self._identity = file_identity(self.file_descriptor)
        self._look_after = 0.0

    def _made(self) -> tuple[zmq.Context[zmq.Socket[bytes]], zmq.Socket[bytes]]:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance() if self._shared else zmq.Context()
        try:
            return context, (self.settings.builder or self._built)(context)
        except BaseException:
            if not self._shared:
                context.destroy(0)
            raise

    def _built(self, context: zmq.Context[Any]) -> zmq.Socket[bytes]:
        try:
            socket: zmq.Socket[bytes] = context.socket(type_codes[self.settings.socket_type])
        except zmq.ZMQError as error:
            raise OpenError(f"cannot create a socket: {refusal(error)}") from error
        try:
            self._set_options(socket)
        except BaseException:
            socket.close(0)
            raise
        return socket

    def attach(self) -> None:
        """Bind and connect, unless a builder has done it.

        Raises:
            OpenError: the system refused an endpoint; each is named, with the reason.
        """
        if self.settings.builder:
            return
        if self.settings.security:
            self._zap_handler = self.settings.security.guard(self.context, self._notices, self._endpoints)
        faults = []
        sides = ((self._bind, self.settings.bind), (self.socket.connect, self.settings.connect))
        for attach, endpoints in sides:
            for endpoint in endpoints:
                try:
                    attach(endpoint)
                except (zmq.ZMQError, OSError) as error:
                    faults.append(Fault(refusal(error), endpoint))
        if faults:
            raise OpenError(*faults)

    def _bind(self, endpoint: str) -> None:
        try:
            self.socket.bind(endpoint)
        except zmq.ZMQError as error:
            if error.errno != errno.EADDRNOTAVAIL or not bind_early(self.socket, endpoint):
                raise
            self._early.append(endpoint)
            self._notices.say(f"absent {endpoint}", f"{endpoint}: {refusal(error)} yet; {_LATER}")
        last = bytes(self.socket.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0")
        self._bound += (last.decode("utf-8", "surrogateescape"),)

    def endpoints(self) -> tuple[str, ...]:
        """The endpoints that it is bound to, with the ports that the system chose, or connects to."""
        bind = self.settings.bind
        return self.settings.connect or tuple(map(bound_as, bind, self._bound)) or bind

    def absent(self) -> list[str]:
        """Bound endpoints whose address this machine does not have yet."""
        return absent(self._early)

    def _endpoints(self) -> Endpoints:
        return self._bound, self.settings.connect

    def _set_options(self, socket: zmq.Socket[bytes]) -> None:
        # All of these must be set before bind or connect to have an effect.
        settings = self.settings
        socket.linger = settings.linger
        socket.sndhwm = socket.rcvhwm = settings.hwm
        settings.limits.apply(socket)
        if settings.sends:
            # Only handshakes and subscriptions arrive. For ZeroMQ, -1 means no limit.
            largest = settings.limits.maxmsgsize
            socket.maxmsgsize = SENDERS_FRAME if largest < 0 else min(SENDERS_FRAME, largest)
            # Nothing reads what a PUSH receives: with a bound, ZeroMQ would not see such a connection end.
            socket.rcvhwm = _SENDERS_QUEUE if settings.socket_type == "PUB" else 0
            socket.rcvbuf = _SENDERS_BUFFER
            if not self._shared:
                socket.zap_domain = _DOMAIN
        if settings.security:
            settings.security.apply(socket)
        if wants_ipv6(settings.endpoints):
            socket.ipv6 = True
        if settings.socket_type == "PUB":
            # Refuse with EAGAIN at the high-water mark, so that the loss can be counted.
            socket.setsockopt(zmq.XPUB_NODROP, 1)
            # Report every subscription, also when a returning receiver has the same as before.
            socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        if settings.socket_type == "DEALER":
            socket.immediate = (
                True  # nothing is queued for a peer that may never connect: the sender buffers it
            )
        if settings.socket_type == "ROUTER":
            socket.router_mandatory = True  # report when a peer has disconnected or has no room
        if settings.socket_type == "SUB":
            for prefix in settings.subscribe:
                socket.subscribe(prefix)

    def stop_listening(self) -> None:
        """Unbind. Accepted connections end with it, and their data in the system is lost."""
        for endpoint in self._bound:
            with contextlib.suppress(zmq.ZMQError):  # it was never bound
                self.socket.unbind(endpoint)

    def disconnect(self, endpoint: str) -> None:
        """Stop connecting to an endpoint, for which nothing waits.

        A SUB has its subscriptions for it: without a linger of 0, ZeroMQ would keep trying for that long. In any case
        it does until the next call into the socket.
        """
        with contextlib.suppress(zmq.ZMQError):
            self.socket.linger = 0
            self.socket.disconnect(self._as_given(endpoint))
            self._left.add(self._as_given(endpoint))
        with contextlib.suppress(zmq.ZMQError):
            self.socket.linger = self.settings.linger

    def connect_again(self, endpoint: str) -> None:
        """Connect to an endpoint that ZeroMQ has given up, or that was left with `disconnect`.

        Only the former is disconnected: ZeroMQ looks up the host name of an endpoint that it does not have, and the
        whole process waits for that, since pyzmq keeps the GIL meanwhile.
        """
        again = self._as_given(endpoint)
        if again in self._left:
            self._left.discard(again)
        else:
            with contextlib.suppress(zmq.ZMQError):
                self.socket.disconnect(again)
        with contextlib.suppress(zmq.ZMQError):
            self.socket.connect(again)

    def _as_given(self, endpoint: str) -> str:
        given = self.settings.connect
        return given[0] if len(given) == 1 else endpoint  # ZeroMQ may write it differently

    def is_intact(self) -> bool:
        """Whether its descriptor is still its own: a process that daemonizes without a fork closes them all.

        After that libzmq ends the process at the next call into the socket: it must be abandoned. Reuse of the
        number for another file is checked only now and then: `fstat` releases the GIL, so among busy threads it waits
        to reacquire it.
        """
        if self.socket.closed:
            return True
        try:
            os.get_inheritable(self.file_descriptor)
        except OSError:
            return False
        now = monotonic()
        if now >= self._look_after:
            if file_identity(self.file_descriptor) != self._identity:
                return False
            self._look_after = now + _LOOK_INTERVAL
        return True

    def close(self, linger: int) -> bool:
        """Close it, waiting up to `linger` milliseconds for sent messages to leave.

        Returns:
            Whether it took less: then all has left.
        """
        began = monotonic()
        self.socket.close(linger)
        if self._zap_handler:  # until here peers may have requested admission, for what was still to be sent
            self._zap_handler.stop()
        if not self._shared:
            self._terminate(linger / 1000 + _LOOKUP)
        return monotonic() - began < linger / 1000 - _EARLY

    def _terminate(self, seconds: float) -> None:
        """Terminate the context; where a name lookup may be running, which nothing interrupts, wait this long."""
        if any(map(host_name, self.settings.connect)):
            ending = threading.Thread(target=self.context.term, name="zeromq-end", daemon=True)
            try:
                ending.start()
            except RuntimeError:  # no thread is available, or the interpreter is ending
                pass
            else:
                ending.join(seconds)
                return
        self.context.term()

    def abandon(self) -> None:
        """Abandon a socket that is unusable here: in a forked child, the parent's.

        pyzmq closes nothing that another process created, and warns that it is unclosed: mark it as not ours.
        """
        disown(self.socket)
        if self._zap_handler:
            self._zap_handler.abandon()
        if not self._shared:
            disown(self.context)


def disown(inherited: zmq.Socket[Any] | zmq.Context[Any]) -> None:
    """Have pyzmq collect it without a warning."""
    inherited._shadow = True  # noqa: SLF001 - what pyzmq calls a wrapper of what somebody else closes
