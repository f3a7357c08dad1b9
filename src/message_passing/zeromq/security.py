"""Encryption, authentication and access control: the options that ZeroMQ's input and output share.

Which side is CURVE's or PLAIN's server does not depend on which one binds (zmq_curve(7)), though it is usually the
same: the side that names the other's key is the client, the side that lists allowed keys the server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zmq

from message_passing.environment import from_environment
from message_passing.errors import Fault, OptionError
from message_passing.zeromq.access_control import AccessControl, networks
from message_passing.zeromq.allowed_keys import AllowedKeys
from message_passing.zeromq.endpoints import is_public
from message_passing.zeromq.keys import public_key, public_of, secret_key
from message_passing.zeromq.passwords import Passwords
from message_passing.zeromq.spare import first_socket
from message_passing.zeromq.zap import ZapHandler

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.zeromq.access_control import Network
    from message_passing.zeromq.settings import Endpoints
    from message_passing.zeromq.throttled_warnings import ThrottledWarnings

_DOMAIN = (
    b"message-passing"  # not empty: else ZeroMQ sends no ZAP requests where neither CURVE nor PLAIN is used
)


@dataclass(frozen=True, slots=True)
class SocketSecurity:
    """The given options, see `ZeroMQComponent`; nothing is read before a socket is opened."""

    curve_secret_key: str = ""
    curve_server_key: str = ""
    curve_allowed_keys: str = ""
    plain_username: str = ""
    plain_password: str = ""
    plain_passwords: str = ""
    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()

    @property
    def mechanism(self) -> str:
        """`NULL`, `PLAIN` or `CURVE`."""
        if self.curve_server_key or self.curve_allowed_keys:
            return "CURVE"
        return "PLAIN" if self.plain_username or self.plain_passwords else "NULL"

    @property
    def protects(self) -> bool:
        """Whether access is restricted."""
        return bool(self.curve_allowed_keys or self.plain_passwords or self.allow)

    def apply(self, socket: zmq.Socket[bytes]) -> None:
        """Set the socket's options.

        Raises:
            OpenError: a key, a password or a folder cannot be read, or a secret can be read by others.
        """
        if self.curve_server_key:
            socket.curve_serverkey = public_key(self.curve_server_key)
            secret = self._secret() if self.curve_secret_key else zmq.curve_keypair()[1]
            socket.curve_secretkey, socket.curve_publickey = secret, public_of(secret)
        elif self.curve_allowed_keys:
            AllowedKeys(self.curve_allowed_keys).check()
            socket.curve_secretkey = self._secret()
            socket.curve_server = True
        elif self.plain_username:
            socket.plain_username = self.plain_username.encode()
            socket.plain_password = from_environment(self.plain_password).encode()
        elif self.plain_passwords:
            Passwords(self.plain_passwords).check()
            socket.plain_server = True
        if self.asks:
            socket.zap_domain = _DOMAIN

    def check(self) -> None:
        """Check that keys, passwords and folders can be read.

        Raises:
            OpenError: see `apply`.
        """
        context, socket = first_socket(zmq.PUSH)
        with context, socket:
            self.apply(socket)

    def _secret(self) -> bytes:
        return secret_key(self.curve_secret_key)

    @property
    def asks(self) -> bool:
        """Whether access is checked at all: the client of CURVE and PLAIN knows the other's key."""
        return bool(self.curve_allowed_keys or self.plain_passwords or self.allow or self.deny)

    def guard(
        self, context: zmq.Context[Any], notices: ThrottledWarnings, endpoints: Callable[[], Endpoints]
    ) -> ZapHandler | None:
        """Start a ZAP handler, where access is checked."""
        if not self.asks:
            return None
        keys = AllowedKeys(self.curve_allowed_keys) if self.curve_allowed_keys else None
        passwords = Passwords(self.plain_passwords) if self.plain_passwords else None
        return ZapHandler(context, AccessControl(self.allow, self.deny, keys, passwords), notices, endpoints)

    def allowing(self) -> str:
        """How the other side can allow us, for a rejected user."""
        if self.mechanism == "CURVE" and self.curve_secret_key:
            key = public_of(self._secret()).decode()
            return f"it does not know our key; on that host, run: message-passing keys allow NAME '{key}'"
        if self.mechanism == "CURVE":
            return "it requires a key that it knows (option curve_secret_key)"
        return "the name or password is wrong" if self.mechanism == "PLAIN" else "our address is not allowed"


def security_of(label: str, **given: Any) -> SocketSecurity | None:
    """The security that options ask for; None when they ask for none.

    Args:
        label: the title of the component concerned.
        given: those attributes of `SocketSecurity` that were given; `allow` and `deny` as lists of text.

    Raises:
        OptionError: one is empty or not text, they conflict with each other, or an address is invalid.
    """
    if not given:
        return None
    faults = [wrong for name, value in given.items() if (wrong := _wrong_with(name, value))]
    faults = faults or _contradictions(given)
    for name in given.keys() & {"allow", "deny"}:
        try:
            given[name] = networks(given[name])
        except ValueError as error:
            faults.append(f"option {name!r}: {error}: give addresses or networks like 10.0.0.7 or 10.0.0.0/8")
    if faults:
        raise OptionError(*(Fault(f"{label}: {text}") for text in faults))
    return SocketSecurity(**given)


def _wrong_with(name: str, value: object) -> str:
    """The error in a given value, which in Python may have any type."""
    if not value:  # most likely an unset variable, which must not allow access
        return f"option {name!r} is empty ({value!r}): give a value, or omit the option"
    if name in ("allow", "deny"):
        return ""
    if not isinstance(value, str):  # the value is not shown, nor below: it may be a secret
        return f"option {name!r} must be non-empty str, not of type {type(value).__name__}"
    if "\0" in value:
        return f"option {name!r} contains a null character, which no path, key, name or password may have"
    return ""


def _contradictions(given: dict[str, Any]) -> list[str]:
    has = {name for name, value in given.items() if value}
    client, server = {"curve_server_key", "plain_username"}, {"curve_allowed_keys", "plain_passwords"}
    faults = []
    if len(has & (client | server)) > 1:
        named = " and ".join(sorted(has & (client | server)))
        faults.append(f"{named} exclude each other: a socket is the server or a client, of CURVE or of PLAIN")
    if "curve_secret_key" in has and not has & {"curve_server_key", "curve_allowed_keys"}:
        faults.append(
            "curve_secret_key needs curve_server_key (as a client) or curve_allowed_keys (as the server)"
        )
    if "curve_allowed_keys" in has and "curve_secret_key" not in has:
        faults.append(
            "curve_allowed_keys needs curve_secret_key: create one with `message-passing keys new NAME`"
        )
    if ("plain_password" in has) != ("plain_username" in has):
        faults.append("plain_username and plain_password need each other")
    return faults


def security_warnings(label: str, bind: tuple[str, ...], security: SocketSecurity | None) -> list[str]:
    """Start-up warnings about a socket that anyone may reach, or unencrypted passwords, as sentences."""
    told = []
    if security and security.mechanism == "PLAIN":
        told.append(f"{label}: PLAIN sends names and passwords unencrypted: use CURVE where possible")
    if security and security.protects:
        return told
    told += [
        f"{label}: everybody who can reach {endpoint} may connect, and nothing is encrypted: "
        "set curve_secret_key and curve_allowed_keys, or `allow` addresses, or bind 127.0.0.1"
        for endpoint in bind
        if is_public(endpoint)
    ]
    return told
