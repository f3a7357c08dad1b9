"""Report of why nothing is sent although records wait: written once, when nothing has been sent for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.clock import monotonic

if TYPE_CHECKING:
    from message_passing.logging.record_socket import RecordSocket
    from message_passing.zeromq.throttled_warnings import ThrottledWarnings

UNDELIVERED = 3.0
"""Seconds without any of the waiting records being sent, after which the reason is reported."""

AGAIN = (60.0, 600.0)
"""Seconds after which the same report is repeated: the second time, and each time after that."""


class StallReport:
    """The obstacle as it was last seen, since when, and as it was last reported."""

    def __init__(self, notices: ThrottledWarnings) -> None:
        """Nothing does.

        Args:
            notices: where to say it.
        """
        self._notices = notices
        self._moved_at, self._moved = (
            monotonic(),
            0,
        )  # when, and how many had been sent when that was last found
        self._obstacle = self._said = ""
        self._times, self._said_at = 0, 0.0
        self._obstacle_since = self._look_after = 0.0
        self._waited = False  # whether anything did when this last looked

    def look(self, socket: RecordSocket, sent: int, waiting: int, *, last: bool = False) -> None:
        """Say why nothing leaves, once, if nothing has for a while though records wait. Whose turn it is may call it.

        A reason must have stood for that while, unless there is none that stands: a peer may be about to come.

        Args:
            socket: what they are sent with; where it is not open, that is reported elsewhere.
            sent: records that have left so far.
            waiting: records that wait.
            last: what waits is to be lost now.
        """
        now, opened = monotonic(), socket.opened
        if sent != self._moved:
            self._solved(socket)
        if sent != self._moved or not self._waited or not opened:
            self._moved_at, self._moved, self._obstacle = now, sent, ""
        self._waited = waiting > 0
        if not waiting or not opened or (now < self._look_after and not last):
            return
        self._look_after = now + UNDELIVERED / 20
        if (obstacle := socket.obstacle()) is None:
            return
        if obstacle != self._obstacle:
            self._obstacle, self._obstacle_since = obstacle, now
        unsteady = not self._said and now - self._moved_at >= 2 * UNDELIVERED
        due = last or unsteady or now - self._obstacle_since >= UNDELIVERED
        if due and obstacle and (obstacle != self._said or self._is_again(now)):
            self._times = self._times + 1 if obstacle == self._said else 1
            self._said, self._said_at = obstacle, now
            more = "" if last else f" ({waiting} wait; nothing sent for {now - self._moved_at:.0f} s)"
            self._notices.say(obstacle, f"log records are not delivered: {obstacle}{more}")

    def _is_again(self, now: float) -> bool:
        """Whether it is time to repeat what stands still."""
        return now - self._said_at >= AGAIN[min(self._times, len(AGAIN)) - 1]

    def _solved(self, socket: RecordSocket) -> None:
        """Report that records are sent again, if a stall was reported."""
        if self._said and socket.opened:
            where = ", ".join(socket.endpoints())
            self._notices.say("delivered", f"log records are delivered again, to {where}")
        self._said = ""
