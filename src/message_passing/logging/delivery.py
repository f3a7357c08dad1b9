"""Encoding entries and handing them to the socket, or keeping them until it takes them: one thread at a time."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import zmq

from message_passing.clock import monotonic
from message_passing.errors import OpenError
from message_passing.logging.backlog import make_backlog, share
from message_passing.logging.intake import Intake
from message_passing.logging.pipe import Pipe, unsent
from message_passing.logging.taken import level_of
from message_passing.zeromq.notices import Notices
from message_passing.zeromq.sending import NO_SUBSCRIBER, QUEUE_FULL, UNSENT, Sender

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from message_passing.logging.backlog import Backlog, Policy
    from message_passing.logging.encoders import Encoders
    from message_passing.logging.entry import Entry
    from message_passing.logging.flushing import Flush
    from message_passing.logging.intake import Load
    from message_passing.logging.losses import Losses
    from message_passing.logging.taken import Taken
    from message_passing.zeromq.settings import SocketSettings

_BATCH = 500

_LONGS = 8
"""Records dealt with at a time while there are long ones, since their texts take memory too."""

_PIPE = 256
"""Records in ZeroMQ's own queue at most: those can be neither chosen from nor counted any more. A flood of records
goes as fast with 256 as with 5000, and half as fast with 64."""

_TICK, _SLOW_TICK = 0.002, 0.05
"""Seconds between two tries to send what is left at the end, while it goes on and while nothing moves: an XPUB never
says when there is room."""

_RETRY = 1.0
"""Seconds until a socket that could not be opened is tried again."""


UNDELIVERED = 5.0
"""Seconds in which nothing of what waits has left, after which it is said why."""

LEFT = 0.1
"""Seconds in which the system has had nothing to send, after which what ZeroMQ was given has left: as long as its
thread may have to wait for its turn."""


class Delivery:
    """Encoder, backlog and socket. After `finish` it may be used again, and opens another socket.

    Attributes:
        sent: records handed to ZeroMQ.
        wake: called, from another thread, when `deliver` should be called though there is no record.
    """

    def __init__(
        self,
        settings: SocketSettings,
        policy: Policy,
        encoders: Encoders,
        losses: Losses,
        load: Load,
        *,
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
            most: bytes that may wait: half of them here, a quarter in ZeroMQ's queue, and another quarter for
                records that no subscriber has asked for; 0 for no bound.
            numbered: whether records are given sequence numbers.
            forked: whether this is a child that has inherited the handler.
        """
        self.sent = 0
        self._forked = forked
        self.wake: Callable[[], object] = lambda: None
        self._settings = settings
        self._encode_notice = encoders.notice
        self._losses = losses
        self._half, self._quarter = share(most, 2), share(most, 4)
        self._backlog: Backlog = make_backlog(policy, settings.hwm, self._half)
        # no subscriber asked for these
        self._unclaimed: Backlog = make_backlog(policy, settings.hwm, self._quarter)
        self._subscribed = 0
        self._possibly_lost: Counter[str] = Counter()
        self._messages = min(settings.hwm or _PIPE, _PIPE)
        self._pipe = Pipe(self._messages, self._quarter)
        self._sender: Sender | None = None
        self._open_after = 0.0
        self._said = ""
        self._quiet = False
        self._notices = Notices(monotonic)
        self._load = load
        self._intake = Intake(encoders.record, losses, load, numbered=numbered, say=self._notices.say)
        self._leaving: list[tuple[Sender, float]] = []  # sockets to be closed, and until when they may send
        self._closing = False
        self._moved_at, self._moved = (
            monotonic(),
            0,
        )  # when, and how many had been sent when that was last found
        self._obstacle = self._said_obstacle = (
            ""  # why nothing leaves, as last seen, since when, and as last said
        )
        self._obstacle_since = self._look_after = 0.0
        self._waited = False  # whether anything did then
        self._late: list[str] = []  # what a socket had to say when it was closed
        self._pause = threading.Lock()
        self._pause.acquire()

    def notices(self, *, last: bool = False) -> list[str]:
        """What is to be said to a person, once: why nothing is delivered, who refuses us, whom we refused.

        Args:
            last: nobody will ask again.
        """
        late, self._late = self._late, []
        found = late + self._notices.take(all_counts=last)
        for sender in (self._sender, *(leaving for leaving, _ in self._leaving)):
            found += (
                [f"log handler: {text}" for text in sender.notices.take(all_counts=last)] if sender else []
            )
        return found

    def look_whether_stuck(self, *, last: bool = False) -> None:
        """Say why nothing leaves, once, if nothing has for a while though records wait. Whose turn it is may call it.

        A reason must have stood for that while, unless there is none that stands: a peer may be about to come.

        Args:
            last: what waits is to be lost now.
        """
        now, waiting, sender = monotonic(), self.waiting, self._sender
        if self.sent != self._moved:
            self._said_obstacle = ""
        if self.sent != self._moved or not self._waited or not sender:
            self._moved_at, self._moved, self._obstacle = now, self.sent, ""
        self._waited = waiting > 0
        if not waiting or not sender or (now < self._look_after and not last):
            return
        self._look_after = now + UNDELIVERED / 20
        try:
            obstacle = sender.outgoing.obstacle()
        except Exception:  # noqa: BLE001 - as in `_offer`
            return
        if obstacle != self._obstacle:
            self._obstacle, self._obstacle_since = obstacle, now
        unsteady = not self._said_obstacle and now - self._moved_at >= 2 * UNDELIVERED
        due = last or unsteady or now - self._obstacle_since >= UNDELIVERED
        if due and obstacle and obstacle != self._said_obstacle:
            self._said_obstacle = obstacle
            more = "" if last else f" ({waiting} wait; nothing was sent for {now - self._moved_at:.0f} s)"
            self._notices.say(obstacle, f"log records are not delivered: {obstacle}{more}")

    @property
    def waiting(self) -> int:
        """Encoded records that wait for a receiver."""
        return len(self._backlog) + len(self._unclaimed) + len(self._intake.items)

    @property
    def bytes_waiting(self) -> int:
        """Bytes of those that are kept."""
        return self._backlog.size + self._unclaimed.size

    def possibly_lost(self) -> dict[str, int]:
        """Records besides those that are counted that may be lost, at most, by reason: see `Sender.possible`."""
        found = self._possibly_lost.copy()
        for sender in (self._sender, *(leaving for leaving, _ in list(self._leaving))):
            if sender:
                found.update(sender.possible)
        return dict(found)

    def deliver(self, queue: deque[Entry | Taken], most: int, *, quiet: bool = False) -> bool:
        """Take up to `most` entries off the queue, encode them, and send what can be sent.

        Args:
            queue: what callers have appended.
            most: how many entries.
            quiet: only send, neither hear nor open or close anything: for who may be interrupted by a signal handler
                that raises, while somebody else does the rest soon. pyzmq loses what it has received then.

        Returns:
            Whether anything moved.
        """
        self._quiet = quiet
        if not quiet and self._sender:
            with contextlib.suppress(Exception):  # as in `_offer`, which finds out
                self._sender.tend()
        moved, left = False, min(most, len(queue))
        while True:
            step = _LONGS if self._load.waiting else _BATCH
            moved = self._deliver_some(queue, min(left, step)) or moved
            left -= step
            if left <= 0:
                return moved

    def _deliver_some(self, queue: deque[Entry | Taken], most: int) -> bool:
        self._intake.take(queue, most)
        moved, before = bool(self._intake.items), self.sent
        others = len(self._backlog) or len(self._unclaimed) or self._losses.untold
        if self._is_open():
            if self._intake.texts and not others:
                self._offer_new()
            else:
                self._send_backlog()
        if self._intake.items:
            stuck = not others or len(self._backlog) > 0
            self._keep()
            if not stuck:
                self._send_backlog()
        return moved or self.sent > before

    def _offer_new(self) -> None:
        before = self.sent
        try:
            self._offer(self._intake.texts)
        finally:  # without a call, in which a signal handler might raise
            done = self.sent - before
            del self._intake.items[:done], self._intake.texts[:done]

    def _keep(self) -> None:
        """Put what was not sent into the backlog."""
        intake, backlog = self._intake, self._backlog
        added = backlog.added
        try:
            backlog.extend(
                [(*level_of(what), text) for (what, _), text in zip(intake.items, intake.texts, strict=True)]
            )
        finally:  # without a call, in which a signal handler might raise
            done = backlog.added - added
            del intake.items[:done], intake.texts[:done]
        while intake.items:  # there is no room for them all
            (what, _), text = intake.items[0], intake.texts[0]
            added = backlog.added
            try:
                gone = backlog.add((*level_of(what), text))
            finally:
                if backlog.added > added:
                    del intake.items[0], intake.texts[0]
            if gone:
                self._losses.add(QUEUE_FULL, gone[1])

    def _is_open(self) -> bool:
        if self._quiet:
            return self._sender is not None and self._sender.intact
        if self._sender and not self._sender.intact:
            self.abandon()
            self._say("somebody has closed the descriptors of the socket; another one is opened")
        if self._leaving or self._closing:  # the one before may have the address still
            return False
        if self._sender is None and monotonic() >= self._open_after:
            sender = Sender(replace(self._settings, hwm=self._messages), clock=monotonic, watched=False)
            sender.outgoing.changed = self.wake
            try:
                sender.open()
            except (OpenError, OSError, RuntimeError, zmq.ZMQError) as error:
                self._open_after = monotonic() + _RETRY
                hint = "a forked process cannot bind what its parent has: have receivers bind; "
                self._say(
                    f"{error} ({hint if self._forked and self._settings.bind else ''}tried again every second)"
                )
            else:
                self._pipe = Pipe(self._messages, self._quarter)
                self._subscribed = 0
                self._sender, self._said = sender, ""
        return self._sender is not None

    def _say(self, text: str) -> None:
        """Say why there is no socket: once, and again when it is for another reason."""
        if text != self._said:
            self._said = text
            self._notices.say(text, f"log records are not delivered: {text}")

    def _offer(self, records: list[bytes]) -> int:
        if not self._sender:
            return 0
        # Its counter is read without a call, in which a signal handler might raise: what was sent must be known.
        sender, counter = self._sender, self._sender.outgoing
        before = counter.sent
        try:
            room = self._pipe.room_for(records, sender.descriptors)
            sender.offer(records if room == len(records) else records[:room], quiet=self._quiet)
        except Exception:  # noqa: BLE001 - somebody has closed the socket, or ended its context: another one is opened
            if not self._quiet:
                self._give_up()
        finally:
            self.sent += counter.sent - before
            self._pipe.sent(records, counter.sent - before)
        return counter.sent - before

    def _give_up(self) -> None:
        sender, self._sender = self._sender, None
        self._open_after = monotonic() + _RETRY
        if sender:
            self._close(sender, 0)

    def _close(self, sender: Sender, milliseconds: int) -> None:
        with contextlib.suppress(Exception):
            sender.close_socket(milliseconds)
        self._possibly_lost.update(sender.possible)

    def _send_backlog(self) -> None:
        self._claim()
        while len(self._backlog) and self._is_listened_to():
            if self._losses.untold and not self._tell():
                return
            records, before = self._backlog.first(_BATCH), self.sent
            if self._sender and (count := self._sender.unclaimed(records)):
                # They must not stand in the way of others that somebody has subscribed to.
                self._move(self._backlog, self._unclaimed, count, NO_SUBSCRIBER)
                continue
            try:
                self._offer(records)
            finally:  # without a call, in which a signal handler might raise
                if self.sent > before:
                    self._backlog.done = self._backlog.numbers[self.sent - before - 1] + 1
            if self.sent - before < len(records):
                return

    def _is_listened_to(self) -> bool:
        """Whether it is worth while to encode or collect anything to be offered."""
        try:
            return self._sender is not None and self._sender.ready(quiet=self._quiet)
        except Exception:  # noqa: BLE001 - as in `_offer`
            if not self._quiet:
                self._give_up()
            return False

    def _claim(self) -> None:
        """Take back what nobody had asked for, when somebody has subscribed to something since."""
        if not self._sender or self._quiet:
            return
        if len(self._unclaimed) and not len(self._backlog):  # otherwise it hears when it is offered something
            with contextlib.suppress(Exception):  # as in `_offer`, which finds out
                self._sender.service()
        subscribed = self._sender.subscribed
        if subscribed == self._subscribed:
            return
        if len(self._unclaimed):  # these are older: the others join them, and they change places
            self._unclaimed.most = self._half
            self._move(self._backlog, self._unclaimed, len(self._backlog), QUEUE_FULL)
            self._backlog, self._unclaimed = self._unclaimed, self._backlog
            self._unclaimed.most = self._quarter
        self._subscribed = subscribed

    def _move(self, source: Backlog, target: Backlog, count: int, reason: str) -> None:
        """Move the oldest records from one queue to the end of another; what has no room there is lost."""
        items = source.items(count)
        for number, item in zip(source.numbers, items, strict=True):
            while source.done <= number:
                added, gone = target.added, None
                try:
                    gone = target.add(item)
                finally:  # without a call, in which a signal handler might raise
                    if target.added > added:
                        source.done = number + 1
                if gone:
                    self._losses.add(reason, gone[1])

    def _tell(self) -> bool:
        """Send the notice of what was dropped, before the record that now gets through."""
        if not self._sender:
            return False
        notice, before = self._encode_notice((self._losses.notice(), None)), self.sent
        try:
            return bool(self._offer([notice]))
        finally:
            if self.sent > before:
                self.sent = before  # a notice is no record of the application's
                self._losses.told()

    def finish(self, queue: deque[Entry | Taken], deadline: float) -> None:
        """Send what is left until `deadline`, by `clock.monotonic`, and count the rest. Then call `release`."""
        before = self.sent
        self.deliver(queue, len(queue))
        while (self.waiting or queue) and (left := deadline - monotonic()) > 0:
            self._wait(min(left, _TICK if self.sent > before else _SLOW_TICK))
            before = self.sent
            self.deliver(queue, len(queue))
        self.look_whether_stuck(last=True)
        for waiting in (self._backlog, self._unclaimed):
            for _, level, _ in waiting.drain():
                self._losses.add(UNSENT, level)
        if self._sender:
            self._leaving.append((self._sender, deadline))
            self._sender = None

    def release(self) -> None:
        """Close the socket of which `finish` was the last use, in any thread.

        This waits until ZeroMQ has sent its part, or for `finish`'s deadline; and for as long as ZeroMQ's thread
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

    def has_left(self, flush: Flush) -> bool:
        """Whether what had been logged before a flush has left; after a `deliver` of all that. In one's turn."""
        if flush.given is None:
            if self.waiting:
                return False
            flush.sender = sender = self._sender
            flush.given = sender.outgoing.progress.given(sender.sent) if sender else 0
        sender = self._sender
        if sender is not flush.sender:
            return False
        if sender is None or self._settings.in_process:
            return not self.possibly_lost()
        now, connections = monotonic(), sender.descriptors
        if not connections or any(map(unsent, connections)):
            flush.quiet_since = None
            return False
        if sender.outgoing.progress.left >= flush.given:
            return True
        if flush.quiet_since is None:
            flush.quiet_since = now
        return now - flush.quiet_since >= LEFT

    def _wait(self, seconds: float) -> None:
        try:
            if self._sender:
                self._sender.poll(max(1, int(seconds * 1000)))
                return
        except Exception:  # noqa: BLE001 - as in `_offer`
            self._give_up()
        self._pause.acquire(timeout=seconds)  # not time.sleep, which tests replace

    def abandon(self) -> None:
        """Leave the socket alone: in a forked child it is the parent's."""
        if self._sender:
            self._sender.abandon()
            self._sender = None
