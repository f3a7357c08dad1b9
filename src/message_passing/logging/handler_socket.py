"""The socket of a handler: opened on demand, reopened if it was closed from outside, and closed in the end."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import zmq

from message_passing.clock import monotonic
from message_passing.errors import OpenError
from message_passing.zeromq.progress import QueuedBytes, unsent
from message_passing.zeromq.sending import Sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.logging.losses import Losses
    from message_passing.logging.record_socket import Departure
    from message_passing.zeromq.settings import SocketSettings
    from message_passing.zeromq.throttled_warnings import ThrottledWarnings

_PIPE = 256
"""Records in ZeroMQ's own queue at most: those can be neither chosen from nor counted any more. A flood of records
goes as fast with 256 as with 5000, and half as fast with 64."""

_RETRY = 1.0
"""Seconds until a socket that could not be opened is tried again."""

LEFT = 0.1
"""Seconds in which the system has had nothing to send, after which what ZeroMQ was given has left: as long as its
thread may have to wait for its turn."""


class HandlerSocket:
    """One socket of PUB or PUSH after another: see `RecordSocket`.

    `quiet` is for a thread that a signal handler may interrupt with an exception, while another thread soon does the
    rest: pyzmq would lose what it has received.
    """

    waits = keeps = False

    def __init__(
        self,
        settings: SocketSettings,
        notices: ThrottledWarnings,
        _losses: Losses,
        most: int,
        *,
        forked: bool,
    ) -> None:
        """Prepare it: nothing is opened yet.

        Args:
            settings: what to open.
            notices: where to say why there is no socket.
            most: bytes that may wait in ZeroMQ's queue; 0 for no bound.
            forked: whether this is a child that has inherited the handler.
        """
        self.sender: Sender | None = None
        self.sent = 0
        self.wake: Callable[[], object] = lambda: None
        self.quiet = False
        self._settings = settings
        self._notices = notices
        self._most = most
        self._forked = forked
        self._messages = min(settings.hwm or _PIPE, _PIPE)
        self._queued = QueuedBytes(self._messages, most)
        self._open_after = 0.0
        self._said = ""
        self._leaving: list[tuple[Sender, float]] = []  # sockets to be closed, and until when they may send
        self._closing = False
        self._late: list[str] = []  # what a socket had to say when it was closed
        self._possibly_lost: Counter[str] = Counter()
        self._pause = threading.Lock()
        self._pause.acquire()

    def notices(self, *, last: bool = False) -> list[str]:
        """The pending reports, each once: who refuses us, whom we refused.

        Args:
            last: this is the last call.
        """
        found, self._late = self._late, []
        for sender in (self.sender, *(leaving for leaving, _ in self._leaving)):
            found += (
                [f"log handler: {text}" for text in sender.notices.take(all_counts=last)] if sender else []
            )
        return found

    def possibly_lost(self) -> dict[str, int]:
        """Records besides those that are counted that may be lost, at most, by reason: see `Sender.possible`."""
        found = self._possibly_lost.copy()
        for sender in (self.sender, *(leaving for leaving, _ in list(self._leaving))):
            if sender:
                found.update(sender.possible)
        return dict(found)

    def counts(self) -> dict[str, int]:
        """What was handed to ZeroMQ."""
        return {"sent": self.sent, "queued": 0}

    def outstanding(self) -> int:
        """Nothing tells what has arrived."""
        return 0

    def tend(self) -> None:
        """Look at the peers, if it is time."""
        if self.sender and not self.quiet:
            with contextlib.suppress(Exception):  # as in `offer`, which finds out
                self.sender.tend()

    @property
    def opened(self) -> bool:
        """Whether there is a socket now."""
        return self.sender is not None

    def is_open(self) -> bool:
        """Whether there is a socket: one is opened, if that can be done."""
        if self.quiet:
            return self.sender is not None and self.sender.intact
        if self.sender and not self.sender.intact:
            self.abandon()
            self._say("the socket's descriptors were closed from outside; a new socket is opened")
        if self._leaving or self._closing:  # the one before may have the address still
            return False
        if self.sender is None and monotonic() >= self._open_after:
            sender = Sender(replace(self._settings, hwm=self._messages), clock=monotonic, watched=False)
            sender.outgoing.changed = self.wake
            try:
                sender.open()
            except (OpenError, OSError, RuntimeError, zmq.ZMQError) as error:
                self._open_after = monotonic() + _RETRY
                hint = "a forked process cannot bind its parent's address: let receivers bind instead; "
                self._say(
                    f"{error} ({hint if self._forked and self._settings.bind else ''}retrying every second)"
                )
            else:
                self._queued = QueuedBytes(self._messages, self._most)
                self.sender, self._said = sender, ""
        return self.sender is not None

    def _say(self, text: str) -> None:
        """Say why there is no socket: once, and again when it is for another reason."""
        if text != self._said:
            self._said = text
            self._notices.say(text, f"log records are not delivered: {text}")

    def offer(self, records: list[bytes], *, notice: bool = False) -> int:  # noqa: ARG002 - see `RecordSocket`
        """Send as many of these as go; how many, from the first on, went."""
        if not self.sender:
            return 0
        # Its counter is read without a call, in which a signal handler might raise: what was sent must be known.
        sender, counter = self.sender, self.sender.outgoing
        before = counter.sent
        try:
            size = sum(map(len, records))
            if (room := self._queued.room_for(records, size, sender.descriptors)) < len(records):
                records = records[:room]
                size = sum(map(len, records))
            sender.offer(records, size=size, quiet=self.quiet)
        except Exception:  # noqa: BLE001 - somebody has closed the socket, or ended its context: another one is opened
            if not self.quiet:
                self._give_up()
        finally:
            self.sent += counter.sent - before
            self._queued.sent(records, counter.sent - before)
        return counter.sent - before

    def _give_up(self) -> None:
        sender, self.sender = self.sender, None
        self._open_after = monotonic() + _RETRY
        if sender:
            self._close(sender, 0)

    def _close(self, sender: Sender, milliseconds: int) -> None:
        with contextlib.suppress(Exception):
            sender.close_socket(milliseconds)
        self._possibly_lost.update(sender.possible)

    def is_listened_to(self) -> bool:
        """Whether it is worth while to encode or collect anything to be offered."""
        try:
            return self.sender is not None and self.sender.ready(quiet=self.quiet)
        except Exception:  # noqa: BLE001 - as in `offer`
            if not self.quiet:
                self._give_up()
            return False

    def unclaimed(self, records: list[bytes]) -> int:
        """See `Sender.unclaimed`."""
        return self.sender.unclaimed(records) if self.sender else 0

    def subscriptions(self, *, hear: bool) -> int | None:
        """See `Sender.subscribed`."""
        if not self.sender or self.quiet:
            return None
        if hear:
            with contextlib.suppress(Exception):  # as in `offer`, which finds out
                self.sender.service()
        return self.sender.subscribed

    def has_left(self, departure: Departure) -> bool:
        """Whether what ZeroMQ had been given has left this machine, as far as can be seen."""
        sender = self.sender
        if departure.given is None:
            departure.socket = sender
            departure.given = sender.outgoing.progress.given(sender.sent) if sender else 0
        if sender is not departure.socket:
            return False
        if sender is None or self._settings.in_process:
            return not self.possibly_lost()
        now, connections = monotonic(), sender.descriptors
        if not connections or any(map(unsent, connections)):
            departure.quiet_since = None
            return False
        progress = sender.outgoing.progress
        if progress.left >= departure.given:
            return True
        if departure.quiet_since is None:
            departure.quiet_since = now
        if now - departure.quiet_since < LEFT:
            return False
        progress.left = max(progress.left, departure.given)
        return True

    def obstacle(self) -> str | None:
        """See `Outgoing.obstacle`."""
        try:
            return self.sender.outgoing.obstacle() if self.sender else None
        except Exception:  # noqa: BLE001 - somebody has closed the socket: whoever sends finds out
            return None

    def endpoints(self) -> tuple[str, ...]:
        """Where it sends to."""
        return self.sender.outgoing.endpoints() if self.sender else ()

    def leave(self, deadline: float) -> None:
        """Be done with the socket, which may send until then, by `clock.monotonic`: call `release`."""
        if self.sender:
            self._leaving.append((self.sender, deadline))
            self.sender = None

    def release(self) -> None:
        """Close the socket that was left, in any thread.

        This waits until ZeroMQ has sent its part, or for that deadline; and for as long as ZeroMQ's thread
        looks up a name, for which there is no bound.
        """
        while self._leaving:
            self._closing = True
            try:
                sender, deadline = self._leaving.pop()
                self._close(sender, max(0, int((deadline - monotonic()) * 1000)))
                self._late += [f"log handler: {text}" for text in sender.notices.take(all_counts=True)]
            except IndexError:  # another thread does it
                return
            finally:
                self._closing = False

    def wait(self, seconds: float) -> None:
        """Wait at most so long for room to send, or for a receiver."""
        try:
            if self.sender:
                self.sender.poll(max(1, int(seconds * 1000)))
                return
        except Exception:  # noqa: BLE001 - as in `offer`
            self._give_up()
        self._pause.acquire(timeout=seconds)  # not time.sleep, which tests replace

    def abandon(self) -> None:
        """Leave the socket alone: in a forked child it is the parent's."""
        if self.sender:
            self.sender.abandon()
            self.sender = None
