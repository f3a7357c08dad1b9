"""One sender of the soak: python -m soak.sender KIND FOLDER NAME ENDPOINT RATE HWM.

KIND is `handler` (a program that logs) or `stamp` (one that sends objects). In FOLDER, NAME.count has two numbers of
eight bytes: how many messages it has begun to give, which outlives a SIGKILL, and how many it shall give at
once, which others write. NAME.dropped has the number of every message that was dropped when it was given.
After a SIGTERM it sends what is left, and NAME.end says what became of all.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import signal
import struct
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from message_passing.codecs.json import JSONEncoder
from message_passing.filters.stamp import StampFilter
from message_passing.logging import ZeroMQHandler
from message_passing.outputs.zeromq import ZeroMQOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NUMBER = struct.Struct("<Q")
LINGER = 30_000
"""Milliseconds that the end may take: what is queued then is to arrive."""

_TICK = 0.01
_TEXT = "user %d logged in from a café"


class Counter:
    """The two numbers, in memory that is a file."""

    def __init__(self, path: Path) -> None:
        """Create the file."""
        path.write_bytes(bytes(2 * NUMBER.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 2 * NUMBER.size)
        self.given = 0

    def next(self) -> int:
        """Count one message, before it is given."""
        self.given += 1
        NUMBER.pack_into(self._memory, 0, self.given)
        return self.given

    def burst(self) -> int:
        """How many are wanted at once, asked once."""
        wanted: int = NUMBER.unpack_from(self._memory, NUMBER.size)[0]
        if wanted:
            NUMBER.pack_into(self._memory, NUMBER.size, 0)
        return wanted


def paced(counter: Counter, rate: int, give: Callable[[int], None]) -> None:
    """Give `rate` messages a second, and the bursts, until a SIGTERM."""
    ended = False

    def end(_number: int, _frame: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    began, done = time.monotonic(), 0
    while not ended:
        now = time.monotonic()
        due = int((now - began) * rate) - done
        if due > rate:  # it stood still: what it did not give then, it does not give at all
            began, done, due = now, 0, 0
        for _ in range(due + counter.burst()):
            give(counter.next())
        done += due
        time.sleep(_TICK)


@contextmanager
def handler(endpoint: str, hwm: int, name: str) -> Iterator[tuple[Callable[[int], None], Callable[[], Any]]]:
    """A program that logs: what gives a message, and what says at the end what became of all."""
    made = ZeroMQHandler(endpoint, socket_hwm=hwm, linger=LINGER, service="soak")
    logger = logging.getLogger("soak")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(made)
    try:
        yield lambda number: logger.info(_TEXT, number, extra={"slot": name}), made.stats
    finally:
        made.close()


@contextmanager
def stamp(
    endpoint: str, hwm: int, name: str, folder: Path
) -> Iterator[tuple[Callable[[int], None], Callable[[], Any]]]:
    """A program that sends objects."""
    output = ZeroMQOutput(connect=endpoint, socket_hwm=hwm, linger=LINGER)
    head = StampFilter(sender=name, output_to=JSONEncoder(output_to=output))
    file = os.open(folder / f"{name}.dropped", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    lost = 0

    def give(number: int) -> None:
        nonlocal lost
        head.consume({"text": _TEXT % number})
        now = output.metrics.dropped.total()
        if now != lost:
            os.write(file, NUMBER.pack(number) * (now - lost))
            lost = now

    def stats() -> dict[str, Any]:
        counted = output.snapshot()
        return {"sent": counted["passed"], "queued": counted["held"], "dropped": counted["dropped"]}

    try:
        yield give, stats
    finally:
        head.close()
        os.close(file)


def main() -> None:
    """Send until told to stop."""
    kind, folder, name, endpoint, rate, hwm = sys.argv[1:]
    place = Path(folder)
    counter = Counter(place / f"{name}.count")
    opened = (
        handler(endpoint, int(hwm), name) if kind == "handler" else stamp(endpoint, int(hwm), name, place)
    )
    with opened as (give, stats):
        paced(counter, int(rate), give)
    told = {"given": counter.given, **stats()}
    (place / f"{name}.end").write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()
