"""The receiving side: all that is ready, in bounded batches, and new senders noticed even while busy."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING

import zmq

from message_passing.lines import ObjectFrames
from message_passing.zeromq.memory import Memory
from message_passing.zeromq.monitor_thread import MonitorThread
from message_passing.zeromq.oversized import Oversized
from message_passing.zeromq.received import Deliveries, next_message
from message_passing.zeromq.sockets import OpenSocket
from message_passing.zeromq.throttled_warnings import ThrottledWarnings
from message_passing.zeromq.user_id import with_user_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from message_passing.zeromq.connection_health import ConnectionHealth
    from message_passing.zeromq.intake_limiter import IntakeLimiter
    from message_passing.zeromq.received import Message
    from message_passing.zeromq.settings import SocketSettings

_OBJECT_START = b"{"[0]
# Plain numbers are processed faster than enum members.
_NOBLOCK = int(zmq.NOBLOCK)
_NOBLOCK_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)

_SAMPLING, _SAMPLING_ONE = 0.001, 0.01
"""Seconds between two messages whose connection is queried, where not all are: with several peers, and with a single
one, whose they all are."""

_MANY = 1000

FRAME_TOO_BIG = "frame too big"
"""Why ZeroMQ disconnects peers that we connect to."""

_SETTLED = 0.05
"""Seconds in which libzmq's threads agree that a connection has ended. If the high-water mark is set earlier, libzmq
4.3.5 passes it to an object already freed (`pipe_t::send_hwms_to_peer`), and crashes."""

_LAST_BYTES = 8 << 20
"""Bytes that are received at the end while senders continue, to reach a moment when nothing waits."""


class Receiver:
    """One receiving socket, protected by a lock since two threads call into it."""

    def __init__(
        self,
        settings: SocketSettings,
        *,
        join_frames: bool = True,
        key_field: str = "",
        queue_bytes: int | None = None,
    ) -> None:
        """Prepare it.

        Args:
            settings: what to open.
            join_frames: a message of several frames (topic and text, as other publishers send) counts as
                one, its last frame; otherwise each frame is a message, as in the original.
            key_field: a field of each message to set to its sender's name by the ZAP handler.
            queue_bytes: bytes of memory that received messages may take here, whole and unfinished; 0 for no bound.
                If it is None, ZeroMQ ends the connection of a peer that sends too big a frame, uncounted.
        """
        self._settings = settings
        self._join = join_frames
        self._key_field = key_field
        self._queue_bytes = queue_bytes
        self._maxmsgsize = settings.limits.maxmsgsize
        self.received_bytes = 0
        """The number of bytes of the messages returned so far."""
        self.refused: list[bytes] = []
        """Received messages that cannot have the field, for the caller to remove."""
        self.too_big = Oversized(self.address_of)
        """Messages larger than `maxmsgsize` over all their frames, for the caller to count."""
        self.marks_objects = False
        """Whether `receive` marks objects as such (`ObjectFrames`), for who does not change what it returns."""
        self._next_sample = 0.0
        self._cut_off = 0
        self._left: list[bytes] = []  # frames of a message beyond what `receive` was asked for
        self._lock = threading.Lock()
        self._deliveries = Deliveries()
        self._open: OpenSocket | None = None
        self._monitor_thread: MonitorThread | None = None
        self._intake: IntakeLimiter | None = None  # is still queried after the socket was closed
        self.notices = ThrottledWarnings()
        """The notices about peers."""

    def open(self) -> None:
        """Open the socket.

        Raises:
            OpenError: see `OpenSocket`.
        """
        memory = Memory.watched(self._queue_bytes or 0)
        settings = self._settings
        if self._queue_bytes is not None:
            # At a frame larger than ZMQ_MAXMSGSIZE the connection ends, and who has bound is not told why. So it may
            # come here, to be counted. Memory is bounded by `queue_bytes`, and never was by the size of frames.
            settings = replace(settings, limits=replace(settings.limits, maxmsgsize=-1))
        try:
            self._open = OpenSocket(settings, self.notices)
            self._socket = self._open.socket
            self._monitor_thread = MonitorThread(
                self._open,
                self._lock,
                self.notices,
                self._deliveries,
                memory,
                queue_bytes=self._queue_bytes or 0,
                maxmsgsize=self._maxmsgsize,
            )
            memory = None
            self._intake = self._monitor_thread.intake
            with self._lock:
                self._open.attach()
        except BaseException:
            self.close()
            if memory:
                memory.close()
            raise

    @property
    def file_descriptor(self) -> int:
        """Readable when `receive` should be called until it returns nothing (ZMQ_FD is edge-triggered)."""
        return self._open.file_descriptor if self._open else -1

    def on_ready(self, wake: Callable[[], object]) -> None:
        """Have `wake` called, from another thread, when messages or notices are available without a signal."""
        self.notices.wake = wake
        if self._monitor_thread:
            self._monitor_thread.wake = wake

    def receive(self, limit: int) -> list[bytes]:
        """Return what is ready, at most `limit` messages; an empty list when nothing is, or all of it was refused."""
        with self._lock:
            return self._receive(limit)

    def _receive(self, limit: int) -> list[bytes]:
        before = len(self.refused) + self.too_big.count
        careful = self._key_field or self._deliveries.exact or self._left or not self._join
        careful = careful or self.too_big.closely()
        batch, size = (self._carefully(limit), None) if careful else self._fitting(self._fast(limit))
        if len(batch) > limit:
            batch, self._left, size = batch[:limit], batch[limit:], None
        self.received_bytes += sum(map(len, batch)) if size is None else size
        if not batch and len(self.refused) + self.too_big.count == before:
            self._deliveries.drained = True
        return batch

    def _fast(self, limit: int) -> list[bytes]:
        """Receive without querying each message's properties: that costs more than receiving it."""
        batch: list[bytes] = ObjectFrames() if self.marks_objects else []
        others = False
        with contextlib.suppress(zmq.Again):
            if (now := time.monotonic()) >= self._next_sample:
                several = self._monitor_thread is None or self._monitor_thread.has_several()
                self._next_sample = now + (_SAMPLING if several else _SAMPLING_ONE)
                batch += self._next()
                limit, others = limit - 1, True
            # One call less for each than a loop over `recv`. An empty batch means that nothing is ready: so all of
            # `limit` is tried, even if it is 1.
            for frame in map(self._socket.recv, repeat(_NOBLOCK, limit)):
                # Querying whether more frames follow costs more than receiving one. A JSON object is
                # a message by itself whatever follows, so only other frames are queried.
                if frame and frame[0] == _OBJECT_START:
                    batch.append(frame)
                else:
                    others = True
                    batch += self._rest_of(frame)
        return [*batch] if others else batch

    def _rest_of(self, frame: bytes) -> list[bytes]:
        """Which frames are messages to us: separate objects, and the last frame unless the whole is too big."""
        objects: list[bytes] = []
        total = len(frame)
        while self._socket.getsockopt(zmq.RCVMORE):
            frame = self._socket.recv(_NOBLOCK)
            if frame[:1] == b"{" and self._socket.getsockopt(zmq.RCVMORE):
                objects.append(frame)
            else:
                total += len(frame)
        if 0 <= self._maxmsgsize < total:
            self.too_big.note(1, total)
            return objects
        objects.append(frame)
        return objects

    def _fitting(self, batch: list[bytes]) -> tuple[list[bytes], int | None]:
        """Remove what is too big; return the rest, and the total bytes if they were added up for that.

        Few batches are so large in total that a message may be too big: adding up costs least.
        """
        size = batch.join() if type(batch) is ObjectFrames else sum(map(len, batch))
        if 0 <= self._maxmsgsize < size:
            fitting = [message for message in batch if len(message) <= self._maxmsgsize]
            if len(fitting) < len(batch):
                self.too_big.note(len(batch) - len(fitting), max(map(len, batch)))
            return fitting, None
        return batch, size

    def _carefully(self, limit: int) -> list[bytes]:
        """Receive with each message's properties: its sender, and the number of its frames."""
        if len(self._left) >= limit:
            batch = self._left[:limit]
            del self._left[:limit]
            return batch
        batch, self._left = self._left, []
        with contextlib.suppress(zmq.Again):
            while len(batch) < limit:
                batch += self._next()
        return batch

    def _next(self) -> list[bytes]:
        """The next ZeroMQ message as messages to us: one, several or none."""
        message = next_message(
            self._socket, self._maxmsgsize, each=not self._join, named=bool(self._key_field)
        )
        self._deliveries.note(message)
        if message.too_big:
            self.too_big.note(message.too_big, message.size, message.descriptor, message.user)
        if not self._key_field:
            return message.frames
        found = [(frame, with_user_id(frame, self._key_field, message.user)) for frame in message.frames]
        self.refused += [frame for frame, text in found if text is None]
        return [text for _, text in found if text is not None]

    def receive_parts(self, limit: int) -> list[Message]:
        """Messages with all their frames, however large, and what is known of the sender; at most this many."""
        found: list[Message] = []
        with self._lock, contextlib.suppress(zmq.Again):
            while len(found) < limit:
                message = next_message(self._socket, -1, each=True, named=bool(self._key_field), typed=True)
                self._deliveries.note(message)
                self.received_bytes += message.size
                found.append(message)
        return found

    def send_parts(self, frames: Sequence[bytes]) -> bool:
        """Send a message on a socket that can; False if there is no room now, or no such peer."""
        with self._lock:
            send, last = (
                super(zmq.Socket, self._socket).send,
                len(frames) - 1,
            )  # see `batch_send.releasing_send`
            try:
                for frame in frames[:last]:
                    send(frame, _NOBLOCK_MORE)
                send(frames[last], _NOBLOCK)
            except zmq.ZMQError:  # EAGAIN, or EHOSTUNREACH: a ROUTER's peer has disconnected (zmq_socket(3))
                return False
            return True

    @property
    def health(self) -> ConnectionHealth | None:
        """The state of the connections; None while it is not open."""
        return self._monitor_thread.health if self._monitor_thread else None

    def endpoints(self) -> tuple[str, ...]:
        """The endpoints that it is bound to, with the ports that the system chose, or connects to."""
        return self._open.endpoints() if self._open else self._settings.endpoints

    def peers(self) -> int:
        """How many peers are connected and have completed the handshake, as of the last check."""
        return self._monitor_thread.peers() if self._monitor_thread else 0

    def refused_peers(self) -> Mapping[str, int]:
        """How many handshakes have failed, by reason: see `Peers`."""
        return self._monitor_thread.failures() if self._monitor_thread else {}

    def address_of(self, descriptor: str) -> str:
        """The address of a connection's other end; empty if it is not known."""
        return self._monitor_thread.address_of(descriptor) if self._monitor_thread else ""

    def met(self) -> bool:
        """Whether any peer has ever been connected."""
        return self._monitor_thread is not None and self._monitor_thread.met()

    def disconnected(self) -> Mapping[str, int]:
        """How many peers were disconnected because of what they sent, by reason."""
        found = dict(self._intake.disconnected) if self._intake else {}
        if self._monitor_thread:
            self._cut_off = self._monitor_thread.cut_off
        if self._cut_off:
            found[FRAME_TOO_BIG] = self._cut_off
        return found

    def pauses(self) -> int:
        """How often all senders were paused because too much waited here."""
        return self._intake.pauses if self._intake else 0

    def open_up(self, seconds: float) -> None:
        """Have libzmq continue to read regardless of the high-water mark; `finish` is to follow.

        Where the mark blocks it when a connection ends, it discards what the system still has for us. A
        connection that is already blocked would stay so, so there must be a moment when nothing waits: all that
        does is read, to be received later. Senders that send faster than that are paused for it.

        Args:
            seconds: how long it may take.
        """
        if not self._monitor_thread:
            return
        deadline, room, taken = time.monotonic() + seconds, _LAST_BYTES, self._left
        self._left = []
        while (more := self._or_open_up()) is not None and time.monotonic() < deadline:
            taken += more
            if not more:
                time.sleep(_SETTLED / 10)
            if room > 0 and (room := room - sum(map(len, more))) <= 0:
                self._monitor_thread.pause()
        self._left = taken + (more or [])
        self.received_bytes -= sum(map(len, self._left))  # they are counted when they are returned
        self._monitor_thread.resume()

    def _or_open_up(self) -> list[bytes] | None:
        with self._lock:
            batch = self._receive(_MANY)
            if batch or self._left or int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                return batch
            if self._monitor_thread and not self._monitor_thread.calm(
                _SETTLED
            ):  # queried last: a connection that ends now is not known of yet
                return batch
            self._socket.setsockopt(zmq.RCVHWM, 0)
            return None

    def finish(self, *, everybody: bool) -> bool:
        """Admit no new sender, and have present ones disconnect in order: what they have sent still arrives.

        A peer that is ZeroMQ ends its connection once it learns that nothing will come from here, and all that it had
        given to its system is brought here: `receive` until `finished`. A message that it had begun to give to its
        system is lost; after a pause that may be several, so paused senders are told once they continue.

        Args:
            everybody: also those that have not continued since a pause.

        Returns:
            Whether all have been told.
        """
        return self._monitor_thread is None or self._monitor_thread.finish(everybody=everybody)

    def finished(self) -> bool:
        """Whether every connection has ended."""
        return self._monitor_thread is None or self._monitor_thread.finished()

    def abort(self) -> int:
        """End the remaining connections; return how many bytes from them can no longer be received."""
        return self._monitor_thread.abort() if self._monitor_thread else 0

    def wait(self, seconds: float) -> None:
        """Wait until there may be something to receive, or for this long."""
        with self._lock:
            self._socket.poll(int(seconds * 1000))

    def close(self, linger: int = 0) -> None:
        """Close the socket; what it still holds is lost. Wait at most this long, in milliseconds, for sent data."""
        if self._monitor_thread:
            self._cut_off = self._monitor_thread.cut_off
            self._monitor_thread.stop()
            self._monitor_thread = None
        if self._open:
            self._open.close(linger)
            self._open = None

    def abandon(self) -> None:
        """In a forked child: the socket is the parent's."""
        if self._open:
            self._open.abandon()
        self._open = self._monitor_thread = None
