"""The receiving side: all that is ready, in bounded batches, and new senders heard even while we are busy."""

from __future__ import annotations

import threading
from itertools import repeat
from typing import TYPE_CHECKING

import zmq

from message_passing.zeromq.keeper import Keeper
from message_passing.zeromq.notices import Notices
from message_passing.zeromq.signed import receive_signed
from message_passing.zeromq.sockets import OpenSocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.zeromq.sockets import SocketSettings

_OBJECT_START = b"{"[0]
_NOBLOCK = int(zmq.NOBLOCK)  # the plain number is understood faster than the enum's member


class Receiver:
    """One receiving socket, fenced by a lock since two threads call into it."""

    def __init__(self, settings: SocketSettings, *, join_frames: bool = True, key_field: str = "") -> None:
        """Prepare it.

        Args:
            settings: what to open.
            join_frames: a message of several frames (topic and text, as other publishers send) counts as
                one, its last frame; otherwise each frame is a message, as in the original.
            key_field: a field of each message to set to its sender's name, as the doorkeeper knows it.
        """
        self._settings = settings
        self._join = join_frames
        self._key_field = key_field
        self.refused: list[bytes] = []
        """Messages that came and cannot have the field: for who receives to take away."""
        self._lock = threading.Lock()
        self._open: OpenSocket | None = None
        self._keeper: Keeper | None = None
        self.notices = Notices()
        """What there is to say to a person about peers."""

    def open(self) -> None:
        """Open the socket.

        Raises:
            OpenError: see `OpenSocket`.
        """
        self._open = OpenSocket(self._settings, self.notices)
        self._socket = self._open.socket
        try:
            self._keeper = Keeper(self._open, self._lock, self.notices)
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
        """`wake` is called, from another thread, when messages or notices are there without a signal."""
        self.notices.wake = wake
        if self._keeper:
            self._keeper.wake = wake

    def receive(self, limit: int) -> list[bytes]:
        """What is ready, at most `limit` messages; an empty list when nothing is."""
        if self._key_field:
            with self._lock:
                signed, refused = receive_signed(self._socket, limit, self._key_field, join=self._join)
            self.refused += refused
            return signed
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

    def met(self) -> bool:
        """Whether any peer has ever been connected."""
        return self._keeper is not None and self._keeper.met()

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
