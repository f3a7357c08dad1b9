"""A program that sends stamped messages and keeps books of them: the sender of the fault suite.

    python sender.py KIND JOURNAL TEXT OPTIONS

KIND is `output` (a chain of Stamp, JSON and the ZeroMQ output) or `handler` (the log handler). TEXT is how many
characters of text a message has. It obeys lines on standard input, and answers each with a line: `send N`
sends so many as fast as it goes, `flow` sends a few every few milliseconds until the next line. When its input
ends, it closes and prints its books. The same books are in the file JOURNAL, written before each batch and after
it, so that they outlive a SIGKILL: what `stamped` says there is what it was about to have stamped.
"""

from __future__ import annotations

import json
import logging
import os
import select
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from message_passing.codecs.json import JSONEncoder
from message_passing.filters.stamp import StampFilter
from message_passing.flow import Filter
from message_passing.logging import ZeroMQHandler
from message_passing.outputs.zeromq import ZeroMQOutput

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 20
PAUSE = 0.005
QUEUE_FULL = "queue full"


class Look(Filter):
    """Sees the stamps: the books have the numbers themselves, not a second count of them."""

    def on_init(self) -> None:
        """Nothing yet."""
        super().on_init()
        self.sender, self.highest = "", 0

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """All of them."""
        self.sender, self.highest = messages[-1]["sender"], messages[-1]["sequence"]
        return messages


class Way(Protocol):
    """A way to send."""

    def send(self, count: int) -> None:
        """Send so many."""

    def books(self) -> dict[str, Any]:
        """What became of them so far."""

    def close(self) -> None:
        """Send what is left."""


class ByOutput:
    """The chain. It knows which messages it dropped: of a batch the newest."""

    def __init__(self, text: str, options: dict[str, Any]) -> None:
        self._message = {"text": text}
        self._output = ZeroMQOutput(**options)
        self._look = Look(output_to=JSONEncoder(output_to=self._output))
        self._stamp = StampFilter(output_to=self._look)
        self._stamp.__enter__()
        self._refused: list[list[int]] = []

    def send(self, count: int) -> None:
        """Send a batch."""
        before = self._output.metrics.dropped[QUEUE_FULL]
        self._stamp.consume_many([self._message] * count)
        gone, last = self._output.metrics.dropped[QUEUE_FULL] - before, self._look.highest
        if gone and self._refused and self._refused[-1][1] == last - gone:
            self._refused[-1][1] = last
        elif gone:
            self._refused.append([last - gone + 1, last])

    def books(self) -> dict[str, Any]:
        """The output's counters, and the stamps."""
        counted = self._output.snapshot()
        return {
            "name": self._look.sender,
            "stamped": self._stamp.snapshot()["passed"],
            "highest": self._look.highest,
            "refused": self._refused,
            **{name: counted[name] for name in ("passed", "dropped", "failed", "held")},
            "possibly": dict(self._output.possibly_lost()),
        }

    def close(self) -> None:
        """Send what is left."""
        self._stamp.close()


class ByHandler:
    """The log handler, which stamps its records itself."""

    def __init__(self, text: str, options: dict[str, Any]) -> None:
        self._text = text
        # Only the high-water mark bounds what waits, as in an output.
        self._handler = ZeroMQHandler(queue_bytes=0, **options)
        self._logger = logging.Logger("tested")  # noqa: LOG001 - the program's only one
        self._logger.addHandler(self._handler)
        self._count = 0

    def send(self, count: int) -> None:
        """Log so many records."""
        for _ in range(count):
            self._logger.info(self._text)
        self._count += count

    def books(self) -> dict[str, Any]:
        """The handler's counters. Which records were dropped it does not say, nor its sender's name."""
        stats = self._handler.stats()
        return {
            "name": "",
            "stamped": self._count,
            "highest": self._count,
            "refused": None,
            "passed": stats["sent"],
            "dropped": stats["dropped"],
            "failed": stats["failed"],
            "held": stats["queued"],
            "possibly": stats.get("possibly_lost", {}),
        }

    def close(self) -> None:
        """Send what is left."""
        self._handler.close()


class Program:
    """Obeys."""

    def __init__(self, way: Way, journal: Path) -> None:
        self._way = way
        self._journal = os.open(journal, os.O_WRONLY | os.O_CREAT, 0o600)
        self._given = b""

    def run(self) -> None:
        """Until the input ends."""
        flowing = False
        while True:
            line = self._line(PAUSE if flowing else None)
            if line is None:
                self._send(BATCH)
                continue
            if not line:
                break
            word, *count = line.split()
            flowing = word == "flow"
            if word == "send":
                self._send(int(count[0]))
            self._note()
            sys.stdout.write("done\n")
            sys.stdout.flush()
        began = time.monotonic()
        self._way.close()
        books = {**self._way.books(), "closing": time.monotonic() - began}
        sys.stdout.write(json.dumps(books) + "\n")

    def _line(self, patience: float | None) -> str | None:
        """The next line; None if none came in time, an empty one at the end."""
        while b"\n" not in self._given:
            if not select.select([0], [], [], patience)[0]:
                return None
            data = os.read(0, 1000)
            if not data:
                return ""
            self._given += data
        line, _, self._given = self._given.partition(b"\n")
        return line.decode()

    def _send(self, count: int) -> None:
        while count > 0:
            some = min(count, BATCH)
            self._note(about_to=some)
            self._way.send(some)
            self._note()
            count -= some

    def _note(self, about_to: int = 0) -> None:
        books = self._way.books()
        books["stamped"] += about_to
        books["highest"] += about_to
        books["refused"] = None  # too many for one write
        # One write of one length, at the same place: it is there or it is not, whenever the end comes.
        os.pwrite(self._journal, json.dumps(books).encode().ljust(1000), 0)


if __name__ == "__main__":
    kind, place, characters, given = sys.argv[1:]
    ways: dict[str, Callable[[str, dict[str, Any]], Way]] = {"output": ByOutput, "handler": ByHandler}
    Program(ways[kind]("x" * int(characters), json.loads(given)), Path(place)).run()
