"""Waiting for what peers do: for a monitor's events, and for what connections bring."""

from __future__ import annotations

import contextlib
import select
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Arrivals:
    """Waits until a monitor has something to say, or a connection brings something.

    ZeroMQ's thread takes what a connection brings at once, so it is seldom there to be found: epoll(7) tells of
    each arrival (EPOLLET). The descriptors are ZeroMQ's; the system forgets one when it is closed.

    Attributes:
        certain: whether it is told of arrivals; otherwise somebody has to look now and then.
    """

    def __init__(self, monitor: int) -> None:
        """Wait for nothing but this descriptor, which is a monitor's.

        Raises:
            OSError: no descriptor is free.
        """
        self._epoll = select.epoll() if hasattr(select, "epoll") else None  # Linux only
        self._poll = select.poll()
        self._poll.register(monitor, select.POLLIN)
        if self._epoll:
            self._epoll.register(monitor, select.EPOLLIN)
        self.certain = self._epoll is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._epoll:
            self._epoll.close()

    def expect(self, descriptor: int) -> None:
        """From now on, tell of what comes with this connection too, unless it has ended meanwhile."""
        if self._epoll:
            with contextlib.suppress(OSError):
                self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLET)

    def wait(self, seconds: float) -> bool:
        """Wait so long; whether anything has happened."""
        return bool(self._epoll.poll(seconds) if self._epoll else self._poll.poll(seconds * 1000))
