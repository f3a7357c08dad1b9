"""Base classes of inputs, filters, decoders and encoders: with `output`, those to inherit from for a component.

An output has `consume`. An input has `output_to`. A filter is both. Messages travel in batches through
`consume_many`; `consume` is a convenience for one message. Both belong to the base class, which counts; a class
that overrides one is refused. It defines one of these instead, whichever is the most natural:

    Filter.filter(message)            a message in, a message out, or None to drop it
    Filter.filter_many(messages)      the same for a batch: the list of what passes
    Filter.keeps(fields)              whether a message passes, by the fields that `Filter.reads` names
    Output.write(message)             write one message
    Output.write_many(messages)       write a batch
    Input.run()                       a coroutine that emits batches until its source ends

The most derived definition wins: a subclass that defines only `filter` of a class that has
`filter_many` is called message by message.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

from message_passing.clock import monotonic
from message_passing.errors import OutputClosedError
from message_passing.lines import LineBatch, ReadLines, beyond
from message_passing.output import ConsumerAdapter, Output, UnconnectedOutput, says_each
from message_passing.selection import Selection, check_reads
from message_passing.source import Input, Source
from message_passing.wiring import leaves_encoding, misses_objects, said

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from message_passing.metrics import Metrics

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

_SUSPICIOUS_TIME, _SUSPICIOUS_COUNT = 60.0, 100
"""Seconds, and messages, for which a filter must have removed everything before that is worth a note."""

_REMOVES_ALL = (
    "it has removed every message for more than a minute: `message-passing trace` shows the way of a message"
)


class Filter(Source, Output):
    """Receives messages and passes on some, all or others. Define `filter`."""

    kind = "filter"

    transparent: ClassVar[bool] = False
    """Whether it passes messages on without inspecting them, so that none need decoding for it: see `wiring`."""

    passes_blocks: ClassVar[bool] = False
    """Whether `filter_many` passes on a batch as it is, so that it may be a block where the next one takes that."""

    takes_frames: ClassVar[bool] = False
    """Whether `filter_many` does not change a batch, and passes on another: then it may be a `lines.ObjectFrames`."""

    reads: ClassVar[tuple[str, ...] | None] = None
    """The fields that `keeps` reads, which may be dotted names; None for a filter that needs whole messages."""

    hooks = "filter(message), filter_many(messages), or `reads` and keeps(fields)"
    filtered: ClassVar[Callable[[Any, list[Any]], list[Any]]]
    """Filter a batch, whether the class handles messages or batches: for a custom `write_many`."""

    removes_all: ClassVar[bool] = False
    """Whether it removes every message by design, which is then not worth a note."""

    _filters_each: ClassVar[bool] = True  # whether the class defines `filter` rather than `filter_many`
    _chooses: ClassVar[bool] = False  # whether it needs nothing but the fields that it `reads`

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Find out whether the class handles messages or batches, and whether it is built in."""
        super().__init_subclass__(**kwargs)
        cls._filters_each = says_each(cls, Filter, "filter", "filter_many")
        cls.filtered = Filter.filter_many if cls._filters_each else cls.filter_many
        cls._chooses = said(cls, "reads") is not None
        if cls.__module__.startswith("message_passing."):
            return
        if "filter_many" in cls.__dict__:
            cls._most = 1.0  # its speed is measured with a few first
        if "keeps" in cls.__dict__ or cls.__dict__.get("reads") is not None:
            check_reads(cls, Filter)

    def __init__(self, **given: Any) -> None:
        """See `Component`."""
        self._selection = Selection(self)
        super().__init__(**given)

    _last_passing = (-1, 0, 0.0)  # messages passed and filtered when one passed last, and when that was seen

    def notes(self) -> list[str]:
        """That it has removed every message for a while, which somebody may not have meant. Asked each second."""
        passed, filtered, since = self._last_passing
        counted, now = self.metrics, monotonic()
        if counted.passed != passed or counted.filtered == filtered:
            self._last_passing = counted.passed, counted.filtered, now
        elif now - since >= _SUSPICIOUS_TIME and counted.filtered - filtered >= _SUSPICIOUS_COUNT:
            return [] if self.removes_all else [_REMOVES_ALL]
        return []

    def filter(self, message: Any) -> Any:
        """Return the message to pass on, or None to drop it. If it raises, the message has failed and is reported."""
        if self.reads is None:
            raise NotImplementedError(f"{type(self).__name__} must define {self.hooks}")
        return message if self.keeps(self._selection.fields_of(message)) else None

    def fields_read(self) -> tuple[str, ...] | None:
        """The fields that this one reads, where that depends on its options; otherwise `reads`."""
        return self.reads

    def keeps(self, fields: Any) -> bool:
        """Whether to pass a message on. If it raises, the message has failed and is reported.

        Args:
            fields: those of the message that `reads` names (`read_fields.ReadFields`): `fields.level`, or
                `fields.get("user.name")`. Nothing else of the message has been decoded.
        """
        raise NotImplementedError(f"{type(self).__name__} must define {self.hooks}")

    keeps_many: ClassVar[Callable[[Any, Sequence[Any]], Sequence[Any]] | None] = None
    """Of a built-in filter: which of a batch to pass on, a truth value for each. If it raises, the
    batch is handled again, as objects."""

    suspects: ClassVar[Callable[[Any, LineBatch], Sequence[int]] | None] = None
    """Of a built-in filter with `reads`, and `filter` or `filter_many`: the numbers of the lines of JSON text,
    ascending, that it may change or remove. All others pass on as they came."""

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Return the list of messages to pass on. Failures go to `self.fail`."""
        kept: list[Any] = []
        apply, metrics = self.filter, self.charged()
        with self._onward.gathered(kept):
            for message in messages:
                failed, losses = metrics.failed, metrics.losses
                try:
                    result = apply(message)
                except self.stop_request.caught as error:
                    self.fail_one(error, message, self.lost_since(failed, losses))
                else:
                    if result is not None:
                        kept.append(result)
        return kept

    def write_many(self, messages: list[Any]) -> None:
        """Filter a batch and pass on the result: piece by piece if it takes long."""
        if self._chooses and type(messages) is ReadLines:
            self._selection.write(messages, self._hand_on)
            return
        each = self._filters_each
        if each and (len(messages) > 1 or self.stop_request.asked):
            kept: list[Any] = []
            with self._onward.gathered(kept):
                self._pace.filter_each(self.filter, messages, kept, self._hand_on)
        elif not each and self._most < inf:
            self._pace.filter_pieces(self.filter_many, messages, self._hand_on, self.fail_left)
        else:  # there is nothing to split, or it is quick
            metrics, count = self.metrics, len(messages)
            before, received = metrics.losses + metrics.passed, metrics.received
            try:
                kept = self.filtered(messages)
            except OutputClosedError:
                raise
            except self.stop_request.caught as error:
                gone = metrics.losses + metrics.passed - before
                self.fail_left(error, messages, count, gone, metrics.received - received)
            else:
                settled = metrics.losses + metrics.passed - before - (metrics.received - received)
                self._hand_on(kept, count - settled)

    def _count_filtered(self, count: int) -> None:
        """Count messages that are removed on purpose."""
        self.metrics.filtered += count

    def _hand_on(self, kept: list[Any], of: int, rest: Iterable[Any] = ()) -> None:
        """Pass on what was kept of so many; `rest`, not begun yet, is lost if the reader has gone."""
        if of > len(kept):
            self._count_filtered(of - len(kept))
        try:
            self.emit(kept)
        except OutputClosedError:
            if lost := [*rest]:
                self.drop(lost, "closed")
            raise


class Decoder(Filter):
    """A filter that turns a message's bytes into an object."""

    kind = "decoder"


class Encoder(Filter):
    """A filter that turns an object into bytes.

    Attributes:
        readable: its result is text, or several texts in a frame, so that taps can show messages after it.
    """

    kind = "encoder"
    readable: ClassVar[bool] = True
    encodes_batches: ClassVar[bool] = False
    """Whether an output may encode with it: it defines how messages are encoded, not only where they go."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Find out whether the class handles messages or batches."""
        super().__init_subclass__(**kwargs)
        doing = {"filter", "filter_many", "write", "write_many"}
        definer = next(base for base in cls.__mro__ if not doing.isdisjoint(base.__dict__))
        cls.encodes_batches = definer is not Filter and not {"filter", "filter_many"}.isdisjoint(
            definer.__dict__
        )

    def __init__(self, **given: Any) -> None:
        """See `Component`."""
        self._encodes_for: Output | None = None
        super().__init__(**given)

    def rewire(self) -> None:
        """See `Source.rewire`."""
        super().rewire()
        self._instead = self._leave if leaves_encoding(self) else None

    def warnings(self) -> Sequence[str]:
        """Warn that an output cannot see the fields that it needs."""
        given = [*super().warnings()]
        if found := misses_objects(self):
            text = f"{found} needs fields of its messages, and gets what the {self.label} makes of them"
            if self.encodes_batches:
                given.append(f"{text}: no other component may stand between the two")
            else:
                given.append(f"{text}, which defines neither filter nor filter_many")
        return given

    def _leave(self, messages: list[Any]) -> None:
        """Pass objects on to the output that encodes them."""
        output = self._next
        before, output.encoders = output.encoders, (*self.encoders, self)
        try:
            self.emit(messages)
        finally:
            output.encoders = before

    def encode_for(self, output: Output, messages: list[Any]) -> list[Any]:
        """Encode, for an output, a batch that was passed on unencoded.

        Args:
            output: counts what fails. The report is made by this encoder, and goes to its error chain.
            messages: some of the batch.
        """
        lost, size = output.metrics.losses, len(messages)
        before, self._encodes_for = self._encodes_for, output
        try:
            return self.filtered(messages)
        except self.stop_request.caught as error:
            gone = output.metrics.losses - lost
            rest = beyond(messages, gone) if len(messages) == size else ()  # unless it has changed the batch
            self.fail(error, rest, None if rest else max(0, size - gone))
            return []
        finally:
            self._encodes_for = before

    def fail(self, error: BaseException, messages: Sequence[Any], count: int | None = None) -> None:
        """See `Component.fail`. What an output encodes with this is failed by the output."""
        if not (output := self._encodes_for):
            super().fail(error, messages, count)
        elif self.leaves_dead_letters(error, count):
            self.dead_letter(error, messages, weigh=output.count_dead)
        else:
            self.report(error, messages, output.count_failed(error, messages, count))

    def charged(self) -> Metrics:
        """See `Component.charged`."""
        return (self._encodes_for or self).metrics

    def drop(self, lost: int | Collection[Any], reason: str) -> None:
        """See `Component.drop`. What an output encodes with this is dropped by the output."""
        if output := self._encodes_for:
            output.drop(lost, reason)
        else:
            super().drop(lost, reason)
