"""What hands messages on: the base of every input and filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from message_passing.component import Component
from message_passing.delivery import Delivery, Outcome
from message_passing.errors import Fault, OptionError
from message_passing.onward import Onward, unwrapped
from message_passing.options import option
from message_passing.output import ConsumerAdapter, Output, UnconnectedOutput, running_loop
from message_passing.wiring import Wiring, wiring_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


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

    def deliver(
        self, messages: list[Any], on_settled: Callable[[Outcome], object], *, comes_again: bool = False
    ) -> None:
        """Hand a batch on, and learn what became of it, once nobody keeps any of it any more.

        That may be before this returns. It is called in the event loop in which this is, if it is in one.

        Args:
            messages: the batch.
            on_settled: called once, with the worst outcome of any message. It must not block.
            comes_again: whether what is `LOST` is delivered once more, by this input or by whoever sent it. Then
                components count it as failed or dropped, and nobody reports it as lost.

        Raises:
            OutputClosedError: nobody reads an output any more.
        """
        with Delivery(on_settled, self, running_loop(), comes_again=comes_again):
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
