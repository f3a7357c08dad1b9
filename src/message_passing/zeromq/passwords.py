"""The names and passwords of PLAIN, and the delays that slow down guessing."""

from __future__ import annotations

import heapq
import hmac
import secrets
import time
from collections import Counter, OrderedDict
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from message_passing.clock import monotonic
from message_passing.errors import Fault, OpenError
from message_passing.secure_files import SHORTAGE, is_settled, read_file, require_safe, signature
from message_passing.zeromq.descriptors import plain_address
from message_passing.zeromq.revocation import ipc_peer

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_FILE = 1 << 20
"""The most bytes of a password file."""

_FRESH = 0.25
"""Seconds for which a file is not checked again."""


class Passwords:
    """A file of names and passwords, `name:password` on each line; a name may have several."""

    def __init__(self, path: str) -> None:
        """Set the file."""
        self.path = path
        self.problems: list[str] = []
        """Why not all users in it, or none, are admitted, as sentences."""
        self._secret = secrets.token_bytes(32)
        self._known: dict[bytes, list[bytes]] = {}
        self._state: tuple[int, ...] = ()
        self._settled = False
        self._looked = -_FRESH

    def check(self) -> None:
        """Check that only its owner can read it, and that each line has a name and a password.

        Raises:
            OpenError: it cannot be read, others can read it too, or a line is malformed.
        """
        try:
            data = self._read()
        except OSError as error:
            raise OpenError(Fault(f"cannot be read: {error.strerror}", self.path)) from error
        if wrong := _wrong_lines(data):
            raise OpenError(Fault(wrong, self.path))

    def match(self, name: bytes, password: bytes) -> str:
        """A token by which to recognize this pair, if it is in the file now; else empty.

        The time taken reveals nothing about the file: keyed digests are compared.
        """
        known = self._digests()
        given = self._digest(password)
        found = False
        for one in known.get(self._digest(name), [bytes(len(given))]):
            found |= hmac.compare_digest(one, given)
        return (self._digest(name) + given).hex() if found else ""

    def allows(self, credential: str) -> bool:
        """Whether a token returned by `match` is still in the file."""
        both = bytes.fromhex(credential)
        half = len(both) // 2
        return both[half:] in self._digests().get(both[:half], ())

    def _digest(self, data: bytes) -> bytes:
        return hmac.digest(self._secret, data, "sha256")

    def _digests(self) -> dict[bytes, list[bytes]]:
        """The passwords by name, as the file is now. An invalid file admits no user."""
        now = monotonic()
        if now - self._looked < _FRESH:
            return self._known
        self._looked = now
        try:
            if self._settled and signature(Path(self.path).stat()) == self._state:
                return self._known
            data = self._read()
        except OSError as error:
            if error.errno not in SHORTAGE:
                self._forget(f"the file of passwords {self.path!r} cannot be read: {error.strerror}")
        except OpenError as error:
            self._forget(f"{error}; no user is admitted until then")
        else:
            self._known = {}
            for name, password in _pairs(data):
                self._known.setdefault(self._digest(name), []).append(self._digest(password))
            wrong = _wrong_lines(data)
            self.problems = [f"{self.path}: {wrong}"] if wrong else []
        return self._known

    def _forget(self, problem: str) -> None:
        self._known, self._settled, self.problems = {}, False, [problem]

    def _read(self) -> bytes:
        data, found = read_file(self.path, "file of passwords", limit=LARGEST_FILE)
        require_safe(self.path, found, "file of passwords", secret=True)
        self._state, self._settled = signature(found), is_settled(found, time.time())
        return data


def _pairs(data: bytes) -> list[tuple[bytes, bytes]]:
    lines = [line.strip() for line in data.splitlines()]
    pairs = [line.partition(b":") for line in lines if not line.startswith(b"#")]
    return [(name, password) for name, _, password in pairs if name and password]


def _wrong_lines(data: bytes) -> str:
    """Which lines have no name or no password, as a sentence that does not show their contents."""
    lines = [line.strip() for line in data.splitlines()]
    wrong = [
        str(number)
        for number, line in enumerate(lines, 1)
        if line and not line.startswith(b"#") and not all(line.partition(b":")[::2])
    ]
    if not wrong:
        return ""
    which = ", ".join(wrong[:5]) + (", ..." if len(wrong) > 5 else "")
    return f"each line needs a name, a colon and a password: line {which} does not, and admits no user"


FIRST_DELAY, LONGEST_DELAY = 0.5, 8.0
"""Initial and maximum delay of the answer to a wrong password, in seconds, doubling at each one. The maximum is less
than the handshake timeout (`handshake_ivl`), so that an honest client gets an answer."""

_FORGOTTEN = 600.0
"""Seconds after an address's last wrong password until it counts as new."""

_ADDRESSES = 1000
_WAITING, _ALL_WAITING = 4, 1000
"""The most answers that may wait for one address, and in total."""


class Delays:
    """Delays for addresses that sent wrong passwords: their answers wait, longer each time.

    A correct password is answered at once. An address with the most waiting answers is refused unchecked, so that
    guessing in parallel gains nothing. In IPv6 a /64 network counts as one address: one household has that.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Start without wrong passwords.

        Args:
            clock: seconds, monotonic.
        """
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._due: list[tuple[float, str]] = []  # when waiting answers are due, and to whom: a heap
        self._waiting: Counter[str] = Counter()

    def refuses(self, address: str) -> bool:
        """Whether an address is refused without checking its password."""
        self._settle()
        return self._waiting[_origin(address)] >= _WAITING

    def after_failure(self, address: str) -> float:
        """Delay of the answer to a wrong password, in seconds."""
        self._settle()
        origin, now = _origin(address), self._clock()
        count, last = self._failures.pop(origin, (0, now))
        count = 1 if now - last > _FORGOTTEN else count + 1
        self._failures[origin] = (count, now)
        while len(self._failures) > _ADDRESSES:
            self._failures.popitem(last=False)
        if len(self._due) >= _ALL_WAITING:  # guesses from this many addresses cannot be bounded
            return 0.0
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(count - 1, 30))
        heapq.heappush(self._due, (now + delay, origin))
        self._waiting[origin] += 1
        return delay

    def _settle(self) -> None:
        """Forget the answers that are due by now."""
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            _, origin = heapq.heappop(self._due)
            self._waiting[origin] -= 1
            if not self._waiting[origin]:
                del self._waiting[origin]


def _origin(address: str) -> str:
    """The unit by which guesses are counted: a network, or over ipc a user, who may start many processes."""
    try:
        found = ip_address(plain_address(address))
    except ValueError:
        return f"user {(ipc_peer(address) or '').partition(':')[0]}"
    return str(ip_network(f"{found}/64", strict=False)) if found.version == 6 else str(found)
