"""Waiting for peer activity: for a monitor's events, and for data on connections."""

from __future__ import annotations

import contextlib
import select
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Arrivals:
    """Waits until a monitor has an event, or data arrives on a connection.

    ZeroMQ's thread reads arriving data at once, so polling seldom finds any: epoll(7) reports each arrival
    (EPOLLET). The descriptors are ZeroMQ's; the system forgets one when it is closed.

    Attributes:
        certain: whether arrivals are reported; if not, the caller has to poll now and then.
    """

    def __init__(self, monitor: int) -> None:
        """Start with this descriptor only, which is a monitor's.

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
        """Also report data on this connection from now on, unless it has ended meanwhile."""
        if self._epoll:
            with contextlib.suppress(OSError):
                self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLET)

    def wait(self, seconds: float) -> bool:
        """Wait for at most this long; return whether anything happened."""
        return bool(self._epoll.poll(seconds) if self._epoll else self._poll.poll(seconds * 1000))
