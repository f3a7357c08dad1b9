"""Probing an endpoint step by step: for `doctor`, `check --connect`, `send` and `tail`."""

from __future__ import annotations

import errno
import os
import socket
import stat
import time
from typing import TYPE_CHECKING, Any

from message_passing.errors import Fault, OpenError
from message_passing.network.diagnosis import Step
from message_passing.network.listener_probe import KAFKA, NATS, REDIS, probe_listener
from message_passing.zeromq.endpoints import check_endpoint, unknown_hosts
from message_passing.zeromq.misfits import FITTING_TYPES, SENDING_TYPES, plain_type
from message_passing.zeromq.zmtp_probe import host_and_port, probe, split_endpoint, unix_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from message_passing.zeromq.blocking_sender import BlockingSender
    from message_passing.zeromq.security import SocketSecurity
    from message_passing.zeromq.zmtp_probe import Greeting


class EndpointProbe:
    """The first steps to an endpoint: from its text to the peer that answers there, without any key.

    Attributes:
        endpoint: as it was given.
        greeting: the ZMTP greeting of the other side, once it was reached.
        local: whether it is on this machine.
    """

    greeting: Greeting

    def __init__(self, endpoint: str, timeout: float) -> None:
        """Start without results.

        Args:
            endpoint: `tcp://host:port`, or `ipc://path`.
            timeout: seconds for each step.
        """
        self.endpoint = endpoint
        self.local = True
        self._timeout = timeout
        self._addresses: list[tuple[int, Any]] = []

    def steps(self, security: SocketSecurity | None) -> Iterator[Step]:
        """Run the steps one after the other, up to one that fails.

        Args:
            security: the security to connect with.
        """
        for look in (self._parse, self._find, self._connect):
            step = look()
            yield step
            if not step.ok:
                return
        ours = security.mechanism if security else "NULL"
        yield from _of_greeting(self.greeting, ours, "" if self.greeting.version else self._engine())

    def _engine(self) -> str:
        """Which server of an engine listens there instead, if it is one."""
        if self._addresses[0][0] == socket.AF_UNIX:
            return ""
        host, port = self._addresses[0][1][:2]
        kind = probe_listener(host, port).kind
        return f"it is a {kind}" if kind in (NATS, REDIS, KAFKA) else ""

    def _parse(self) -> Step:
        wrong = check_endpoint(self.endpoint, binds=False)
        if not wrong and self.endpoint.startswith("inproc://"):
            wrong = "an inproc endpoint is reached from within its process only"
        advice = "write it as the receiver has it, with its own host: tcp://logs.example.org:5558"
        return Step("endpoint", wrong or f"{self.endpoint} is an endpoint", advice if wrong else "")

    def _find(self) -> Step:
        """Resolve the name, or check the socket's file."""
        transport, address = split_endpoint(self.endpoint)
        if transport == "ipc":
            return self._find_file(address)
        written, port = host_and_port(address)
        bracketed, host = written.startswith("["), written.strip("[]")
        found, step = resolve(host, port)
        if not step.ok:
            return step
        wanted = (socket.AF_INET, socket.AF_INET6) if bracketed else (socket.AF_INET,)
        self._addresses = [(family, where) for family, where in found if family in wanted]
        if not self._addresses:
            advice = f"ZeroMQ uses those only when written as an address: tcp://[{found[0][1][0]}]:{port}"
            texts = ", ".join(dict.fromkeys(str(where[0]) for _, where in found))
            return Step("resolve", f"{host} has IPv6 addresses only: {texts}", advice)
        self.local = any(_is_local(family, str(where[0])) for family, where in self._addresses)
        return step

    def _find_file(self, path: str) -> Step:
        advice = "start the receiver on this machine, and give the same path as it has"
        self._addresses = [(socket.AF_UNIX, path)]
        try:
            is_socket = stat.S_ISSOCK(os.stat(path).st_mode)  # noqa: PTH116 - `@name` is no path at all
        except OSError as error:
            if path.startswith("@"):
                self._addresses = [(socket.AF_UNIX, unix_name(path))]
                return Step("resolve", f"{path} is a name without a file")
            return Step("resolve", f"{path} cannot be accessed: {error.strerror}", advice)
        return Step("resolve", f"{path} is {'a' if is_socket else 'no'} socket", "" if is_socket else advice)

    def _connect(self) -> Step:
        failure: OSError = OSError("there is no address")
        for family, address in self._addresses:
            place = f"{address[0]} port {address[1]}" if family != socket.AF_UNIX else self.endpoint
            try:
                self.greeting = probe(address, family, self._timeout)
            except OSError as error:
                failure = error
            else:
                return Step("connect", f"{place} accepts connections")
        start = "start the receiver; check that it binds this port (socket_bind), not 127.0.0.1 on another machine"
        return not_connected(place, failure, self._timeout, start)


def resolve(host: str, port: int) -> tuple[list[tuple[int, Any]], Step]:
    """The families and addresses of a host, and what to say of them; none if that fails."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else "it is not a host name"
        advice = "check its spelling in /etc/hosts or DNS (`getent hosts NAME`), or give the address itself"
        return [], Step("resolve", f"the name {host!r} cannot be resolved here: {reason}", advice)
    texts = ", ".join(dict.fromkeys(str(where[0]) for _, _, _, _, where in found))
    return [(family, where) for family, _, _, _, where in found], Step("resolve", f"{host} is {texts}")


def require_endpoint(endpoint: str, *, binds: bool) -> None:
    """Check that an endpoint is valid, and that its host exists.

    Raises:
        OpenError: what is wrong with it.
    """
    faults = [Fault(wrong)] if (wrong := check_endpoint(endpoint, binds=binds)) else []
    if not faults and not binds:
        faults = unknown_hosts((endpoint,))
    if faults:
        raise OpenError(*faults)


def dial(endpoint: str, timeout: float) -> None:
    """Connect without ZeroMQ, which does not report why it fails, and disconnect.

    Raises:
        OSError: there is no answer.
    """
    transport, address = split_endpoint(endpoint)
    if transport == "ipc":
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(timeout)
            line.connect(unix_name(address))
    else:
        host, port = host_and_port(address)
        socket.create_connection((host.strip("[]"), port), timeout).close()


def shake_hands(blocking: BlockingSender, timeout: float, settle: float = 0.0) -> bool:
    """Wait until a peer has accepted us.

    Args:
        blocking: a socket that connects.
        timeout: seconds that this may take.
        settle: seconds for which it must stay connected.

    Returns:
        Whether it did; `blocking` knows why not.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and not blocking.failed:
        blocking.wait(deadline - time.monotonic())
        if blocking.peers():
            settled = time.monotonic() + settle
            while blocking.peers() and time.monotonic() < settled:
                blocking.wait(settled - time.monotonic())
            return blocking.peers() > 0
    return False


def _is_local(family: int, address: str) -> bool:
    """Whether an address is one of this machine's, and so can be bound."""
    with socket.socket(socket.AddressFamily(family), socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def not_connected(place: str, error: OSError, timeout: float, start: str) -> Step:
    """Why a place cannot be connected to.

    Args:
        place: as it is shown.
        error: what the system said.
        timeout: seconds that were waited.
        start: what to do if nothing listens there.
    """
    if isinstance(error, ConnectionRefusedError):
        told, advice = f"{place} refuses: the machine is up, but nothing listens on the port", start
    elif isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        told = f"{place} does not answer within {timeout:g} seconds"
        advice = (
            "open the port in the firewalls in between; check that the address is right and the machine is up"
        )
    elif error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        told = f"there is no route to {place}: {error.strerror}"
        advice = "check that the machine is up, and the network or VPN to it (`ip route get ADDRESS`)"
    else:
        told = f"{place} cannot be connected to: {error.strerror or error}"
        advice = "see the reason above; for a path, check the permissions of the file and its directory"
    return Step("connect", told, advice)


def _of_greeting(greeting: Greeting, ours: str, other: str) -> Iterator[Step]:
    if not greeting.version:
        advice = "another program uses this port: choose another, or stop that program"
        yield Step("greeting", f"it is not ZeroMQ: {other or greeting.other}", advice)
        return
    yield Step("greeting", f"ZeroMQ answers, with ZMTP {greeting.version} and mechanism {greeting.mechanism}")
    yield Step("mechanism", *_of_mechanism(greeting, ours))
    if greeting.error and greeting.mechanism == ours:
        advice = "our address is not allowed to connect: check `allow` and `deny` on the other side"
        yield Step("handshake", f"it rejected us: {greeting.error}", advice)


def _of_mechanism(greeting: Greeting, ours: str) -> tuple[str, str]:
    """The result, and what to do."""
    theirs = greeting.mechanism
    if theirs == ours:
        return ("nothing is encrypted on either side" if ours == "NULL" else f"both sides use {ours}"), ""
    if theirs == "CURVE":
        told = (
            "it requires CURVE, and we use none"
            if ours == "NULL"
            else f"it requires CURVE, and we use {ours}"
        )
        advice = (
            "give --curve-server-key (its public key) and --curve-secret-key (ours), in the sender as well"
        )
    elif theirs == "PLAIN":
        told, advice = (
            "it requires PLAIN: a name and a password",
            "give --plain-username and --plain-password",
        )
    elif theirs == "NULL":
        told = f"it does not use {ours}, and nothing is sent to it without"
        advice = (
            "set curve_secret_key and curve_allowed_keys there, or connect without keys (readable by all)"
        )
    else:
        told, advice = (
            f"it requires {theirs}, which message-passing does not support",
            "use NULL or CURVE there",
        )
    return told, advice


def step_of_types(theirs: str, wanted: str | None) -> Step:
    """Whether messages of a sender arrive at a socket of this type; senders use a PUB by default."""
    shown = plain_type(theirs)
    ours = FITTING_TYPES.get(theirs, ("",))[0]
    if not ours:
        advice = "no input or output of message-passing fits it: it belongs to another program"
        return Step("socket type", f"it is a {shown}", advice)
    if theirs in SENDING_TYPES:
        text = f"it is a {shown}, which sends: a log sent there goes nowhere; receivers connect to it"
        advice = "name the receiver's endpoint; `message-passing tail` shows what this one sends"
        return Step("socket type", text, advice if wanted else "")
    if not wanted and ours != "PUB":
        text = f"it is a {shown}, and accepts nothing from a PUB, the default of log handlers and outputs"
        advice = f"set socket_type {ours} in the sender, and check whether it arrives: --socket-type {ours}"
        return Step("socket type", text, advice)
    if wanted and wanted != ours:
        advice = f"set socket_type {ours} in the sender, or {FITTING_TYPES[wanted][0]} in the receiver"
        return Step("socket type", f"it is a {shown}, and accepts nothing from a {wanted}", advice)
    return Step("socket type", f"it is a {shown}, which receives from a {ours}")
