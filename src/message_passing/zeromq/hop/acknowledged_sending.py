"""The sending end of an acknowledged ZeroMQ output: a bounded buffer, and a thread that sends and settles it."""

from __future__ import annotations

import contextlib
import functools
import os
import select
import threading
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.zeromq.hop.gathering import Gathering, SentBatch
from message_passing.zeromq.hop.link import HopSender
from message_passing.zeromq.hop.packing import FRAME_BYTES, packed
from message_passing.zeromq.misfits import FITTING_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from message_passing.delivery import Hold
    from message_passing.stopping import StopRequest
    from message_passing.zeromq.receiving import Receiver
    from message_passing.zeromq.settings import SocketSettings

_LONGEST_PAUSE = 0.05
"""Seconds between two checks of a waiting chain, which is also notified."""

_LONGEST_WAIT = 0.5
"""The most seconds between two checks of the thread."""

BUFFER_BYTES = 128 << 20
"""Bytes that may wait for an acknowledgement; a batch that begins below that is accepted whole."""

_LOW_WATER = 0.5
"""Share of the buffer that is still in use when a chain that waited for room goes on."""

_GATHER = 0.0005
"""Seconds since messages were last sent in which single ones are gathered for one frame, which the thread sends if
nobody else does; a message that comes alone is sent at once."""

_SMALL = 1000
"""Bytes of a message up to which it is gathered with others."""


class AcknowledgedSending:
    """One output's sending end. From any thread.

    Attributes:
        size: bytes not yet acknowledged.
        acknowledged: messages that have been, so far.
    """

    def __init__(self, settings: SocketSettings, *, most: int, ack_timeout: float) -> None:
        """Prepare it.

        Args:
            settings: its socket.
            most: messages that may wait to be sent; 0 for as many as `BUFFER_BYTES` has room for. How much may be on
                its way is the receiver's `window`.
            ack_timeout: seconds of silence after which a receiver is given up, and its frames are resent.
        """
        self._held = self.size = self.acknowledged = 0
        self.on_room: Callable[[], object] = lambda: None  # no caller waits
        self._most = most
        self._socket_type = settings.socket_type
        self._lock = threading.RLock()
        self._sender = HopSender(settings, dead_after=ack_timeout)
        self._wake_read = self._wake_write = -1
        self._thread: threading.Thread | None = None
        self._closing = self._woken = False
        self._gathering = Gathering()
        self._served_at = 0.0

    def open(self) -> None:
        """Bind or connect, and start.

        Raises:
            OpenError: see `OpenSocket`.
            OSError: there is no descriptor left.
        """
        self._sender.open()
        try:
            self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self._sender.close()
            raise
        thread = threading.Thread(target=self._run, name="message-passing-hop", daemon=True)
        with contextlib.suppress(RuntimeError):  # the interpreter is ending: `serve` and `wait` do its work
            thread.start()
            self._thread = thread

    @property
    def receivers(self) -> list[Receiver]:
        """Its sockets, for their data about peers."""
        return self._sender.sockets.receivers

    @property
    def held(self) -> int:
        """The number of unacknowledged messages."""
        return self._held

    @property
    def unsettled_bytes(self) -> int:
        """The bytes of those."""
        return self.size

    @property
    def has_thread(self) -> bool:
        """Whether it works by itself; otherwise only in `serve` and `wait`."""
        return self._thread is not None

    @property
    def broken(self) -> bool:
        """Whether its thread has ended, although it was not closed: somebody has closed its descriptors."""
        return self._thread is not None and not self._thread.is_alive()

    @property
    def has_room(self) -> bool:
        """Whether another batch may be added."""
        return self._has_room(1)

    def _has_room(self, share: float) -> bool:
        """Whether less than a share of the buffer is in use.

        What is on its way does not count as messages that wait, as in ZeroMQ: the receiver bounds it (`window`).
        Together with it, 10,000 lines would be less than a window, and the receiver would wait for more. How many
        messages are on their way is estimated by their bytes.
        """
        if self.size >= share * BUFFER_BYTES:
            return False
        held, size = self.held, self.size
        waiting = size - self._sender.producer.on_way_size
        return not self._most or held < share * self._most or held * waiting < share * self._most * size

    @property
    def has_much_room(self) -> bool:
        """Whether a chain that had to wait for room goes on.

        Each such wait costs as much as several frames, so that it is to be for more than one batch.
        """
        return self._has_room(_LOW_WATER)

    @property
    def unfinished(self) -> int:
        """The number of messages that closing waits for."""
        return self.held

    @property
    def capacity(self) -> int | None:
        """The most messages that it may buffer; None if the bound is in bytes only."""
        return self._most or None

    def info(self) -> dict[str, Any]:
        """Its endpoints, the number of ready receivers, and the counts of resends and the like."""
        with self._lock:
            ready = len(self._sender.producer.ready_peers())
        return {
            "endpoints": tuple(one for receiver in self.receivers for one in receiver.endpoints()),
            "peers": ready,
            "resent": self._sender.producer.resent,
            "given_up": self._sender.given_up,
            "strange": self._sender.producer.strange + self._sender.sockets.strange,
        }

    def problems(self) -> list[str]:
        """Why nobody gets anything, where it is not the connection."""
        with self._lock:
            silent = self._sender.silent()
        there = FITTING_TYPES[self._socket_type][0]
        return [
            f"{where}: connected, but not answered: the other end must be an input of message-passing with "
            f"socket_type {there}, and not standing still"
            for where in silent
        ]

    def obstacles(self) -> list[str]:
        """Why what is left at the end was not acknowledged, as far as that is known."""
        down = [one.health.obstacle() for one in self.receivers if one.health and not one.peers()]
        return [text for text in down if text] or self.problems()

    def write(self, messages: Sequence[bytes], hold: Hold, *, plain: bool = False) -> None:
        """Accept a batch. It is buffered until every message of it has been acknowledged.

        Args:
            messages: the batch.
            hold: of its delivery.
            plain: see `packed`.
        """
        if len(messages) == 1 and type(messages[0]) is bytes and len(messages[0]) <= _SMALL:
            self._gather(messages[0], hold)
        else:
            self._write(packed(messages, plain=plain), hold)

    def write_uncounted(self, message: bytes, hold: Hold) -> None:
        """Accept a message that counts as none: a report of the sender's own."""
        self._write([(message, 0, False)], hold)

    def _write(self, frames: Iterable[tuple[bytes, int, bool]], hold: Hold) -> None:
        batch = SentBatch(hold)
        with self._lock:
            self._pack_gathered()
            for body, count, lines in frames:
                batch.left += 1
                self._held += count
                self.size += len(body)
                self._sender.producer.add(body, ((batch,), count), lines=lines)
            self._service()

    def _gather(self, message: bytes, hold: Hold) -> None:
        """Accept a single message: those that come right after another one share a frame, which costs the most."""
        with self._lock:
            self._gathering.add(message, hold)
            self._held += 1
            self.size += len(message)
            if self._gathering.size >= FRAME_BYTES or monotonic() - self._served_at >= _GATHER:
                self._service()
            elif not self._woken:
                self._woken = True
                self.wake()

    def _pack_gathered(self) -> None:
        self.size -= self._gathering.size
        for body, count, lines, batches in self._gathering.frames():
            self.size += len(body)
            self._sender.producer.add(body, (batches, count), lines=lines)

    def _service(self) -> None:
        self._pack_gathered()
        for entry in self._sender.service():
            batches, count = entry.token
            self._held -= count
            self.acknowledged += count
            self.size -= len(entry.body)
            for batch in batches:
                batch.settle()
        self._served_at = monotonic()

    def _run(self) -> None:
        poller = select.poll()
        for descriptor in (self._wake_read, *self._sender.sockets.file_descriptors):
            poller.register(descriptor, select.POLLIN)
        while True:
            with self._lock:
                if self._closing:
                    return
                before, self._woken = self.held, False
                self._service()
                wait = min(
                    _LONGEST_WAIT, max(0.0, self._sender.producer.next_time(monotonic()) - monotonic())
                )
            if self.held < before and self.has_much_room:  # a caller may wait for that
                with contextlib.suppress(RuntimeError):  # that loop has ended
                    self.on_room()
            if any(descriptor == self._wake_read for descriptor, _ in poller.poll(wait * 1000 + 1)):
                os.read(self._wake_read, 4096)

    def wake(self) -> None:
        """Wake the thread to check for work, from any thread."""
        with contextlib.suppress(BlockingIOError):  # it has been woken, and has not checked yet
            os.write(self._wake_write, b"!")

    async def drain(self, stop: StopRequest) -> None:
        """Wait until there is room, or a stop is requested."""
        if not self.has_room:
            while not self.has_much_room and not stop.asked:
                await self._change()

    async def flush(self, stop: StopRequest) -> None:
        """Wait until everything has been acknowledged, or a stop is requested."""
        while self.held and not stop.asked:
            await self._change()

    async def _change(self) -> None:
        """Wait briefly for something to be acknowledged."""
        import asyncio  # noqa: PLC0415 - the log handler, which has no event loop, does not load it

        changed = asyncio.Event()
        self.on_room = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, changed.set)
        try:
            async with asyncio.timeout(_LONGEST_PAUSE):
                await changed.wait()
        except TimeoutError:
            pass
        finally:
            self.on_room = lambda: None

    def serve(self) -> None:
        """Do what its thread would do now."""
        with self._lock:
            self._service()

    def wait(self, until: float, stop: Callable[[], bool] = lambda: False) -> None:
        """Wait until everything has been acknowledged, or until this time; from a thread that may wait."""
        descriptors = self._sender.sockets.file_descriptors
        while self.unfinished and monotonic() < until and not stop():
            with self._lock:
                self._service()
            if self.unfinished:
                select.select(descriptors, [], [], 0.01)

    def close(self) -> None:
        """End the thread and close the sockets. What has not been acknowledged stays counted in `held`."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        if self._thread:
            self.wake()
            self._thread.join()
        if self._wake_read >= 0:
            self._end()
            self._close_pipe()
        self._sender.close()

    def _close_pipe(self) -> None:
        for descriptor in (self._wake_read, self._wake_write):
            if descriptor >= 0:
                os.close(descriptor)
        self._wake_read = self._wake_write = -1

    def _end(self) -> None:
        """What else may wake its thread, which has ended."""

    def abandon(self) -> None:
        """Reset in a forked child: the sockets, the thread and all waiting messages are the parent's."""
        self._close_pipe()
        for receiver in self.receivers:
            receiver.abandon()
