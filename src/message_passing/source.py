"""The base of every input, and what inputs and filters share: they pass messages on."""

from __future__ import annotations

from contextlib import contextmanager
from threading import get_ident
from typing import TYPE_CHECKING, Any

from message_passing.component import Component
from message_passing.delivery import AMBIENT, Delivery, Outcome, outside
from message_passing.errors import Fault, OptionError
from message_passing.graph import topological_order
from message_passing.options import option
from message_passing.output import ConsumerAdapter, Output, UnconnectedOutput, running_loop
from message_passing.wiring import Wiring, wiring_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence


class Onward:
    """The value of `output_to`: the next component. Every attribute but `consume` is that component's own.

    A filter or an input may pass messages on itself, as in the original: `self.output_to.consume(message)`. Such
    messages are counted as passed, and stay in order with those that it returns.

    Attributes:
        target: what was given as `output_to`.
    """

    __slots__ = ("_gathered", "_owner", "target")

    def __init__(self, owner: Source | None, target: Any) -> None:
        """Proxy for `target`.

        Args:
            owner: passes a batch on, and counts it.
            target: a component, anything else with `consume`, or None.
        """
        self._owner = owner
        self._gathered: tuple[list[Any], int] | None = None
        self.target = target

    @contextmanager
    def gathered(self, messages: list[Any]) -> Iterator[None]:
        """Within the block, what this thread passes on is added to `messages`, which are passed on later."""
        before, self._gathered = self._gathered, (messages, get_ident())
        try:
            yield
        finally:
            self._gathered = before

    def consume(self, message: Any) -> None:
        """Pass one message on."""
        self.consume_many([message])

    def consume_many(self, messages: list[Any]) -> None:
        """Pass a batch on."""
        if self._gathered and self._gathered[1] == get_ident():
            self._gathered[0].extend(messages)
        elif self._owner:
            self._owner.emit(list(messages))

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "target"), name)

    def __repr__(self) -> str:
        return f"<output_to: {self.target!r}>"


def unwrapped(target: Any) -> Any:
    """The component itself, if this is another component's `output_to`."""
    return target.target if isinstance(target, Onward) else target


class Source(Component):
    """A component that passes messages on: it has `output_to`."""

    output_to: Any = option(
        default=None,
        description="Where messages go: a component, or anything with `consume`.",
        python_only=True,
    )
    _onward = Onward(None, None)
    wiring = Wiring()  # without an annotation, which would make an option of it

    def on_init(self) -> None:
        """Resolve `output_to`.

        Raises:
            OptionError: it has no `consume` method.
        """
        self._next = self.as_output(self.output_to)
        self.output_to = self._onward = Onward(self, unwrapped(self.output_to))

    def as_output(self, target: Any) -> Output:
        """`target` as an output: itself, or an adapter if it is only an object with a `consume` method."""
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
        """The one component it passes messages to."""
        return (self._next,)

    def open(self) -> None:
        """See `Component.open`. Determines first what the next components accept."""
        if not self._opened:
            self.rewire()
        super().open()

    def rewire(self) -> None:
        """Determine what the next components accept: see `wiring`."""
        self.wiring = wiring_of(self)
        self.on_rewire()

    def on_rewire(self) -> None:
        """Its outputs have changed: determine what they accept."""

    def emit(self, messages: list[Any]) -> None:
        """Pass a batch on: counts it, never blocks."""
        if messages:
            self.metrics.passed += len(messages)
            self._next.consume_many(messages)

    def deliver(
        self,
        messages: list[Any],
        on_settled: Callable[[Outcome], object],
        *,
        comes_again: bool = False,
    ) -> None:
        """Pass a batch on, and be notified of its outcome once no component holds any of it.

        That may be before this returns. `on_settled` is called in the event loop running here, if any.

        Args:
            messages: the batch.
            on_settled: called once, with the worst outcome of any message. It must not block.
            comes_again: whether what is `LOST` is delivered once more, by this input or by whoever sent it. Then
                components count it as failed or dropped, and nobody reports it as lost.

        Raises:
            OutputClosedError: the reader of an output has gone.
        """
        with Delivery(on_settled, self, running_loop(), comes_again=comes_again):
            self.emit(messages)

    def hand_to(self, output: Output, messages: list[Any], count: int | None = None) -> None:
        """Pass a batch to one of `outputs()`, or count it as another number: never blocks.

        Args:
            output: where to.
            messages: the batch.
            count: how many messages to count as passed, if not the length of the batch.

        Raises:
            OutputClosedError: the reader of that output has gone.
        """
        self.metrics.passed += len(messages) if count is None else count
        if messages:
            output.consume_many(messages)

    async def drain(self) -> None:
        """Wait until what is downstream has room again."""
        waited_for: list[Output] = [*self.outputs()]
        for one in waited_for:
            kind: Any = type(one)
            if kind.drain is Source.drain:
                waited_for += kind.outputs(one)  # asked without it, as after most components
            else:
                await one.drain()


class Input(Source):
    """Receives messages from outside. Define `run`, which emits batches."""

    kind = "input"

    can_wait = True
    """Whether what it has not read yet stays where it is: in a file, a pipe, or the queue of a waiting sender.
    Otherwise (datagrams, published messages) an output drops what does not fit, and counts it, rather than wait."""

    def emit(self, messages: list[Any]) -> None:
        """Pass on what was received: counts it, never blocks."""
        if self.observers:
            self._show(messages)
        self.metrics.received += len(messages)
        fate = AMBIENT.fate
        if fate is None or getattr(fate, "owner", None) is self:
            super().emit(messages)
        else:  # within a call of another input, whose messages these are not, such as those of a log handler
            with outside():
                super().emit(messages)

    def fail(self, error: BaseException, messages: Sequence[Any], count: int | None = None) -> None:
        """See `Component.fail`. What an input loses was not emitted, so it is counted as received here."""
        self.metrics.received += len(messages) if count is None else count
        super().fail(error, messages, count)

    def drop(self, lost: int | Collection[Any], reason: str) -> None:
        """See `Component.drop`. What an input loses was not emitted, so it is counted as received here."""
        super().drop(lost, reason)
        self.metrics.received += lost if isinstance(lost, int) else len(lost)

    acknowledges = (
        False  # without an annotation, which would make an option of it; an instance may have its own
    )
    """Whether it acknowledges: what is DELIVERED is removed at its source, and not sent or read again."""

    def warnings(self) -> Sequence[str]:
        """Warn of outputs that report DELIVERED before any receiver has a message that this input acknowledges."""
        given = [*super().warnings()]
        for end in topological_order([self]) if self.acknowledges else ():
            if isinstance(end, Output) and end.confirms_early:
                text = f"the {self.label} acknowledges what the {end.label} has {end.confirms}"
                given.append(f"{text}: what is lost after that is not sent again")
        return given

    async def run(self) -> None:
        """Emit batches, `await self.drain()` after each, and return when the source has ended.

        It is stopped by cancellation, at any `await`: what it has read by then must have been emitted, or
        be emitted in `stopped`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define run")

    def stopped(self) -> None:
        """Called once after `run` ended or was cancelled: emit what was read and not yet passed on."""

    def would_refuse(self, message: bytes) -> str:  # noqa: ARG002 - for those who define it
        """Why it would not receive such a message; empty if it would. For `message-passing trace`."""
        return ""

    def progress(self) -> tuple[int, int] | None:
        """How much of finite work is done, and how much there is in all, in bytes; None if it has no end."""
        return None
