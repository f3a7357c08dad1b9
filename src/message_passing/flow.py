"""The contract: what an input, a filter and an output are.

An output has `consume`. An input has `output_to`. A filter is both. Messages travel in batches through
`consume_many`; `consume` is its one-message door. Both are final doors that count; a class says what it
does in one of these, whichever is the most natural:

    Filter.filter(message)            a message in, a message out, or None to drop it
    Filter.filter_many(messages)      the same for a batch: the list of what goes on
    Output.write(message)             take one message (defining `consume` in a class means this too)
    Output.write_many(messages)       take a batch
    Input.run()                       a coroutine that emits batches until its source ends

The most derived definition wins: a subclass that defines only `filter` of a class that has
`filter_many` is called message by message.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

from message_passing.component import Component
from message_passing.errors import Fault, OptionError, OutputClosedError
from message_passing.lines import beyond
from message_passing.onward import Onward, unwrapped
from message_passing.options import option
from message_passing.pacing import Pace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from message_passing.metrics import Snapshot


class Output(Component):
    """Takes messages. Define `consume(message)`, or `write_many(messages)` to take them a batch at a time."""

    kind = "output"

    takes_blocks: ClassVar[bool] = False
    """Whether `write_many` takes a batch of lines as a `lines.Block` too, which saves joining it."""

    # Without annotations, which would make options of them. `Server` sets these of what it runs.
    ending = False  # every input has ended: `drain` waits no longer for somebody who may never come
    standing = False  # nothing moves in what it has queued, so that it drops instead of being waited for
    waited_for = False
    """Whether somebody awaits `drain` after each batch: then `write_many` may keep what does not fit until then."""
    sources_wait = True
    """Whether every input before it loses nothing by waiting: see `Input.can_wait`."""

    def __init_subclass__(cls, *, own_doors: bool = False, **kwargs: Any) -> None:
        """Read which way the class says what it does (see the module's text), unless it has doors of its own."""
        super().__init_subclass__(**kwargs)
        for door, hook in (("consume", "write"), ("consume_many", "write_many")):
            if door in cls.__dict__ and not own_doors:
                if hasattr(cls, hook) and getattr(cls, hook) is not getattr(Output, hook):
                    raise TypeError(f"{cls.__name__}: {door} is the counted door; override {hook} instead")
                setattr(cls, hook, cls.__dict__[door])
                delattr(cls, door)
        if "write" in cls.__dict__ and "write_many" not in cls.__dict__:
            cls.write_many = Output.write_many  # type: ignore[method-assign]
        if "takes_blocks" not in cls.__dict__ and not {"write", "write_many"}.isdisjoint(cls.__dict__):
            cls.takes_blocks = False  # a subclass of one that does writes in its own way

    _most = inf  # messages that a function for batches is given at once

    def __init__(self, **given: Any) -> None:
        """See `Component`."""
        self._pace = Pace(self, self._most)
        super().__init__(**given)

    def write(self, message: Any) -> None:
        """Take one message. Whatever it raises is counted as failed and reported; the next one goes on."""
        raise NotImplementedError(f"{type(self).__name__} must define consume (or write_many)")

    def write_many(self, messages: list[Any]) -> None:
        """Take a batch. Whatever it raises fails the whole batch."""
        self._pace.write_each(self.write, messages)

    async def drain(self) -> None:
        """Wait until there is room again, as asyncio's `StreamWriter.drain` does."""

    async def wait_until_sent(self) -> None:
        """Every input has ended by itself: wait for receivers that still take what was sent. A stop cancels it."""

    def consume(self, message: Any) -> None:
        """Take one message: counted, never waits."""
        self.consume_many([message])

    def consume_many(self, messages: list[Any]) -> None:
        """Take a batch: counted, never waits, and raises only `OutputClosedError`."""
        self.metrics.received += len(messages)
        if self._closed:
            self.drop(messages, "closed")
            return
        failed, passed = self.metrics.failed, self.metrics.passed
        try:
            if not self._opened:
                self.open()
            self.write_many(messages)
        except OutputClosedError:
            if self.metrics.passed == passed:  # otherwise it was handed on, and is counted further down
                self.drop(beyond(messages, self.metrics.failed - failed), "closed")
            raise
        except Exception as error:  # noqa: BLE001 - any failure has one route
            self.fail(error, beyond(messages, self.metrics.failed - failed))

    def snapshot(self) -> Snapshot:
        """The counters now; passed is what was neither lost nor is still held."""
        counted = super().snapshot()
        if type(self).outputs is Component.outputs:
            counted["passed"] = counted["received"] - self.metrics.lost() - counted["held"]
        return counted


class Source(Component):
    """What hands messages on: it has `output_to`."""

    output_to: Any = option(
        default=None,
        description="Where messages go: a component, or anything with `consume`.",
        python_only=True,
    )
    _onward = Onward(None, None)

    def on_init(self) -> None:
        """Find out what `output_to` is.

        Raises:
            OptionError: it is not something with `consume`.
        """
        self._next = self.as_output(self.output_to)
        self.output_to = self._onward = Onward(self, unwrapped(self.output_to))

    def as_output(self, target: Any) -> Output:
        """`target` as an output: itself, or wrapped when it is a stranger with a `consume` method."""
        target = unwrapped(target)
        if isinstance(target, Output):
            return target
        if target is None:
            return Unconnected()
        if callable(getattr(target, "consume", None)):
            return Stranger(target=target)
        if isinstance(target, (list, tuple)):
            text = "can output to one component only: put a T filter between to reach several"
        else:
            text = f"output_to must have a `consume` method, not {target!r}"
        raise OptionError(Fault(f"{self.label}: {text}", "output_to"))

    def connect_to(self, target: Any) -> None:
        """Set `output_to` after construction, as a declared chain does."""
        self.output_to = target
        Source.on_init(self)

    def outputs(self) -> Sequence[Output]:
        """The one component it hands messages to."""
        return (self._next,)

    def on_rewire(self) -> None:
        """It hands messages to others now, while it is open: find out anew what `on_open` found out of them."""

    def emit(self, messages: list[Any]) -> None:
        """Hand a batch on: counted, never waits."""
        if messages:
            self.metrics.passed += len(messages)
            self._next.consume_many(messages)

    async def drain(self) -> None:
        """Wait until what is downstream has room again."""
        for output in self.outputs():
            await output.drain()


class Input(Source):
    """Takes messages from outside. Define `run`, which emits batches."""

    kind = "input"

    can_wait = True
    """Whether what it does not read yet stays where it is: in a file, a pipe, or the queue of a sender that waits.
    Otherwise (datagrams, published messages) an output drops what does not fit, and counts it, rather than wait."""

    def emit(self, messages: list[Any]) -> None:
        """Hand on what was received: counted, never waits."""
        self.metrics.received += len(messages)
        super().emit(messages)

    async def run(self) -> None:
        """Emit batches, `await self.drain()` after each, and return when the source has ended.

        It is cancelled to stop it, at any `await`: what it has taken by then must have been emitted, or
        is emitted in `stopped`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define run")

    def stopped(self) -> None:
        """Called once after `run` ended or was cancelled: emit what was taken and not yet passed on."""

    def progress(self) -> tuple[int, int] | None:
        """How much of a work with an end is done, and how much it is in all, in bytes; None when there is no end."""
        return None


class Filter(Source, Output):
    """Takes messages and hands on some, all or others. Define `filter`."""

    kind = "filter"

    looks: ClassVar[bool] = True
    """Whether it looks at what is in a message. Where nothing does, a decoder may leave it undone."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """A class that says only what happens to one message is called for one message."""
        super().__init_subclass__(**kwargs)
        if "filter" in cls.__dict__ and "filter_many" not in cls.__dict__:
            cls.filter_many = Filter.filter_many  # type: ignore[method-assign]
        if "filter_many" in cls.__dict__ and not cls.__module__.startswith("message_passing."):
            cls._most = 1.0  # how long it takes is found out with a few first
        hooks = {"filter", "filter_many", "write", "write_many"}
        if "looks" not in cls.__dict__ and not hooks.isdisjoint(cls.__dict__):
            cls.looks = True  # a subclass of one that does not look does something of its own

    def filter(self, message: Any) -> Any:
        """One message in; one message out, or None to drop it. Whatever it raises is reported."""
        raise NotImplementedError(f"{type(self).__name__} must define filter")

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """A batch in; the list of what goes on. Failures are handed to `self.fail`."""
        kept: list[Any] = []
        apply = self.filter
        with self._onward.gathered(kept):
            for message in messages:
                try:
                    result = apply(message)
                except Exception as error:  # noqa: BLE001 - any failure has one route
                    self.fail(error, [message])
                else:
                    if result is not None:
                        kept.append(result)
        return kept

    def write_many(self, messages: list[Any]) -> None:
        """Filter a batch and hand on what is left: piece by piece, of one that takes long."""
        each = type(self).filter_many is Filter.filter_many
        if each and (len(messages) > 1 or self.stop_request.asked):
            kept: list[Any] = []
            with self._onward.gathered(kept):
                self._pace.filter_each(self.filter, messages, kept, self._hand_on)
        elif not each and self._most < inf:
            self._pace.filter_pieces(self.filter_many, messages, self._hand_on)
        else:  # there is nothing to be cut, or it is quick
            before = self.metrics.failed + self.metrics.passed
            kept = self.filter_many(messages)
            self._hand_on(kept, len(messages) - (self.metrics.failed + self.metrics.passed - before))

    def _hand_on(self, kept: list[Any], of: int, rest: Iterable[Any] = ()) -> None:
        """Hand on what was kept of so many; `rest`, not begun yet, is lost if nobody reads it any more."""
        if of > len(kept):
            self.metrics.filtered += of - len(kept)
        try:
            self.emit(kept)
        except OutputClosedError:
            if lost := [*rest]:
                self.drop(lost, "closed")
            raise


class Decoder(Filter):
    """A filter that makes an object of a message's bytes."""

    kind = "decoder"


class Encoder(Filter):
    """A filter that makes bytes of an object.

    Attributes:
        readable: what it makes is text, or several texts in a frame: who looks at messages can look behind it.
    """

    kind = "encoder"
    readable: ClassVar[bool] = True


class Unconnected(Output):
    """Stands where no `output_to` was given: what arrives is counted as dropped."""

    def write_many(self, messages: list[Any]) -> None:
        """Count the loss."""
        self.drop(messages, "no output_to")


class Stranger(Output):
    """An output that is simply an object with a `consume` method."""

    target: Any = option(description="The object.", python_only=True)

    def write(self, message: Any) -> None:
        """Hand the message over."""
        self.target.consume(message)
