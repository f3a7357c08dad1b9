"""Applications that log to a node, for the tests of the page and its pictures."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import zmq

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pages import Site

TRACEBACK = (
    "Traceback (most recent call last):\n  File \"shop/orders.py\", line 10, in pay\nKeyError: 'price'\n"
)


class Applications:
    """Three applications that log to a site; one of them loses some on the way.

    Attributes:
        lossy: whether it does.
        broken: whether some messages are cut off.
    """

    def __init__(self, site: Site, *, lossy: bool = True, broken: bool = True) -> None:
        self._site = site
        self.lossy, self.broken = lossy, broken
        self._chances = random.Random(1)  # noqa: S311 - the same each time, and no secret
        self._numbers = Counter[str]()
        self._count = 0

    def log(self, count: int) -> None:
        """So many messages: a warning here and there, and errors with a traceback."""
        for _ in range(count):
            self._count += 1
            name = self._chances.choice(["web-1", "web-2", "billing"])
            self._numbers[name] += 1
            if not self.lossy or name != "web-2" or self._numbers[name] % 40 != 7:
                self._site.send(self._message(name, self._count))

    def _message(self, name: str, number: int) -> dict[str, Any]:
        message: dict[str, Any] = {
            "level": "INFO",
            "message": f"order {number} paid by {self._chances.choice(['card', 'invoice', 'voucher'])}",
            "time": time.time() - 0.012,
            "service": "billing" if name == "billing" else "shop",
            "host": name if name != "billing" else "app-3",
            "sender": f"{name}:{2000 + len(name)}:18a2b3c4d5e6f708",
            "sequence": self._numbers[name],
            "extra": {"order": number},
        }
        if number % 97 == 0:
            error = {"type": "KeyError", "traceback": TRACEBACK}
            return message | {"level": "ERROR", "message": f"order {number} has no price", "exception": error}
        if number % 23 == 0:
            return message | {"level": "WARNING", "message": f"order {number} waits for stock"}
        return message

    def pour(self, seconds: float) -> None:
        """Log for some time, more and less, with some broken messages: there is a history to be seen."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.log(12 + int(16 * abs((left % 40) / 20 - 1)))
            if self.broken and 30 < left % 50 < 33:
                self._site.send(b'{"level":"INFO","message":"cut off')
            time.sleep(0.1)


@contextmanager
def listened(site: Site) -> Iterator[None]:
    """Somebody listens to the site's alarms."""
    context: zmq.Context[Any] = zmq.Context()
    socket = context.socket(zmq.SUB)
    socket.subscribe(b"")
    socket.bind(site.alarms)
    done = threading.Event()

    def receive() -> None:
        while not done.is_set():
            if socket.poll(20):
                socket.recv()

    thread = threading.Thread(target=receive)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        context.destroy(linger=0)
