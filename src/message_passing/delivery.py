"""The outcome of a batch, for inputs that acknowledge: see docs/outcomes.md.

A batch runs through the chain within one synchronous call, so which delivery a message belongs to need not be
recorded with it: it is that of the call in which the message is handled, until the call returns. A component that
keeps messages longer takes a `Hold`, and resumes the delivery for what it does with them later.

The delivery of a call is kept for its thread, and not in a `ContextVar`: tasks and timers that are made within the
call would inherit that, and what they do long afterwards would count towards it.

Without locks, since a signal handler may come at any place: a set's and a list's own methods are not interrupted.
"""

from __future__ import annotations

import threading
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType


class Outcome(IntEnum):
    """The outcome of a message; of several, the worst."""

    DELIVERED = 0
    """Written, acknowledged, or removed by a filter."""
    REJECTED = 1
    """It can never pass: malformed, or not encodable. Reported to the error chain."""
    LOST = 2
    """It could pass later: a queue or disk was full, a peer unreachable. Send it again."""


class Fate(Protocol):
    """The interface of a delivery for those that handle its messages; it may stand for several deliveries."""

    @property
    def comes_again(self) -> bool:
        """Whether whoever delivers does so once more with what was `LOST`: then it is not lost for good."""

    @property
    def tried(self) -> int:
        """How often its messages failed before, according to the dead letters that they come from."""

    def note(self, outcome: Outcome, messages: Sequence[Any] | None = None) -> None:
        """Record the outcome of some of its messages: of these, or of nobody knows which.

        Of what is lost it is known which messages it is only if that is so of every outcome that is noted.
        """

    def take(self, token: object) -> None:
        """Take a token; the delivery is not settled before this is returned."""

    def give(self, token: object) -> None:
        """Return the token."""


class _Ambient(threading.local):
    """The fate of the synchronous call that a thread is in."""

    fate: Fate | None = None


AMBIENT = _Ambient()


class Call:
    """A block in which a fate is the ambient one."""

    __slots__ = ("_before", "_fate", "_hold")

    def __init__(self, fate: Fate | None, hold: Hold | None = None) -> None:
        """Use this fate; the hold is released at the end of the block."""
        self._fate = self._before = fate
        self._hold = hold

    def __enter__(self) -> None:
        self._before, AMBIENT.fate = AMBIENT.fate, self._fate

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        AMBIENT.fate = self._before
        if self._hold is not None:
            if exc is not None:
                self._hold.note(Outcome.LOST)
            self._hold.release()


def outside() -> Call:
    """A block outside any delivery: for a report, or a log record of another chain."""
    return Call(None)


class Delivery:
    """One batch in flight. Pass it on within `with delivery:`; it is settled when no component holds any of it.

    Attributes:
        owner: the delivering component.
        comes_again: whether it delivers again what was `LOST`.
        tried: see `Fate`.
    """

    def __init__(
        self,
        on_settled: Callable[[Outcome], object],
        owner: Any,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        comes_again: bool = False,
        tried: int = 0,
    ) -> None:
        """Start a delivery.

        Args:
            on_settled: called once, with the worst outcome of any of it. It must not block. What it raises is
                reported by the owner.
            owner: the delivering component.
            loop: where it is called, if that runs in another thread by then; without one, or once that is closed,
                it is called in the thread that settles.
            comes_again: see the attributes.
            tried: likewise.
        """
        self.owner = owner
        self.comes_again = comes_again
        self.tried = tried
        self._settlers = [on_settled]
        self._noted: list[Outcome] = []
        self._lost: list[Sequence[Any]] | None = []  # None: nobody knows which
        self._tokens: set[object] = set()
        self._before: Fate | None = None
        self._loop = loop
        self._thread = threading.get_ident()

    def note(self, outcome: Outcome, messages: Sequence[Any] | None = None) -> None:
        """See `Fate`."""
        if outcome not in self._noted:
            self._noted.append(outcome)
        if not messages:
            self._lost = None
        elif outcome is Outcome.LOST and (lost := self._lost) is not None:
            lost.append(messages)

    def lost_of(self, messages: Sequence[Any]) -> list[int] | None:
        """Which of the batch were lost, by index; None if that is not known.

        It is known where the chain has passed the messages on unchanged: bytes that are the same objects. Of an
        object that can be changed, that would not say what else it stands for by then.

        Args:
            messages: the batch, as it was passed on.
        """
        if self._lost is None:
            return None
        lost = {id(message) for part in self._lost for message in part}
        found = [index for index, message in enumerate(messages) if id(message) in lost]
        known = {id(messages[index]) for index in found if type(messages[index]) is bytes}
        return found if known == lost else None

    def is_noted(self, outcome: Outcome) -> bool:
        """Whether any of its messages had this outcome."""
        return outcome in self._noted

    def take(self, token: object) -> None:
        """See `Fate`."""
        self._tokens.add(token)

    def give(self, token: object) -> None:
        """See `Fate`. The last one settles."""
        self._tokens.discard(token)
        if self._tokens:
            return
        try:
            on_settled = self._settlers.pop()
        except IndexError:  # another thread was first
            return
        if self._loop and threading.get_ident() != self._thread:
            try:
                self._loop.call_soon_threadsafe(self._tell, on_settled)
            except RuntimeError:  # it is closed
                self._tell(on_settled)
        else:
            self._tell(on_settled)

    def _tell(self, on_settled: Callable[[Outcome], object]) -> None:
        try:
            with outside():
                on_settled(max(self._noted, default=Outcome.DELIVERED))
        except Exception as error:  # noqa: BLE001 - whoever settles it has no part in that
            self.owner.report(error)

    def __enter__(self) -> None:
        self.take(self)
        self._before, AMBIENT.fate = AMBIENT.fate, self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        AMBIENT.fate = self._before
        if exc is not None:
            self.note(Outcome.LOST)
        self.give(self)


class Several:
    """Deliveries that share a fate, where it is not known which of them a message belongs to."""

    def __init__(self, fates: Iterable[Fate]) -> None:
        """These."""
        self._fates = list({id(one): one for one in fates}.values())

    @property
    def comes_again(self) -> bool:
        """Only if all do: which of them a message belongs to, nobody knows."""
        return all(one.comes_again for one in self._fates)

    @property
    def tried(self) -> int:
        """The least of them: which of them a message belongs to, nobody knows."""
        return min(one.tried for one in self._fates)

    def note(self, outcome: Outcome, messages: Sequence[Any] | None = None) -> None:  # noqa: ARG002 - whose?
        """For all."""
        for one in self._fates:
            one.note(outcome)

    def take(self, token: object) -> None:
        """From all."""
        for one in self._fates:
            one.take(token)

    def give(self, token: object) -> None:
        """To all."""
        for one in self._fates:
            one.give(token)


class Hold:
    """Keeps a delivery unsettled while a component keeps its messages beyond the call that brought them.

        self.waiting.append((messages, self.hold()))
        ...
        with hold.resumed(last=True):
            self.emit(messages)

    Attributes:
        fate: the delivery's; None if no outcome is wanted.
    """

    __slots__ = ("__weakref__", "_kept_in", "fate")

    def __init__(self, fate: Fate | None, kept_in: set[Hold] | None = None) -> None:
        """Hold a delivery.

        Args:
            fate: of the delivery.
            kept_in: the holder's set of holds, to which this adds itself.
        """
        self.fate = fate
        self._kept_in = kept_in
        if fate is not None:
            fate.take(self)
            if kept_in is not None:
                kept_in.add(self)

    def note(self, outcome: Outcome, messages: Sequence[Any] | None = None) -> None:
        """Record the outcome of something that is held: see `Fate`."""
        if self.fate is not None:
            self.fate.note(outcome, messages)

    def resumed(self, *, last: bool = False) -> Call:
        """`with hold.resumed():` what is done in the block counts towards that delivery.

        Args:
            last: release it at the end of the block.
        """
        return Call(self.fate, self if last else None)

    def release(self) -> None:
        """Release it: no more is kept. Idempotent. From any thread."""
        if self.fate is not None:
            if self._kept_in is not None:
                self._kept_in.discard(self)
            self.fate.give(self)


NO_HOLD = Hold(None)
"""The shared hold of messages outside any delivery."""
