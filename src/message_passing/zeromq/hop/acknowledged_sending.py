"""How a ZeroMQ output is acknowledged: a bounded buffer, and a thread that sends it and learns what is settled."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import select
import threading
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.delivery import NO_HOLD
from message_passing.zeromq.hop.link import HopSender
from message_passing.zeromq.hop.packing import packed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from message_passing.delivery import Hold
    from message_passing.stopping import StopRequest
    from message_passing.zeromq.receiving import Receiver
    from message_passing.zeromq.settings import SocketSettings

_LONGEST_PAUSE = 0.05
"""Seconds until a chain that waits looks again; it is also told."""

_LONGEST_WAIT = 0.5
"""Seconds that the thread waits at most until it looks again."""

BUFFER_BYTES = 128 << 20
"""Bytes that may wait for an acknowledgement; a batch that begins below that is taken whole."""


def _nothing() -> None:
    """Nobody waits."""


class _Batch:
    """Messages that were taken together, in frames of which so many are left to be acknowledged."""

    __slots__ = ("hold", "left")

    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        self.left = 0


class AcknowledgedSending:
    """One output's sending end. From any thread.

    Attributes:
        held: messages that have not been acknowledged.
        size: bytes that they have.
    """

    def __init__(self, settings: SocketSettings, *, most: int, ack_timeout: float) -> None:
        """Prepare it.

        Args:
            settings: its socket.
            most: messages that may wait for an acknowledgement; 0 for as many as `BUFFER_BYTES` has room for.
            ack_timeout: seconds of silence after which a receiver is given up, and what it had is sent again.
        """
        self.held = self.size = 0
        self.on_room: Callable[[], object] = _nothing
        self._most = most
        self._lock = threading.RLock()
        self._sender = HopSender(settings, dead_after=ack_timeout)
        self._wake_read = self._wake_write = -1
        self._thread: threading.Thread | None = None
        self._closing = False

    def open(self) -> None:
        """Bind or connect, and begin.

        Raises:
            OpenError: see `OpenSocket`.
        """
        self._sender.open()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="message-passing-hop", daemon=True)
        self._thread.start()

    @property
    def receivers(self) -> list[Receiver]:
        """Its sockets, for what they know of their peers."""
        return self._sender.sockets.receivers

    @property
    def has_room(self) -> bool:
        """Whether a batch more may come."""
        return (not self._most or self.held < self._most) and self.size < BUFFER_BYTES

    def info(self) -> dict[str, Any]:
        """Where it is bound or connects to, how many receivers are ready, and what was done about them."""
        with self._lock:
            ready = len(self._sender.producer.ready_peers())
        return {
            "endpoints": tuple(one for receiver in self.receivers for one in receiver.endpoints()),
            "peers": ready,
            "resent": self._sender.producer.resent,
            "given_up": self._sender.given_up,
            "strange": self._sender.producer.strange + self._sender.sockets.strange,
        }

    def write(self, messages: Sequence[bytes], hold: Hold) -> None:
        """Take a batch. It is held until every message of it has been acknowledged."""
        batch = _Batch(hold)
        with self._lock:
            producer = self._sender.producer
            for body, count, lines in packed(messages):
                batch.left += 1
                self.held += count
                self.size += len(body)
                producer.add(body, (batch, count), lines=lines)
            self._service()

    def _service(self) -> None:
        for entry in self._sender.service():
            batch, count = entry.token
            self.held -= count
            self.size -= len(entry.body)
            batch.left -= 1
            if not batch.left and batch.hold is not NO_HOLD:
                batch.hold.release()

    def _run(self) -> None:
        poller = select.poll()
        for descriptor in (self._wake_read, *self._sender.sockets.file_descriptors):
            poller.register(descriptor, select.POLLIN)
        while True:
            with self._lock:
                if self._closing:
                    return
                before = self.held
                self._service()
                wait = min(
                    _LONGEST_WAIT, max(0.0, self._sender.producer.next_time(monotonic()) - monotonic())
                )
            if self.held < before:
                with contextlib.suppress(RuntimeError):  # that loop has ended
                    self.on_room()
            if any(descriptor == self._wake_read for descriptor, _ in poller.poll(wait * 1000 + 1)):
                return

    async def drain(self, stop: StopRequest) -> None:
        """Wait until there is room, or a stop is asked for."""
        while not self.has_room and not stop.asked:
            await self._change()

    async def flush(self, stop: StopRequest) -> None:
        """Wait until everything has been acknowledged, or a stop is asked for."""
        while self.held and not stop.asked:
            await self._change()

    async def _change(self) -> None:
        """Wait until something has been acknowledged, for a moment at most."""
        changed = asyncio.Event()
        self.on_room = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, changed.set)
        try:
            async with asyncio.timeout(_LONGEST_PAUSE):
                await changed.wait()
        except TimeoutError:
            pass
        finally:
            self.on_room = _nothing

    def wait(self, until: float, stop: Callable[[], bool] = lambda: False) -> None:
        """Until everything has been acknowledged, or this time; from a thread that may wait."""
        descriptors = self._sender.sockets.file_descriptors
        while self.held and monotonic() < until and not stop():
            with self._lock:
                self._service()
            if self.held:
                select.select(descriptors, [], [], 0.01)

    def close(self) -> None:
        """End the thread and close the sockets. What has not been acknowledged stays counted in `held`."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        if self._thread:
            os.write(self._wake_write, b"!")
            self._thread.join()
            os.close(self._wake_read)
            os.close(self._wake_write)
        self._sender.close()

    def abandon(self) -> None:
        """In a forked child: the sockets, the thread and all that waits are the parent's."""
        if self._thread:
            os.close(self._wake_read)
            os.close(self._wake_write)
        for receiver in self.receivers:
            receiver.abandon()
