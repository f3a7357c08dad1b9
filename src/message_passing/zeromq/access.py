"""Who may connect: the rules of a server's socket, asked once for each connection.

Rules are looked up when somebody knocks, so that a key that was allowed or revoked is so without a restart.
"""

from __future__ import annotations

import errno
import hmac
import os
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

from message_passing.errors import Fault, OpenError
from message_passing.zeromq.keys import PUBLIC, entries, is_key, refuse_if_shared

Network = IPv4Network | IPv6Network

ANYBODY = "*"
"""Instead of a folder of allowed keys: every client with a key of its own may connect."""

_FRESH = 0.5
"""Seconds for which a folder that looks unchanged is not read again: a storm of clients asks for each."""


_GONE = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EISDIR)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of somebody who knocks.

    Attributes:
        user: who it is; empty when refused.
        reason: why not; empty when admitted.
    """

    user: str = ""
    reason: str = ""


def networks(given: list[str]) -> tuple[Network, ...]:
    """Addresses and networks as options name them: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`.

    Raises:
        ValueError: one is neither; the text says which.
    """
    return tuple(ip_network(one, strict=False) for one in given)


def _among(address: str, some: tuple[Network, ...]) -> bool:
    try:
        found = ip_address(address.strip("[]"))
    except ValueError:  # ipc: there is none
        return False
    if found.version == 6 and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in some)


class AllowedKeys:
    """The public keys in a folder, by their files' names."""

    def __init__(self, folder: str) -> None:
        """Name the folder.

        Args:
            folder: its path, or `*` for any key at all.
        """
        self.folder = os.path.expanduser(folder)  # noqa: PTH111 - `*` is no path
        self._names: dict[str, str] = {}
        self._files: dict[str, tuple[int, str]] = {}
        self._looked = -_FRESH

    def check(self) -> None:
        """See that it can be read.

        Raises:
            OpenError: it cannot.
        """
        if self.folder != ANYBODY and not os.access(self.folder, os.R_OK | os.X_OK):
            reason = "it cannot be read" if Path(self.folder).exists() else "there is no such folder"
            text = (
                f"the folder of allowed keys {self.folder!r}: {reason}; `message-passing keys allow` makes it"
            )
            raise OpenError(text)

    def name_of(self, key: str) -> str:
        """The name of the file with this key; empty when it is not allowed."""
        return key if self.folder == ANYBODY else self.all().get(key, "")

    def all(self) -> dict[str, str]:
        """The names by their keys, as the folder is now. One that is gone, or may not be read, allows nobody."""
        now = time.monotonic()
        if now - self._looked < _FRESH:
            return self._names
        self._looked = now
        try:
            found = [entry.name for entry in os.scandir(self.folder) if entry.name.endswith(PUBLIC)]
        except OSError as error:
            if error.errno not in _GONE:  # no descriptor is free, for one: that revokes nobody
                return self._names
            found = []
        self._files = {name: self._read(name) for name in found}
        self._names = {
            key: name.removesuffix(PUBLIC) for name, (_, key) in sorted(self._files.items()) if key
        }
        return self._names

    def _read(self, name: str) -> tuple[int, str]:
        """When a file was changed, and the key in it; what is known of it, when it cannot be read just now."""
        path = Path(self.folder, name)
        known = self._files.get(name, (0, ""))
        try:
            changed = path.stat().st_mtime_ns
            return known if changed == known[0] else (changed, _key_in(path.read_bytes()))
        except OSError as error:
            return (0, "") if error.errno in _GONE else known


def _key_in(data: bytes) -> str:
    key = entries(data.decode("ascii", "replace")).get("public-key", "")
    return key if is_key(key) else ""


class Passwords:
    """Names and passwords for PLAIN, one `name:password` a line."""

    def __init__(self, path: str) -> None:
        """Name the file."""
        self.path = str(Path(path).expanduser())

    def check(self) -> None:
        """See that it can be read, by its owner alone.

        Raises:
            OpenError: it cannot, or by others too.
        """
        refuse_if_shared(self.path)
        try:
            self._lines()
        except (OSError, ValueError) as error:
            raise OpenError(Fault(f"cannot be read: {error}", self.path)) from error

    def admits(self, name: bytes, password: bytes) -> bool:
        """Whether the file has them, as it is now."""
        try:
            lines = self._lines()
        except (OSError, ValueError):
            return False
        given = name + b":" + password
        return b":" not in name and any(hmac.compare_digest(line, given) for line in lines)

    def _lines(self) -> list[bytes]:
        lines = [line.strip() for line in Path(self.path).read_bytes().splitlines()]
        return [line for line in lines if b":" in line and not line.startswith(b"#")]


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may connect to a socket.

    Attributes:
        allow: from where; empty for everywhere.
        deny: from where not, whatever else is allowed.
        keys: whose CURVE keys.
        passwords: whose passwords.
    """

    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()
    keys: AllowedKeys | None = None
    passwords: Passwords | None = None
    admitted: dict[str, set[str]] = field(default_factory=dict, compare=False)

    def decide(self, address: str, mechanism: str, credentials: list[bytes], key_text: str = "") -> Verdict:
        """Whether somebody may connect.

        Args:
            address: the IP address; empty for ipc.
            mechanism: `NULL`, `PLAIN` or `CURVE`.
            credentials: what ZAP has for it: name and password, or a public key of 32 bytes.
            key_text: that key as 40 characters.
        """
        if _among(address, self.deny):
            return Verdict(reason=f"its address {address} is among those in `deny`")
        if self.allow and not _among(address, self.allow):
            return Verdict(reason=f"its address {address or 'is none, and'} is not among those in `allow`")
        if self.keys:
            if mechanism != "CURVE":
                return Verdict(reason="it does not use CURVE")
            if not (name := self.keys.name_of(key_text)):
                hint = (
                    f"to allow it: message-passing keys allow NAME '{key_text}' --folder {self.keys.folder}"
                )
                return Verdict(reason=f"its key is not among the allowed ones; {hint}")
            if (
                self.keys.folder != ANYBODY
            ):  # where nothing can be revoked, strangers' keys need no remembering
                self.admitted.setdefault(key_text, set()).add(address)
            return Verdict(user=name)
        if self.passwords:
            if mechanism != "PLAIN" or not self.passwords.admits(*credentials[:2]):
                return Verdict(reason="its name or password is wrong")
            return Verdict(user=credentials[0].decode("utf-8", "replace"))
        return Verdict(user=address)

    def revoked(self) -> set[str]:
        """From which addresses clients came whose keys are allowed no more. Told once."""
        if not self.keys or not self.admitted:
            return set()
        known = self.keys.all()
        gone = [key for key in self.admitted if key not in known]
        return set().union(*[self.admitted.pop(key) for key in gone])
