"""The receiving side: all that is ready, in bounded batches, and new senders heard even while we are busy."""

from __future__ import annotations

import threading
from itertools import repeat
from typing import TYPE_CHECKING

import zmq

from message_passing.zeromq.monitor import Monitor
from message_passing.zeromq.sockets import OpenSocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.zeromq.sockets import SocketSettings

_OBJECT_START = b"{"[0]
_NOBLOCK = int(zmq.NOBLOCK)  # the plain number is understood faster than the enum's member


class Receiver:
    """One receiving socket, fenced by a lock since two threads call into it."""

    def __init__(self, settings: SocketSettings, *, join_frames: bool = True) -> None:
        """Prepare it.

        Args:
            settings: what to open.
            join_frames: a message of several frames (topic and text, as other publishers send) counts as
                one, its last frame; otherwise each frame is a message, as in the original.
        """
        self._settings = settings
        self._join = join_frames
        self._lock = threading.Lock()
        self._open: OpenSocket | None = None
        self._keeper: _Keeper | None = None

    def open(self) -> None:
        """Open the socket.

        Raises:
            OpenError: see `OpenSocket`.
        """
        self._open = OpenSocket(self._settings)
        self._socket = self._open.socket
        if self._socket.type == zmq.SUB:
            self._keeper = _Keeper(self._open, self._lock)
        try:
            with self._lock:
                self._open.attach()
        except BaseException:
            self.close()
            raise

    @property
    def file_descriptor(self) -> int:
        """Readable when `receive` should be called until it returns nothing (ZMQ_FD is edge-triggered)."""
        return self._open.file_descriptor if self._open else -1

    def on_ready(self, wake: Callable[[], object]) -> None:
        """`wake` is called, from another thread, when messages are ready whose signal that thread took."""
        if self._keeper:
            self._keeper.wake = wake

    def receive(self, limit: int) -> list[bytes]:
        """What is ready, at most `limit` messages; an empty list when nothing is."""
        batch: list[bytes] = []
        take = batch.append
        frames = map(
            self._socket.recv, repeat(_NOBLOCK, limit)
        )  # a call less for each than a loop over `recv`
        with self._lock:
            try:
                if not self._join:
                    batch.extend(frames)
                for frame in frames:
                    # Asking whether more frames follow costs more than receiving one. A JSON object is
                    # a message by itself whatever follows, so only other frames are asked about.
                    take(frame if frame and frame[0] == _OBJECT_START else self._last_of(frame))
            except zmq.Again:
                pass
        return batch

    def _last_of(self, frame: bytes) -> bytes:
        while self._socket.getsockopt(zmq.RCVMORE):
            frame = self._socket.recv(_NOBLOCK)
        return frame

    def stop_listening(self) -> None:
        """Let no new sender in; what has arrived can still be received."""
        if not self._open:
            return
        with self._lock:
            for endpoint in self._settings.bind:
                try:
                    self._socket.unbind(self._settings_endpoint(endpoint))
                except zmq.ZMQError:  # a wildcard address is known under another name, or was never bound
                    continue

    def _settings_endpoint(self, endpoint: str) -> str:
        wild = "*" in endpoint and len(self._settings.bind) == 1
        return bytes(self._socket.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode() if wild else endpoint

    def close(self) -> None:
        """Close the socket; what it still holds is gone."""
        if self._keeper:
            self._keeper.stop()
            self._keeper = None
        if self._open:
            self._open.close(0)
            self._open = None


class _Keeper:
    """A thread that lets a SUB socket answer new publishers while its own thread is busy.

    ZeroMQ sends a subscription to a new publisher only when a call into the socket comes along. While the
    receiving thread is busy with what it received, there is none, and all that the publisher sends is lost.
    The monitor tells of the new publisher; one call into the socket, under its lock, is enough.
    """

    def __init__(self, opened: OpenSocket, lock: threading.Lock) -> None:
        self.wake: Callable[[], object] = lambda: None
        self._socket = opened.socket
        self._lock = lock
        self._monitor = Monitor(opened, zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_MONITOR_STOPPED)
        self._thread = threading.Thread(target=self._run, name="message-passing-keeper", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while True:
                self._monitor.events.poll()
                if zmq.EVENT_MONITOR_STOPPED in self._monitor.read():
                    return
                with self._lock:
                    ready = int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN
                if ready:
                    self.wake()
        finally:
            self._monitor.close()

    def stop(self) -> None:
        """End the thread and wait for it."""
        with self._lock:
            self._monitor.end()
        self._thread.join()
