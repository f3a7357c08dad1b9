"""What inputs, filters, decoders and encoders are: with `output`, what one inherits from to write a component.

An output has `consume`. An input has `output_to`. A filter is both. Messages travel in batches through
`consume_many`; `consume` is a convenience for one message. Both belong to the base class, which counts, and a class
that defines one is refused; it says what it does in one of these, whichever is the most natural:

    Filter.filter(message)            a message in, a message out, or None to drop it
    Filter.filter_many(messages)      the same for a batch: the list of what goes on
    Output.write(message)             take one message
    Output.write_many(messages)       take a batch
    Input.run()                       a coroutine that emits batches until its source ends

The most derived definition wins: a subclass that defines only `filter` of a class that has
`filter_many` is called message by message.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

from message_passing.component import Component
from message_passing.delivery import AMBIENT, Delivery, Outcome, outside
from message_passing.errors import Fault, OptionError, OutputClosedError
from message_passing.onward import Onward, unwrapped
from message_passing.options import option
from message_passing.output import ConsumerAdapter, Output, UnconnectedOutput, running_loop, says_each
from message_passing.wiring import Wiring, wiring_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

__all__ = [
    "ConsumerAdapter",
    "Decoder",
    "Encoder",
    "Filter",
    "Input",
    "Output",
    "Source",
    "UnconnectedOutput",
]


class Source(Component):
    """What hands messages on: it has `output_to`."""

    output_to: Any = option(
        default=None,
        description="Where messages go: a component, or anything with `consume`.",
        python_only=True,
    )
    _onward = Onward(None, None)
    wiring = Wiring()  # without an annotation, which would make an option of it

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
            return UnconnectedOutput()
        if callable(getattr(target, "consume", None)):
            return ConsumerAdapter(target=target)
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

    def open(self) -> None:
        """See `Component.open`. What those that come next allow is found out before."""
        if not self._opened:
            self.rewire()
        super().open()

    def rewire(self) -> None:
        """Find out what those that come next allow: `wiring`."""
        self.wiring = wiring_of(self)
        self.on_rewire()

    def on_rewire(self) -> None:
        """It hands messages to others now: find out what there is to be known of them."""

    def emit(self, messages: list[Any]) -> None:
        """Hand a batch on: counted, never waits."""
        if messages:
            self.metrics.passed += len(messages)
            self._next.consume_many(messages)

    def deliver(self, messages: list[Any], on_settled: Callable[[Outcome], object]) -> None:
        """Hand a batch on, and learn what became of it, once nobody keeps any of it any more.

        That may be before this returns. It is called in the event loop in which this is, if it is in one.

        Args:
            messages: the batch.
            on_settled: called once, with the worst outcome of any message. It must not block.

        Raises:
            OutputClosedError: nobody reads an output any more.
        """
        with Delivery(on_settled, self, running_loop()):
            self.emit(messages)

    def hand_to(self, output: Output, messages: list[Any], count: int | None = None) -> None:
        """Hand a batch to one of `outputs()`, or count it as another number: never waits.

        Args:
            output: to whom.
            messages: the batch.
            count: as how many messages that counts as passed, where it is not as many.

        Raises:
            OutputClosedError: nobody reads that output any more.
        """
        self.metrics.passed += len(messages) if count is None else count
        if messages:
            output.consume_many(messages)

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
        if self.observers:
            self._show(messages)
        self.metrics.received += len(messages)
        fate = AMBIENT.fate
        if fate is None or getattr(fate, "owner", None) is self:
            super().emit(messages)
        else:  # within the call of another input, whose messages these are not: a log handler's, for one
            with outside():
                super().emit(messages)

    def fail(self, error: BaseException, messages: Sequence[Any], count: int | None = None) -> None:
        """See `Component.fail`. What an input loses it has not emitted: it is received with that."""
        self.metrics.received += len(messages) if count is None else count
        super().fail(error, messages, count)

    def drop(self, lost: int | Collection[Any], reason: str) -> None:
        """See `Component.drop`. What an input loses it has not emitted: it is received with that."""
        self.metrics.received += lost if isinstance(lost, int) else len(lost)
        super().drop(lost, reason)

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

    transparent: ClassVar[bool] = False
    """Whether it passes messages on without inspecting them, so that none need be decoded for it: see `wiring`."""

    hooks = "filter(message) or filter_many(messages)"
    filtered: ClassVar[Callable[[Any, list[Any]], list[Any]]]
    """What goes on of a batch, whichever way the class says it: for a `write_many` of one's own."""

    _filters_each: ClassVar[bool] = True  # `filter` is what the class says, not `filter_many`

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Find out which way the class says what it does, and whether it is ours."""
        super().__init_subclass__(**kwargs)
        cls._filters_each = says_each(cls, Filter, "filter", "filter_many")
        cls.filtered = Filter.filter_many if cls._filters_each else cls.filter_many
        if "filter_many" in cls.__dict__ and not cls.__module__.startswith("message_passing."):
            cls._most = 1.0  # how long it takes is found out with a few first

    def filter(self, message: Any) -> Any:
        """One message in; one message out, or None to drop it. Whatever it raises is reported."""
        raise NotImplementedError(f"{type(self).__name__} must define {self.hooks}")

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
        each = self._filters_each
        if each and (len(messages) > 1 or self.stop_request.asked):
            kept: list[Any] = []
            with self._onward.gathered(kept):
                self._pace.filter_each(self.filter, messages, kept, self._hand_on)
        elif not each and self._most < inf:
            self._pace.filter_pieces(self.filter_many, messages, self._hand_on)
        else:  # there is nothing to be cut, or it is quick
            before = self.metrics.failed + self.metrics.passed
            count = len(messages)
            kept = self.filtered(messages)
            self._hand_on(kept, count - (self.metrics.failed + self.metrics.passed - before))

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
