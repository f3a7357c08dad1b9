"""Access control: the rules of a server's socket, checked once for each connection.

Rules are looked up at each connection attempt, so allowing or revoking a key takes effect without a restart.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Interface, IPv6Network, ip_address, ip_interface
from typing import TYPE_CHECKING

from message_passing.zeromq.allowed_keys import ANYBODY
from message_passing.zeromq.descriptors import plain_address
from message_passing.zeromq.revocation import ANY_ADDRESS, ipc_peer

if TYPE_CHECKING:
    from message_passing.zeromq.allowed_keys import AllowedKeys
    from message_passing.zeromq.passwords import Passwords


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on a connection attempt.

    Attributes:
        user: the peer's name; empty when refused.
        reason: why it was refused; empty when admitted.
        kind: the reason in one word: `address`, `mechanism`, `key`, `password` or `unseen`.
        who: what identifies the peer besides its address: its key.
    """

    user: str = ""
    reason: str = ""
    kind: str = ""
    who: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """Addresses that `allow` or `deny` names.

    Attributes:
        addresses: the network; one of IPv4-mapped IPv6 addresses (RFC 4291, 2.5.5.2) is stored as the IPv4 network.
        zone: the link on which a connection must arrive (RFC 4007); empty for any.
    """

    addresses: IPv4Network | IPv6Network
    zone: str = ""

    @classmethod
    def of(cls, text: str) -> Network:
        """Parse one: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`, `::ffff:10.0.0.0/104`, `fe80::1%eth0`.

        Raises:
            ValueError: it is none.
        """
        address, slash, mask = text.partition("/")
        address, percent, zone = address.partition("%")
        found = ip_interface(f"{address}{slash}{mask}")
        if percent and not (zone and isinstance(found, IPv6Interface)):
            raise ValueError(f"{text!r} has no zone after the %, or is not an IPv6 address")
        network: IPv4Network | IPv6Network = found.network
        if isinstance(found, IPv6Interface) and (mapped := found.ip.ipv4_mapped):
            bits = network.prefixlen - _MAPPED
            if bits < 0:
                raise ValueError(
                    f"{text!r} covers more than all of IPv4: its mask must have at least {_MAPPED} bits"
                )
            network = IPv4Network((mapped, bits), strict=False)
        return cls(network, _zone_name(zone))

    def has(self, address: str) -> bool:
        """Whether an address, as ZAP or the system writes it, is in this network; an empty one is not."""
        try:
            found = ip_address(plain_address(address))
        except ValueError:  # ipc has no address
            return False
        zone = _zone_name(address.strip("[]").partition("%")[2])
        return found in self.addresses and self.zone in ("", zone)


_MAPPED = 96
"""The number of prefix bits of an IPv4-mapped IPv6 address."""


def _zone_name(text: str) -> str:
    """The name of a link, which may be given by its number."""
    if text.isdigit():
        with contextlib.suppress(OSError, OverflowError):
            return socket.if_indextoname(int(text))
    return text


def networks(given: list[str]) -> tuple[Network, ...]:
    """Addresses and networks as options name them.

    Raises:
        ValueError: one is neither; the message says which.
    """
    return tuple(map(Network.of, given))


def _among(address: str, some: tuple[Network, ...]) -> bool:
    return any(network.has(address) for network in some)


_ADDRESSES = 64
"""For each key or password, the most client addresses that are remembered."""


@dataclass(frozen=True, slots=True)
class AccessControl:
    """The rules for who may connect to a socket.

    Attributes:
        allow: the allowed networks; empty for all.
        deny: the denied networks; they take precedence over `allow`.
        keys: the allowed CURVE keys.
        passwords: the accepted users and passwords.
    """

    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()
    keys: AllowedKeys | None = None
    passwords: Passwords | None = None
    admitted: dict[str, set[str]] = field(default_factory=dict, compare=False)

    def decide(self, address: str, mechanism: str, credentials: list[bytes], key_text: str = "") -> Decision:
        """Decide whether a peer may connect.

        Args:
            address: the IP address, or for ipc what `ipc_peer` takes.
            mechanism: `NULL`, `PLAIN` or `CURVE`.
            credentials: ZAP's credentials: name and password, or a public key of 32 bytes.
            key_text: the same key as 40 characters.
        """
        if _among(address, self.deny):
            return Decision(kind="address", reason=f"its address {address} is among those in `deny`")
        if self.allow and not _among(address, self.allow):
            shown = (
                f"{address} is not"
                if ipc_peer(address) is None
                else "is missing (it came over ipc), so it is not"
            )
            reason = f"its address {shown} among those in `allow`"
            return Decision(kind="address", reason=reason)
        if self.keys:
            if mechanism != "CURVE":
                return Decision(kind="mechanism", reason="it does not use CURVE")
            if not (name := self.keys.name_of(key_text)):
                hint = (
                    f"to allow it: message-passing keys allow NAME '{key_text}' --folder {self.keys.folder}"
                )
                return Decision(
                    kind="key", reason=f"its key is not among the allowed ones; {hint}", who=f"'{key_text}'"
                )
            if self.keys.folder != ANYBODY:  # nothing can be revoked, so there is nothing to remember
                self._remember(key_text, address)
            return Decision(user=name)
        if self.passwords:
            known = self.passwords.match(*credentials[:2]) if mechanism == "PLAIN" else ""
            if not known:
                return Decision(kind="password", reason="its name or password is wrong")
            self._remember(known, address)
            return Decision(user=credentials[0].decode("utf-8", "replace"))
        return Decision(user=address)

    @staticmethod
    def unseen() -> Decision:
        """The decision for a peer whose password is not checked."""
        reason = "its address has sent too many wrong names or passwords recently"
        return Decision(kind="unseen", reason=reason)

    def _remember(self, credential: str, address: str) -> None:
        known = self.admitted.setdefault(credential, set())
        if len(known) >= _ADDRESSES and address not in known:
            known.clear()
            known.add(ANY_ADDRESS)
        elif ANY_ADDRESS not in known:
            known.add(address)

    def revoked(self) -> set[str]:
        """The addresses of clients whose key or password is no longer allowed, each reported once.

        `ANY_ADDRESS` stands for all addresses.
        """
        known = self.keys or self.passwords
        if not known or not self.admitted:
            return set()
        gone = [one for one in self.admitted if not known.allows(one)]
        return set().union(*[self.admitted.pop(one) for one in gone])

    def problems(self) -> list[str]:
        """The present problems of the folder of keys or the file of passwords, as sentences."""
        if self.keys and self.keys.folder != ANYBODY:
            self.keys.all()
            return self.keys.problems
        return self.passwords.problems if self.passwords else []
