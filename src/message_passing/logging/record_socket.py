"""The interface of what a handler sends its records with: a socket of PUB or PUSH, or an acknowledged hop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.logging.losses import Losses
    from message_passing.zeromq.sending import Sender
    from message_passing.zeromq.throttled_warnings import ThrottledWarnings


class Departure:
    """What is known of the leaving of what was logged before some moment.

    Attributes:
        given: what the socket had been given when it had all of that, as it counts; None until then.
        socket: which one it was given.
        quiet_since: when the system was first seen without anything to send, by `clock.monotonic`.
    """

    def __init__(self) -> None:
        """Nothing yet."""
        self.given: int | None = None
        self.socket: object = None
        self.quiet_since: float | None = None


class RecordSocket(Protocol):
    """One socket after another. For one thread at a time, but for `release`.

    Attributes:
        sender: the open socket of PUB or PUSH, if it is one.
        sent: records handed over.
        wake: called, from another thread, when there is something to do though there is no record.
        quiet: only send, do not receive, open or close anything: for a caller of a log method.
        waits: it cannot be used by such a caller at all: that might wait for another thread.
        keeps: what it was given outlives this process.
    """

    sender: Sender | None
    sent: int
    wake: Callable[[], object]
    quiet: bool
    waits: bool
    keeps: bool

    def notices(self, *, last: bool = False) -> list[str]:
        """The pending reports, each once; the last time also those that would come later."""

    def possibly_lost(self) -> dict[str, int]:
        """Records besides those that are counted that may be lost, at most, by reason."""

    def counts(self) -> dict[str, int]:
        """Its part of `ZeroMQHandler.stats`: `sent`, `queued`, and others that there may be."""

    def outstanding(self) -> int:
        """Records handed over of which it is not known yet that they have arrived, where that comes to be known."""

    def tend(self) -> None:
        """Look after peers and the like, if it is time."""

    @property
    def opened(self) -> bool:
        """Whether there is a socket now."""

    def is_open(self) -> bool:
        """Whether there is a socket: one is opened, if that can be done."""

    def is_listened_to(self) -> bool:
        """Whether it is worth while to encode or collect anything to be offered."""

    def offer(self, records: list[bytes], *, notice: bool = False) -> int:
        """Send as many of these as go; how many, from the first on, went.

        Args:
            records: encoded ones.
            notice: it is the handler's own, and no record of the application's.
        """

    def unclaimed(self, records: list[bytes]) -> int:
        """How many of these, from the first on, nobody has subscribed to, though there are subscriptions."""

    def subscriptions(self, *, hear: bool) -> int | None:
        """A number that changes with the subscriptions, if there are any: new ones are heard first if `hear` says."""

    def has_left(self, departure: Departure) -> bool:
        """Whether what had been offered by a moment has left: at the first call, the present one."""

    def obstacle(self) -> str | None:
        """Why nothing arrives, as far as is known; None where there is no socket, which is reported elsewhere."""

    def endpoints(self) -> tuple[str, ...]:
        """Where it sends to."""

    def wait(self, seconds: float) -> None:
        """Wait at most so long for room to send, or for a receiver."""

    def leave(self, deadline: float) -> None:
        """Be done with the socket, which may send until then, by `clock.monotonic`: call `release`."""

    def release(self) -> None:
        """Close the socket that was left, in any thread; wait no longer than to that deadline."""

    def abandon(self) -> None:
        """Leave the socket alone: in a forked child it is the parent's."""


class SocketMaker(Protocol):
    """What makes the socket of a handler, in this process."""

    def __call__(
        self, notices: ThrottledWarnings, losses: Losses, most: int, *, forked: bool
    ) -> RecordSocket:
        """Make it; nothing is opened yet.

        Args:
            notices: where to say why there is no socket.
            losses: where to count.
            most: bytes that it may keep; 0 for no bound.
            forked: whether this is a child that has inherited the handler.
        """
