"""A cable between two network devices that can be cut, can lose packets and can be long: what netem does in a kernel.

    python wire.py ONE OTHER

It makes two TUN devices with these names, says `ready`, and carries the packets of each to the other. It obeys
lines on standard input: `cut`, `mend`, `loss SHARE` (of all packets, both ways), `delay SECONDS` (each way), `lost`
(answered with the number of packets lost so far). Not every kernel has netem, but every packet that passes here is a
real one, and so is what TCP makes of it.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import struct
import sys
import time
from collections import deque

_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x1001


def device(name: str) -> int:
    """A new TUN device: what is sent to it can be read here, and what is written here arrives there."""
    opened = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(opened, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN_NO_PI))
    return opened


class Wire:
    """Carries packets."""

    def __init__(self, one: int, other: int) -> None:
        self._ends = {one: other, other: one}
        self._under_way: deque[tuple[float, int, bytes]] = deque()
        self._cut, self._loss, self._delay, self._lost = False, 0.0, 0.0, 0
        self._chance = random.Random(1)  # noqa: S311 - every run loses the same packets

    def obey(self, line: str) -> None:
        """Change it."""
        word, *number = line.split()
        if word == "lost":
            sys.stdout.write(f"{self._lost}\n")
            sys.stdout.flush()
        elif word == "loss":
            self._loss = float(number[0])
        elif word == "delay":
            self._delay = float(number[0])
        else:
            self._cut = word == "cut"

    def take(self, end: int) -> None:
        """A packet was put in at this end."""
        packet = os.read(end, 65536)
        if self._cut or self._chance.random() < self._loss:
            self._lost += 1
        else:
            self._under_way.append((time.monotonic() + self._delay, self._ends[end], packet))

    def give(self) -> float | None:
        """Let out what is due; seconds until the next one is."""
        while self._under_way:
            due, end, packet = self._under_way[0]
            left = due - time.monotonic()
            if left > 0:
                return left
            self._under_way.popleft()
            try:
                os.write(end, packet)
            except OSError:  # that end is not up, or takes no more: so the packet is lost
                continue
        return None


def main(one: str, other: str) -> None:
    """Until the input ends."""
    ends = device(one), device(other)
    wire = Wire(*ends)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    left: float | None = None
    while True:
        ready = select.select([0, *ends], [], [], left)[0]
        if 0 in ready:
            given = os.read(0, 1000).decode()
            if not given:
                return
            for line in given.splitlines():
                wire.obey(line)
        for end in ready:
            if end in ends:
                wire.take(end)
        left = wire.give()


if __name__ == "__main__":
    main(*sys.argv[1:])
