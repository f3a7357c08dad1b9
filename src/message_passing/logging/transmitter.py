"""Encoding entries and passing them to the socket, or keeping them until it accepts them: one thread at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.clock import monotonic
from message_passing.logging.backlog import share
from message_passing.logging.intake import Intake
from message_passing.logging.kept_records import KeptRecords
from message_passing.logging.stall_report import StallReport
from message_passing.zeromq.sending import UNSENT
from message_passing.zeromq.throttled_warnings import ThrottledWarnings

if TYPE_CHECKING:
    from collections import deque

    from message_passing.logging.backlog import Policy
    from message_passing.logging.encoders import Encoders
    from message_passing.logging.entry import Entry
    from message_passing.logging.intake import Load
    from message_passing.logging.losses import Losses
    from message_passing.logging.record_socket import Departure, SocketMaker
    from message_passing.logging.snapshot import Snapshotted
    from message_passing.zeromq.settings import SocketSettings

_BATCH = 500

_TRIED = 50
"""Records of the backlog that are offered first: ZeroMQ's queue often has room for a few only, and those that it does
not take were collected in vain. If it takes these, `_BATCH` follow."""

_LONGS = 8
"""Records dealt with at a time while there are long ones, since their texts take memory too."""

_RETRY_INTERVAL, _SLOW_TICK = 0.002, 0.05
"""Seconds between two tries to send what is left at the end, while it goes on and while nothing moves: an XPUB never
says when there is room."""


class Transmitter:
    """Encoder, backlog and socket. After `finish` it may be used again, and opens another socket.

    Attributes:
        socket: where records are sent.
    """

    def __init__(
        self,
        settings: SocketSettings,
        policy: Policy,
        encoders: Encoders,
        losses: Losses,
        load: Load,
        *,
        make_socket: SocketMaker,
        most: int = 0,
        numbered: bool = True,
        forked: bool = False,
    ) -> None:
        """Prepare it: nothing is opened yet.

        Args:
            settings: the socket's; its high-water mark bounds what waits.
            policy: what goes when there is too much.
            encoders: make the text of a record.
            losses: where to count.
            load: the long records in the queue.
            make_socket: makes what sends them.
            most: bytes that may wait: half of them here, a quarter in ZeroMQ's queue, and another quarter for
                records without a subscriber; 0 for no bound.
            numbered: whether records are given sequence numbers.
            forked: whether this is a child that has inherited the handler.
        """
        self._encode_notice = encoders.notice
        self._losses = losses
        self._load = load
        self._notices = ThrottledWarnings(monotonic)
        self._stalls = StallReport(self._notices)
        self.socket = make_socket(self._notices, losses, share(most, 4), forked=forked)
        self._kept = KeptRecords(policy, settings.hwm, most, losses)
        self._intake = Intake(
            *(encoders.record, losses, load),
            largest=settings.limits.maxmsgsize,
            numbered=numbered,
            say=self._notices.say,
        )

    @property
    def sent(self) -> int:
        """Records handed to ZeroMQ."""
        return self.socket.sent

    @property
    def taken(self) -> int:
        """Records that were taken off the queue."""
        return self._intake.taken

    @property
    def waiting(self) -> int:
        """Encoded records that wait for a receiver."""
        return len(self._kept) + len(self._intake.items)

    @property
    def unfinished(self) -> int:
        """Those, and what a receiver may still acknowledge."""
        return self.waiting + self.socket.outstanding()

    @property
    def bytes_waiting(self) -> int:
        """Bytes of those that are kept."""
        return self._kept.size

    def notices(self, *, last: bool = False) -> list[str]:
        """The pending reports, each once: why nothing is delivered, who refuses us, whom we refused.

        Args:
            last: this is the last call.
        """
        found = self.socket.notices(last=last)
        return self._notices.take(all_counts=last) + found

    def look_whether_stuck(self, *, last: bool = False) -> None:
        """Say why nothing leaves, if nothing has for a while: see `StallReport`."""
        sent = self.socket.counts()["sent"]
        waiting = self.waiting if last and self.socket.keeps else self.unfinished
        self._stalls.look(self.socket, sent, waiting, last=last)

    def deliver(self, queue: deque[Entry | Snapshotted], most: int, *, quiet: bool = False) -> bool:
        """Take up to `most` entries off the queue, encode them, and send what can be sent.

        Args:
            queue: what callers have appended.
            most: how many entries.
            quiet: see `HandlerSocket`.

        Returns:
            Whether anything moved.
        """
        self.socket.quiet = quiet
        self.socket.tend()
        moved, left = False, min(most, len(queue))
        while True:
            step = _LONGS if self._load.waiting else _BATCH
            moved = self._deliver_some(queue, min(left, step)) or moved
            left -= step
            if left <= 0:
                return moved

    def _deliver_some(self, queue: deque[Entry | Snapshotted], most: int) -> bool:
        self._intake.take(queue, most)
        moved, before = bool(self._intake.items), self.sent
        others = len(self._kept) or self._losses.untold
        if self.socket.is_open():
            if self._intake.texts and not others:
                self._offer_new()
            else:
                self._send_backlog()
        if self._intake.items:
            stuck = not others or len(self._kept.next) > 0
            self._kept.keep(self._intake)
            if not stuck:
                self._send_backlog()
        return moved or self.sent > before

    def _offer_new(self) -> None:
        socket, before = self.socket, self.socket.sent
        try:
            socket.offer(self._intake.texts)
        finally:  # without a call, in which a signal handler might raise
            done = socket.sent - before
            del self._intake.items[:done], self._intake.texts[:done]

    def _send_backlog(self) -> None:
        self._claim()
        socket, kept, count = self.socket, self._kept, _TRIED
        while len(kept.next) and socket.is_listened_to():
            if self._losses.untold and not self._tell():
                return
            backlog = kept.next
            records, before = backlog.first(count), socket.sent
            if unclaimed := socket.unclaimed(records):
                # They must not block others that have subscribers.
                kept.put_aside(unclaimed)
                continue
            try:
                socket.offer(records)
            finally:  # without a call, in which a signal handler might raise
                if socket.sent > before:
                    backlog.done = backlog.numbers[socket.sent - before - 1] + 1
            if socket.sent - before < len(records):
                return
            count = _BATCH

    def _claim(self) -> None:
        """Take back what had no subscriber, if there are new subscriptions since."""
        # Otherwise it hears when it is offered something.
        hear = len(self._kept.unclaimed) > 0 and not len(self._kept.next)
        if (subscribed := self.socket.subscriptions(hear=hear)) is not None:
            self._kept.claim(subscribed)

    def _tell(self) -> bool:
        """Send the notice of what was dropped, before the record that now gets through."""
        socket = self.socket
        notice, before = self._encode_notice((self._losses.notice(), None)), socket.sent
        try:
            return bool(socket.offer([notice], notice=True))
        finally:
            if socket.sent > before:
                socket.sent = before  # a notice is no record of the application's
                self._losses.told()

    def finish(self, queue: deque[Entry | Snapshotted], deadline: float) -> None:
        """Send what is left until `deadline`, by `clock.monotonic`, and count the rest; then `socket.release`."""
        before = self.sent
        self.deliver(queue, len(queue))
        while (self.unfinished or queue) and (left := deadline - monotonic()) > 0:
            self.socket.wait(min(left, _RETRY_INTERVAL if self.sent > before else _SLOW_TICK))
            before = self.sent
            self.deliver(queue, len(queue))
        self.look_whether_stuck(last=True)
        for _, level, _ in self._kept.drain():
            self._losses.add(UNSENT, level)
        self.socket.leave(deadline)

    def has_left(self, departure: Departure) -> bool:
        """Whether what had been logged before that moment has left; after a `deliver` of all that. In one's turn."""
        if departure.given is None and self.waiting:
            return False
        return self.socket.has_left(departure)
