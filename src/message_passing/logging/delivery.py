"""Encoding entries and handing them to the socket, or keeping them until it takes them: one thread at a time."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter, deque
from dataclasses import replace
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING

import zmq

from message_passing.errors import OpenError
from message_passing.logging.backlog import make_backlog
from message_passing.logging.taken import level_of
from message_passing.zeromq.sending import NO_SUBSCRIBER, QUEUE_FULL, UNSENT, Sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.logging.backlog import Policy
    from message_passing.logging.entry import Entry
    from message_passing.logging.losses import Losses
    from message_passing.logging.taken import Taken
    from message_passing.zeromq.notices import Notices
    from message_passing.zeromq.sockets import SocketSettings

_BATCH = 500

_PIPE = 5000
"""Records in ZeroMQ's own queue at most: those can be neither chosen from nor counted any more."""

_RETRY = 1.0
"""Seconds until a socket that could not be opened is tried again."""


def _tell(notices: Notices) -> None:
    """Say on stderr who refuses us: nothing is delivered until somebody does something about it."""
    for text in notices.take():
        with contextlib.suppress(Exception):  # stderr may be closed, or full
            sys.stderr.write(f"message-passing: log records are not delivered: {text}\n")


class Delivery:
    """Encoder, backlog and socket.

    Attributes:
        sent: records handed to ZeroMQ.
        wake: called, from another thread, when `deliver` should be called though there is no record.
    """

    def __init__(
        self,
        settings: SocketSettings,
        policy: Policy,
        encode: Callable[[Entry | Taken], bytes],
        losses: Losses,
    ) -> None:
        self.sent = 0
        self.wake: Callable[[], object] = lambda: None
        self._settings = settings
        self._encode = encode
        self._losses = losses
        self._backlog = make_backlog(policy, settings.hwm)
        self._unclaimed = make_backlog(policy, settings.hwm)  # records that no subscriber has asked for
        self._policy: Policy = policy
        self._subscribed = 0
        self._possibly_lost: Counter[str] = Counter()
        self._sender: Sender | None = None
        self._open_after = 0.0
        self._items: list[Entry | Taken] = []  # taken off the queue, and not yet sent or kept
        self._texts: list[bytes] = []  # what those were encoded to, as far as that is done

    @property
    def waiting(self) -> int:
        """Encoded records that wait for a receiver."""
        return len(self._backlog) + len(self._unclaimed) + len(self._items)

    def possibly_lost(self) -> dict[str, int]:
        """Records besides those that are counted that may be lost, at most, by reason: see `Sender.possible`."""
        found = self._possibly_lost.copy()
        if sender := self._sender:
            found.update(sender.possible)
        return dict(found)

    def deliver(self, queue: deque[Entry | Taken], most: int) -> bool:
        """Take up to `most` entries off the queue, encode them, and send what can be sent.

        Args:
            queue: what callers have appended.
            most: how many entries.

        Returns:
            Whether anything moved.
        """
        if self._sender:
            with contextlib.suppress(
                zmq.ZMQError
            ):  # somebody has closed the socket: the next offer finds out
                self._sender.tend()
        moved, left = False, min(most, len(queue))
        while True:
            moved = self._deliver_some(queue, min(left, _BATCH)) or moved
            left -= _BATCH
            if left <= 0:
                return moved

    def _deliver_some(self, queue: deque[Entry | Taken], most: int) -> bool:
        self._take(queue, most)
        moved, before = bool(self._items), self.sent
        if self._is_open():
            if (
                self._texts
                and not len(self._backlog)
                and not len(self._unclaimed)
                and not self._losses.untold
            ):
                self._offer_new()
            else:
                self._send_backlog()
        if self._items:
            self._keep()
            self._send_backlog()
        return moved or self.sent > before

    def _take(self, queue: deque[Entry | Taken], most: int) -> None:
        """Move records from the queue to `_items`, and their texts to `_texts`.

        A signal handler may raise at any point, when callers do this: nothing must be in a variable only.
        """
        count = min(len(queue), most - len(self._items))
        self._items.extend(map(deque.popleft, repeat(queue, count)))
        encode, texts = self._encode, self._texts
        while len(texts) < len(self._items):
            try:
                texts.extend(map(encode, self._items[len(texts) :]))
            except Exception:  # noqa: BLE001 - nothing that a record holds stops the others
                level = level_of(self._items[len(texts)])[1]
                del self._items[len(texts)]
                self._losses.add("could not be encoded", level)

    def _offer_new(self) -> None:
        before = self.sent
        try:
            self._offer(self._texts)
        finally:
            done = self.sent - before
            del self._items[:done], self._texts[:done]

    def _keep(self) -> None:
        """Put what was not sent into the backlog."""
        while self._items:
            item, text = self._items[0], self._texts[0]
            added = self._backlog.added
            try:
                gone = self._backlog.add((*level_of(item), text))
            finally:
                if self._backlog.added > added:
                    del self._items[0], self._texts[0]
            if gone:
                self._losses.add(QUEUE_FULL, gone[1])

    def _is_open(self) -> bool:
        if self._sender is None and time.monotonic() >= self._open_after:
            pipe = min(self._settings.hwm or _PIPE, _PIPE)
            sender = Sender(replace(self._settings, hwm=pipe), watched=False)
            sender.notices.wake = partial(_tell, sender.notices)
            sender.outgoing.changed = self.wake
            try:
                sender.open()
            except (OpenError, OSError, zmq.ZMQError):
                self._open_after = time.monotonic() + _RETRY
            else:
                self._sender = sender
        return self._sender is not None

    def _offer(self, records: list[bytes]) -> int:
        if not self._sender:
            return 0
        sender, before = self._sender, self._sender.sent
        try:
            sender.offer(records)
        except zmq.ZMQError:  # somebody has closed the socket, or ended its context: another one is opened
            self._give_up()
        finally:
            self.sent += sender.sent - before
        return sender.sent - before

    def _give_up(self) -> None:
        sender, self._sender = self._sender, None
        self._open_after = time.monotonic() + _RETRY
        if sender:
            self._close(sender, 0)

    def _close(self, sender: Sender, milliseconds: int) -> None:
        with contextlib.suppress(zmq.ZMQError):
            sender.close_socket(milliseconds)
        self._possibly_lost.update(sender.possible)

    def _send_backlog(self) -> None:
        self._claim()
        while len(self._backlog):
            if self._losses.untold and not self._tell():
                return
            records, before = self._backlog.first(_BATCH), self.sent
            if self._sender and (count := self._sender.unclaimed(records)):
                self._put_aside(count)
                continue
            try:
                self._offer(records)
            finally:
                self._backlog.remove(self.sent - before)
            if self.sent - before < len(records):
                return

    def _claim(self) -> None:
        """Take back what was put aside, when somebody has subscribed to something since."""
        if not self._sender:
            return
        if len(self._unclaimed) and not len(self._backlog):  # otherwise it hears when it is offered something
            with contextlib.suppress(
                zmq.ZMQError
            ):  # somebody has closed the socket: the next offer finds out
                self._sender.service()
        if self._sender.subscribed == self._subscribed:
            return
        self._subscribed = self._sender.subscribed
        if len(self._unclaimed):
            merged = make_backlog(self._policy, self._settings.hwm)
            for queue in (self._unclaimed, self._backlog):
                for item in queue.items(len(queue)):
                    if gone := merged.add(item):
                        self._losses.add(QUEUE_FULL, gone[1])
            self._backlog = merged
            self._unclaimed = make_backlog(self._policy, self._settings.hwm)

    def _put_aside(self, count: int) -> None:
        """Nobody has subscribed to the oldest records, and they must not stand in the way of the others."""
        for item in self._backlog.items(count):
            if gone := self._unclaimed.add(item):
                self._losses.add(NO_SUBSCRIBER, gone[1])
        self._backlog.remove(count)

    def _tell(self) -> bool:
        """Send the notice of what was dropped, before the record that now gets through."""
        if not self._sender or not self._offer([self._encode(self._losses.notice())]):
            return False
        self.sent -= 1  # a notice is no record of the application's
        self._losses.told()
        return True

    def finish(self, queue: deque[Entry | Taken], deadline: float) -> Callable[[], None]:
        """Send what is left until `deadline`, a time.monotonic(); count the rest.

        Returns:
            What closes the socket. It waits until ZeroMQ has sent its part, or `deadline`; and for as long as
            ZeroMQ's thread looks up a name, for which there is no bound.
        """
        self.deliver(queue, len(queue))
        while (self.waiting or queue) and (left := deadline - time.monotonic()) > 0:
            self._wait(min(left, 0.05))
            self.deliver(queue, len(queue))
        for waiting in (self._backlog, self._unclaimed):
            for _, level, _ in waiting.drain():
                self._losses.add(UNSENT, level)
        sender, self._sender = self._sender, None

        def release() -> None:
            if sender:
                self._close(sender, max(0, int((deadline - time.monotonic()) * 1000)))

        return release

    def _wait(self, seconds: float) -> None:
        try:
            if self._sender:
                self._sender.poll(max(1, int(seconds * 1000)))
                return
        except zmq.ZMQError:
            self._give_up()
        time.sleep(seconds)

    def abandon(self) -> None:
        """In a forked child: the socket is the parent's."""
        if self._sender:
            self._sender.abandon()
            self._sender = None
