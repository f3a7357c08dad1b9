"""The acknowledged hop of a handler: records are kept until a receiver's chain has settled them."""

from __future__ import annotations

import threading
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import zmq

from message_passing.clock import monotonic
from message_passing.delivery import Hold
from message_passing.errors import OpenError
from message_passing.zeromq.hop.acknowledged_sending import AcknowledgedSending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from message_passing.delivery import Outcome
    from message_passing.logging.losses import Losses
    from message_passing.logging.record_socket import Departure
    from message_passing.zeromq.settings import SocketSettings
    from message_passing.zeromq.throttled_warnings import ThrottledWarnings

NOT_ACKNOWLEDGED = "not acknowledged"
"""The reason of what had been sent when the handler was closed, and may have arrived or not."""

_MOST = 5000
"""Records that may wait for an acknowledgement at most: `policy` chooses among the others only."""

_RETRY = 1.0
"""Seconds until a socket that could not be opened is tried again."""

_LONGEST = (1 << 63) - 1
"""No bound in bytes."""


class _Written:
    """The fate of records that were handed over together; see `Fate`."""

    comes_again = False

    def __init__(self, number: int, unsettled: set[int]) -> None:
        self._number = number
        self._unsettled = unsettled
        unsettled.add(number)

    def note(self, outcome: Outcome, messages: Sequence[Any] | None = None) -> None:
        """What is lost is counted where that happens."""

    def take(self, _token: object) -> None:
        """There is one holder."""

    def give(self, _token: object) -> None:
        """They are settled."""
        self._unsettled.discard(self._number)


class AcknowledgedSocket:
    """One DEALER after another: see `RecordSocket`. Log methods' callers never come near it, which has locks."""

    doubtful = NOT_ACKNOWLEDGED  # what is not settled at the end
    waits = True
    keeps = False
    sender = None

    def __init__(
        self,
        settings: SocketSettings,
        ack_timeout: float,
        notices: ThrottledWarnings,
        losses: Losses,
        most: int,
        *,
        forked: bool,
    ) -> None:
        """Prepare it: nothing is opened yet.

        Args:
            settings: what to open.
            ack_timeout: seconds of silence after which a receiver is given up.
            notices: where to say why there is no socket.
            losses: where to count.
            most: bytes that may wait for an acknowledgement; 0 for no bound but that of the hop.
            forked: whether this is a child that has inherited the handler.
        """
        self.sent = 0
        self.wake: Callable[[], object] = lambda: None
        self.quiet = False
        self._settings = settings
        self._ack_timeout = ack_timeout
        self._notices = notices
        self._losses = losses
        self._messages = min(settings.hwm or _MOST, _MOST)
        self._most = most or _LONGEST
        self._forked = forked
        self._sending: AcknowledgedSending | None = None
        self._leaving: list[
            tuple[AcknowledgedSending, float]
        ] = []  # to be closed, and until when they may send
        self._ending: list[AcknowledgedSending] = []  # that are being closed
        self._closing = False
        self._open_after = 0.0
        self._said = ""
        self._writes = 0
        self._unsettled: set[int] = set()  # which of those
        self._acknowledged = 0  # by what is closed
        self._unacknowledged = 0  # likewise
        self._crowded = False
        self._late: list[str] = []  # what a socket had to say when it was closed
        self._pause = threading.Lock()
        self._pause.acquire()

    def _present(self) -> list[AcknowledgedSending]:
        """All that may still send."""
        return [*([self._sending] if self._sending else []), *self._gone()]

    def _gone(self) -> list[AcknowledgedSending]:
        """Those of them that get nothing more."""
        return [*(sending for sending, _ in list(self._leaving)), *self._ending]

    # What there is to tell

    def notices(self, *, last: bool = False) -> list[str]:
        """The pending reports, each once: who refuses us, whom we refused."""
        found, self._late = self._late, []
        for sending in self._present():
            found += self._notices_of(sending, last=last)
        return found

    def _notices_of(self, sending: AcknowledgedSending, *, last: bool) -> list[str]:
        texts = [text for one in sending.receivers for text in one.notices.take(all_counts=last)]
        return [f"log handler: {text}" for text in texts]

    def possibly_lost(self) -> dict[str, int]:
        """What was handed over, and not settled when the handler was closed."""
        lost = self._unacknowledged + sum(sending.held for sending in self._gone())
        return {self.doubtful: lost} if lost else {}

    def counts(self) -> dict[str, int]:
        """What was acknowledged, and what waits for that."""
        acknowledged = self._acknowledged + sum(sending.acknowledged for sending in self._present())
        return {"sent": acknowledged, "queued": self._sending.held if self._sending else 0}

    def outstanding(self) -> int:
        """What waits to be acknowledged."""
        return self._sending.unfinished if self._sending else 0

    def obstacle(self) -> str | None:
        """Why nothing is acknowledged."""
        sending = self._sending
        if sending is None:
            return None
        where = ", ".join(self.endpoints())
        if sending.info()["peers"]:
            return f"{where}: the receiver is there, but has not acknowledged them: its output may be slow or stuck"
        known = [one.health for one in sending.receivers if one.health]
        if any(health.connected_for() for health in known):
            return (
                f"{where}: the peer is connected, but does not answer: it must be a ZeroMQ input with socket_type "
                "ROUTER"
            )
        return "; ".join(health.obstacle() for health in known)

    def endpoints(self) -> tuple[str, ...]:
        """Where it sends to."""
        sending = self._sending
        return tuple(one for each in sending.receivers for one in each.endpoints()) if sending else ()

    # Opening

    @property
    def opened(self) -> bool:
        """Whether there is a socket now."""
        return self._sending is not None

    def tend(self) -> None:
        """Do the work of its thread where it could have none."""
        if self._sending and not self._sending.has_thread and not self.quiet:
            self._sending.serve()

    def is_open(self) -> bool:
        """Whether there is a socket: one is opened, if that can be done."""
        if self.quiet or self._leaving or self._closing:
            return False
        if self._sending and self._sending.broken:
            self._say("the socket was closed from outside; a new one is opened")
            self.leave(monotonic())
            self.release()
        if self._sending is None and monotonic() >= self._open_after:
            try:
                sending = self._open()
            except (OpenError, OSError, zmq.ZMQError) as error:
                self._open_after = monotonic() + _RETRY
                hint = "a forked process cannot bind its parent's address: let receivers bind instead; "
                self._say(
                    f"{error} ({hint if self._forked and self._settings.bind else ''}retrying every second)"
                )
            else:
                sending.on_room = self._changed
                self._sending, self._said = sending, ""
        return self._sending is not None

    def _open(self) -> AcknowledgedSending:
        """Open what sends.

        Raises:
            OpenError, OSError, zmq.ZMQError: it cannot be done now.
        """
        sending = AcknowledgedSending(self._settings, most=0, ack_timeout=self._ack_timeout)
        sending.open()
        return sending

    def _say(self, text: str) -> None:
        """Say why there is no socket: once, and again when it is for another reason."""
        if text != self._said:
            self._said = text
            self._notices.say(text, f"log records are not delivered: {text}")

    def _changed(self) -> None:
        """There may be room again. From another thread."""
        if self._crowded:
            self._crowded = False
            self.wake()

    # Sending

    def is_listened_to(self) -> bool:
        """Whether there is room."""
        return not self.quiet and self._sending is not None and self._sending.has_room

    def unclaimed(self, records: list[bytes]) -> int:  # noqa: ARG002 - see `RecordSocket`
        """None: nobody subscribes."""
        return 0

    def subscriptions(self, *, hear: bool) -> None:
        """There are none."""

    def offer(self, records: list[bytes], *, notice: bool = False) -> int:
        """Hand over as many of these as there is room for; how many, from the first on."""
        sending = self._sending
        if sending is None or self.quiet:
            return 0
        held = sending.held
        room = bisect_right([*accumulate(map(len, records))], self._most - sending.unsettled_bytes)
        room = min(max(room, not held), self._messages - held, len(records))  # one alone goes, however long
        if room < len(records):
            self._crowded = True
        if room <= 0 or not sending.has_room:
            return 0
        hold = Hold(_Written(self._writes, self._unsettled))
        self._writes += 1
        if notice:
            sending.write_uncounted(records[0], hold)
        else:
            sending.write(records if room == len(records) else records[:room], hold)
        self.sent += room
        return room

    def has_left(self, departure: Departure) -> bool:
        """Whether what had been handed over is settled: acknowledged."""
        if departure.given is None:
            departure.socket, departure.given = self._sending, self._writes
        if departure.socket is not self._sending:
            return False
        return min(self._unsettled.copy(), default=self._writes) >= departure.given

    def wait(self, seconds: float) -> None:
        """Wait so long; do its work where it could have no thread."""
        if self._sending and not self._sending.has_thread:
            self._sending.wait(monotonic() + seconds)
            return
        self._pause.acquire(timeout=seconds)  # not time.sleep, which tests replace

    # The end

    def leave(self, deadline: float) -> None:
        """Be done with the socket, which may send until then, by `clock.monotonic`: call `release`."""
        if self._sending:
            self._leaving.append((self._sending, deadline))
            self._sending = None

    def release(self) -> None:
        """Close the socket that was left, in any thread, once all is acknowledged, or at that deadline."""
        while self._leaving:
            self._closing = True
            try:
                sending, deadline = self._leaving.pop()
                self._ending.append(sending)
                sending.wait(deadline)
                self._retire(sending, deadline)
            except IndexError:  # another thread does it
                return
            finally:
                self._closing = False
        self._unsettled.clear()

    def _retire(self, sending: AcknowledgedSending, deadline: float = 0.0) -> None:  # noqa: ARG002 - for subclasses
        """Close what gets nothing more, and keep its counts."""
        try:
            sending.close()
        finally:
            if sending in self._ending:
                self._ending.remove(sending)
            self._acknowledged += sending.acknowledged
            self._unacknowledged += sending.held
            self._late += self._notices_of(sending, last=True)

    def abandon(self) -> None:
        """Leave the socket alone: in a forked child it is the parent's."""
        for sending in self._present():
            sending.abandon()
        self._sending, self._leaving, self._ending = None, [], []
