"""Host name lookups without long waits: a resolver that reaches no server takes 10 s and more (resolv.conf(5)).

A lookup cannot be interrupted, so each runs in its own thread, which is not joined at the end.
"""

from __future__ import annotations

import os
import socket
import threading
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from message_passing.errors import OpenError, UserError
from message_passing.identity import telling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOOKUP_TIMEOUT = 1.0
"""Seconds that starting waits for names; after that, the node runs while they are looked up."""

_FIRST_RETRY, _LAST_RETRY = 0.5, 30.0
"""Seconds until a name is looked up again; doubled each time."""

T = TypeVar("T")


class UnknownHostError(OpenError):
    """The resolver knows no such host or does not answer, or this machine has no such address yet."""


_IN_NO_HOST = frozenset("*/\\@[]:;,?#%'\"")
"""Characters that neither a host name (RFC 1123, 2.1) nor what systems take for one has."""

_LONGEST_LABEL, _LONGEST_NAME = 63, 253
"""In ASCII (RFC 1035, 2.3.4)."""


def wrong_host(host: str) -> str:
    """Why a text can never be a host's name or address, as a sentence; empty if it can be one.

    An all-numeric last part belongs to an IPv4 address (RFC 3696, 2). Underscores and other letters are left to the
    resolver.
    """
    if is_address(host):
        return ""
    if host == "*":
        return "'*' is not a host: all addresses of a machine are 0.0.0.0, or :: with IPv6"
    bare = host.strip("[]")
    if bare != host and is_address(bare):
        return f"{host!r} is not a host: write the address without brackets here, {bare}"
    for character in host:
        if character in _IN_NO_HOST or character.isspace() or not character.isprintable():
            return f"{host!r} is not a host: no name or address has {character!r} in it"
    labels = host.removesuffix(".").split(".")
    if not all(labels):
        return f"{host!r} is not a host: one of its parts is empty"
    if host.isascii() and (len(host) > _LONGEST_NAME or max(map(len, labels)) > _LONGEST_LABEL):
        return f"{host!r} is not a host: a name has at most {_LONGEST_NAME} characters, {_LONGEST_LABEL} in a part"
    if len(labels) > 1 and labels[-1].isascii() and labels[-1].isdigit():
        try:
            socket.inet_aton(host)  # it accepts 127.1 too, as the resolver does
        except OSError:
            return f"{host!r} is not a host: an IPv4 address has four numbers up to 255"
    return ""


def is_address(text: str) -> bool:
    """Whether a text is an IP address, of either version."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def addresses_of(
    hostname: str, port: int, kind: socket.SocketKind, flags: int = 0
) -> Sequence[tuple[int, Any]]:
    """The address families and addresses of a host, IPv4 first. It may take long.

    Raises:
        UnknownHostError: there are none, for now.
        OpenError: it cannot be the name of a host.
    """
    try:
        found = socket.getaddrinfo(hostname, port, type=kind, flags=flags)
    except socket.gaierror as error:
        raise UnknownHostError(f"unknown host {hostname!r} ({error.strerror})") from error
    except ValueError as error:
        raise OpenError(f"unknown host {hostname!r} ({error})") from error
    found.sort(key=lambda info: info[0] != socket.AF_INET)
    return [(info[0], info[4]) for info in found]


class Attempt(Generic[T]):
    """Something that needs a host name, tried in its own thread until the name is known.

    Attributes:
        result: the result, once there is one.
        failure: why it cannot be done at all.
        trouble: the resolver's last answer.
    """

    def __init__(
        self, make: Callable[[], T], discard: Callable[[T], object] = lambda _: None, *, tries: int = 0
    ) -> None:
        """Begin.

        Args:
            make: does it. It may raise a UserError; after an UnknownHostError it is called again.
            discard: called with a result that comes after `cancel`.
            tries: how often it is done at most; 0 for until it succeeds.
        """
        self.result: T | None = None
        self.failure: BaseException | None = None
        self.trouble: UnknownHostError | None = None
        self._make, self._discard, self._tries = make, discard, tries
        self._tried = threading.Event()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="resolver", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait until it has been tried once; False if that takes longer."""
        return self._tried.wait(seconds)

    def stop(self) -> None:
        """Stop trying: the result is not needed any more."""
        with self._lock:
            self._stopped.set()

    def _run(self) -> None:
        delay = _FIRST_RETRY
        while not self._stopped.is_set():
            try:
                result = self._make()
            except UnknownHostError as error:
                self.trouble = error
                self._tries -= 1
            except Exception as error:  # noqa: BLE001 - whoever waits for it raises it
                self.failure = error
            else:
                with self._lock:
                    if self._stopped.is_set():
                        self._discard(result)
                    else:
                        self.result = result
            self._tried.set()
            if self.result is not None or self.failure or self._tries == 0 or self._stopped.wait(delay):
                return
            delay = min(2 * delay, _LAST_RETRY)


def attempt(make: Callable[[], T], discard: Callable[[T], object]) -> Attempt[T]:
    """Try something that needs a host name, and wait briefly for it to succeed.

    Raises:
        UserError: it cannot be done, for a reason other than the name.
    """
    trying = Attempt(make, discard)
    trying.wait(LOOKUP_TIMEOUT)
    if isinstance(trying.failure, UserError):
        raise trying.failure
    return trying


_own: tuple[int, Attempt[str]] | None = None


def full_host_name() -> tuple[str, bool]:
    """This machine's full name, or else its short one, looked up once in a process; and which of the two it is.

    If both mean nothing elsewhere, as `localhost`, it is the machine's address.
    """
    global _own  # noqa: PLW0603 - the system is asked once
    if _own is None or _own[0] != os.getpid():  # a thread does not survive a fork
        _own = os.getpid(), Attempt(socket.getfqdn, tries=1)
        _own[1].wait(LOOKUP_TIMEOUT / 2)
    name = _own[1].result
    return telling(name or socket.gethostname()), name is not None
