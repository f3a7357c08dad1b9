"""The base of every output and filter, and the stand-ins for an output.

Which methods a class defines is described at the top of `flow`.
"""

from __future__ import annotations

import asyncio
import inspect
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from message_passing.component import Component
from message_passing.delivery import AMBIENT, Outcome
from message_passing.encoded import all_as_bytes
from message_passing.errors import OutputClosedError
from message_passing.lines import beyond, message_count
from message_passing.options import option
from message_passing.pacing import Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from message_passing.metrics import Snapshot
    from message_passing.occupancy import Occupancy


def says_each(cls: type, root: type, each: str, many: str) -> bool:
    """Whether a class handles single messages rather than batches: the most derived definition wins.

    Args:
        cls: the class.
        root: the base class that defines both, the batch method by calling the message method.
        each: the method for one message.
        many: the method for a batch; a class that defines both is called with batches.
    """
    definer = next(base for base in cls.__mro__ if each in base.__dict__ or many in base.__dict__)
    return definer is root or many not in definer.__dict__


_LAZY = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop running in this thread, if any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def wait_for_change(event: asyncio.Event, seconds: float | None) -> bool:
    """Clear an event and wait until it is set again, for at most so many seconds. Whether it was."""
    event.clear()
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


BUFFER_FULL = "buffer full"
"""Why messages are dropped that a component had no room to keep."""


class Encodes(Protocol):
    """An encoder, for an output that encodes with it."""

    def encode_for(self, output: Output, messages: list[Any]) -> list[Any]:
        """Encode a batch."""


class Output(Component):
    """Takes messages. Define `write(message)`, or `write_many(messages)` to take them a batch at a time."""

    kind = "output"

    takes_blocks: ClassVar[bool] = False
    """Whether `write_many` also accepts a batch as a `lines.LineBlock`, which saves joining it: see `wiring`."""

    takes_objects = (
        False  # without an annotation, which would make an option of it; an instance may have its own
    )
    """Whether it needs fields of its messages, and so the objects that the encoder right before it received.
    `write_many` gets these, does not change them, and has to encode all that it does not fail or drop (`encoded`)
    before it returns."""

    # Without annotations, which would make options of them. `Server` sets these of what it runs.
    ending = False
    """Whether every input has ended: `drain` no longer waits for a peer that may never connect."""
    standing = False
    """Whether its queue makes no progress, so that it drops messages instead of making others wait."""
    waited_for = False
    """Whether `drain` is awaited after each batch: then `write_many` may keep what does not fit until then."""
    sources_wait = True
    """Whether no input before it loses anything by waiting: see `Input.can_wait`."""

    hooks: ClassVar[str] = "write(message) or write_many(messages)"
    """The methods that a class of this kind may define, for the error message if it defines others."""

    _writes_each: ClassVar[bool] = True  # whether the class defines `write` rather than `write_many`

    def __init_subclass__(cls, *, own_doors: bool = False, **kwargs: Any) -> None:
        """Find out whether the class handles messages or batches (see the module docstring).

        Args:
            own_doors: it may override `consume` and `consume_many`, calling those of its base.
            kwargs: for other bases.

        Raises:
            TypeError: it overrides one of these, so its messages would not be counted; or one of its methods is
                async or yields.
        """
        super().__init_subclass__(**kwargs)
        for door in () if own_doors else ("consume", "consume_many"):
            if not any(
                door in base.__dict__
                for base in cls.__mro__
                if base is cls or not issubclass(base, Component)
            ):
                continue
            text = f"{cls.__name__} defines {door}, a method of the base class, which counts messages there"
            raise TypeError(f"{text}: define {cls.hooks} instead")
        for method in ("filter", "filter_many", "write", "write_many"):
            defined = cls.__dict__.get(method)
            if any(is_lazy(defined) for is_lazy in _LAZY):
                text = f"{cls.__name__}.{method} is async, or yields: calling it would do nothing"
                raise TypeError(f"{text}; define it without, and do slow work in `async background`")
        cls._writes_each = says_each(cls, Output, "write", "write_many")
        if cls.takes_objects:  # it receives each object of those that an encoder puts into one frame
            cls.weighs = True

    _most = inf  # the most messages passed at once to a method for batches

    def __init__(self, **given: Any) -> None:
        """See `Component`."""
        self._pace = Pace(self, self._most)
        self.encoders: tuple[Encodes, ...] = ()  # messages of the current batch already dealt with
        self._instead: Callable[[list[Any]], None] | None = None  # receives batches instead of `write_many`
        super().__init__(**given)

    confirms = (
        "handled"  # without an annotation, which would make an option of it; an instance may have its own
    )
    """What DELIVERED means for this output: `written`, `handed to the network`."""

    confirms_early = (
        False  # without an annotation, which would make an option of it; an instance may have its own
    )
    """Whether that is before any receiver has it, so that a message may still be lost without notice."""

    def write(self, message: Any) -> None:
        """Write one message. If it raises, the message is counted as failed and reported; the next follows."""
        raise NotImplementedError(f"{type(self).__name__} must define {self.hooks}")

    def write_many(self, messages: list[Any]) -> None:
        """Write a batch. If it raises, the whole batch has failed."""
        self._pace.write_each(self.write, messages)

    def encoded(self, messages: Sequence[Any]) -> Sequence[bytes]:
        """Encode some of the messages that `write_many` received: for an output that `takes_objects`.

        What cannot be encoded is counted as failed here, and reported by the encoder. Without an encoder before this,
        messages are bytes or text already, and anything else fails.

        Args:
            messages: some of those that belong together. An encoder may make fewer of them: a frame, or none.
        """
        found: list[Any] = [*messages]
        for encoder in self.encoders:
            count, lost = message_count(found), self.metrics.losses
            found = encoder.encode_for(self, found)
            self.metrics.filtered += max(0, count - (self.metrics.losses - lost) - message_count(found))
        return all_as_bytes(self, found)

    def keep_what_fits(self, messages: list[Any], kept: Occupancy) -> tuple[list[Any], int]:
        """Those of a batch that may be kept beside others, and their bytes; the rest is dropped: `buffer full`.

        Where whoever brings them waits for room (`drain`), it is all of them as long as there is any.

        Args:
            messages: the batch.
            kept: what is kept already; these are added.
        """
        count, size = kept.take_in(messages, whole=self.waited_for and self.sources_wait)
        if count == len(messages):
            return messages, size
        self.drop(messages[count:], BUFFER_FULL)
        return messages[:count], size

    async def drain(self) -> None:
        """Wait until there is room again, like asyncio's `StreamWriter.drain`."""

    def consume(self, message: Any) -> None:
        """Accept one message: counts it, never blocks."""
        self.consume_many([message])

    def consume_many(self, messages: list[Any]) -> None:
        """Accept a batch: counts it, never blocks, and raises only `OutputClosedError`."""
        if self.observers:
            self._show(messages)
        before = self.metrics.received
        count = message_count(messages) if self.weighs else len(messages)
        self.metrics.received = before + count
        if self._closed:
            self.drop(messages, "closed")
            return
        metrics = self.metrics
        failed, losses, passed = metrics.failed, metrics.losses, metrics.passed
        try:
            if not self._opened:
                self.open()
            if self._instead:
                self._instead(messages)
            elif self._writes_each:
                self._pace.write_each(self.write, messages)
            else:
                self.write_many(messages)
        except OutputClosedError:
            if metrics.passed == passed:  # otherwise it was passed on, and is counted downstream
                gone, extra = self.lost_since(failed, losses), metrics.received - before - count
                self.drop(self._what_is_left(messages, count, gone, extra), "closed")
            raise
        except self.stop_request.caught as error:
            gone, extra = self.lost_since(failed, losses), metrics.received - before - count
            self.fail_left(error, messages, count, gone, extra)

    def fail_left(self, error: BaseException, messages: list[Any], size: int, gone: int, extra: int) -> None:
        """Fail what is left of a batch when the method that handled it raised an error.

        Args:
            error: the one that it raised.
            messages: the batch, which that method should not have changed, and may have.
            size: how many messages it had before, as this component counts them.
            gone: how many of what they carry are accounted for.
            extra: how many of these are more than were counted as received before: see `_weigh`.
        """
        if fate := AMBIENT.fate:
            fate.note(Outcome.DELIVERED)  # some of it perhaps, before it raised
        left = self._what_is_left(messages, size, gone, extra)
        if isinstance(left, int):
            self.fail(error, (), left)
        else:
            self.fail(error, left)

    def _what_is_left(self, messages: list[Any], size: int, gone: int, extra: int) -> Sequence[Any] | int:
        """What is left of a batch: the messages, or how many if the batch has been changed. See `fail_left`."""
        if (message_count(messages) if self.weighs else len(messages)) == size:
            return beyond(messages, gone)
        return max(0, size - gone + extra)

    def snapshot(self, *, held: int | None = None) -> Snapshot:
        """The counters now; `passed` is what was neither lost nor is still held."""
        counted = super().snapshot(held=held)
        if type(self).outputs is Component.outputs:
            gone = self.metrics.losses + self.metrics.filtered
            counted["passed"] = counted["received"] - gone - counted["held"]
        return counted


class UnconnectedOutput(Output):
    """Placeholder where no `output_to` was given: what arrives is counted as dropped."""

    def write_many(self, messages: list[Any]) -> None:
        """Count the loss."""
        self.drop(messages, "no output_to")


class ConsumerAdapter(Output):
    """Adapter that makes an output of any object with a `consume` method."""

    target: Any = option(description="The object.", python_only=True)

    def write(self, message: Any) -> None:
        """Hand the message over."""
        self.target.consume(message)
