"""Which faults there are, when they happen, and to whom: all of it from the seed, before anything is started."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzz.targets import kept

if TYPE_CHECKING:
    from random import Random

_WEIGHTS = {
    "kill a sender": 3,
    "kill a worker": 2,
    "kill the aggregator": 2,
    "stop and continue": 4,
    "kill an acknowledged node": 3,
    "rotate the log": 3,
    "garbage": 4,
    "storm of connections": 2,
    "burst": 4,
}
_FIRST_HALF = {"kill the aggregator", "kill an acknowledged node"}
"""After that they live on, through everything else: what they do not give back then has the time to show."""

_EVERY = 2.0
"""Seconds between two faults, on average; in a short soak there are twenty in all."""

_LONGEST = 2.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        at: when, in seconds.
        kind: which.
        whom: a number to choose the victim by.
        length: how long it stays stopped, or away, in seconds.
    """

    at: float
    kind: str
    whom: int
    length: float


def planned(chance: Random, seconds: float) -> list[Fault]:
    """The faults of a soak."""
    found = []
    at = 0.0
    every = min(_EVERY, seconds / 20)
    while (at := at + chance.expovariate(1 / every)) < seconds:
        kinds = {kind: w for kind, w in _WEIGHTS.items() if kind not in _FIRST_HALF or at < seconds / 2}
        (kind,) = chance.choices(list(kinds), list(kinds.values()))
        length = chance.uniform(0.1, min(_LONGEST, seconds / 10))
        found.append(Fault(at, kind, chance.randrange(1 << 30), length))
    return found


def garbage(chance: Random, port: int) -> int:
    """A few connections that say what a peer would not; how many there were."""
    seeds = [path.read_bytes() for path in kept("receiver")]
    count = chance.randint(1, 20)
    for _ in range(count):
        data = bytearray(chance.choice(seeds) if chance.random() < 0.8 else chance.randbytes(500))
        for _ in range(chance.randint(0, 4) if data else 0):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as rude:
            rude.sendall(data[: chance.randint(0, len(data))] if chance.random() < 0.3 else data)
    return count


def storm(chance: Random, port: int) -> tuple[int, list[socket.socket]]:
    """Many connections at once that say nothing: how many, and those that were made, for somebody to close."""
    count = chance.randint(50, 200)
    made = []
    for _ in range(count):
        one = socket.socket()
        one.setblocking(False)
        if one.connect_ex(("127.0.0.1", port)) in (0, 115):  # EINPROGRESS
            made.append(one)
        else:
            one.close()
    return count, made
