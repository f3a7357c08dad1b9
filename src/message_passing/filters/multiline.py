"""Join the lines of a traceback, or of any message of several lines, into one message."""

from __future__ import annotations

from itertools import islice
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from message_passing.delivery import AMBIENT, Outcome
from message_passing.dotted import value_at, with_value
from message_passing.errors import Fault, OptionError, OutputClosedError
from message_passing.filters._message_keys import key_of
from message_passing.filters._timed import RECENTLY, TimedFilter
from message_passing.filters._traces import ALONE, begins_with, continues_with, tracebacks_of
from message_passing.occupancy import bytes_of, bytes_of_text
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Hashable

    from message_passing.delivery import Hold


class LineGroup:
    """Lines of one message so far.

    Attributes:
        first: the message that the first line came in.
        lines: their texts.
        size: of these, in characters.
        bytes: of these, and of the first message's other fields: see `bytes_of`.
        state: what may follow: see `_traces`.
        began: when the first one came.
        latest: when the last one came.
        holds: of deliveries that brought some of them.
    """

    __slots__ = ("began", "bytes", "first", "holds", "latest", "lines", "size", "state")

    def __init__(self, first: Any, line: str, state: str | None, now: float) -> None:
        self.first, self.lines, self.size, self.state = first, [line], len(line), state
        self.bytes = bytes_of([first])
        self.began = self.latest = now
        self.holds: list[Hold] = []

    def joined(self, field: str) -> Any:
        """The message: the first one with all lines in place of its own."""
        if len(self.lines) == 1:
            return self.first
        text = "\n".join(self.lines)
        if isinstance(self.first, dict):
            return with_value(self.first, field, text)
        return text if isinstance(self.first, str) else text.encode(errors="surrogateescape")


class MultilineFilter(TimedFilter):
    r"""Joins lines that belong together into one message, with newlines between them.

    One of three options says which do. `preset` knows the tracebacks of some languages. All other lines pass at
    once, and so does the line of a log before a traceback. `start` is a regular expression that is found in each
    first line, such as `^\d{4}-`; what follows belongs to it. `continuation` is one that is found in every other
    line, such as `^\s`.

    The lines are in `field`; a message that is text is itself a line. The joined message has the other fields
    of its first line. `source` lists fields by which lines of several files or programs are told apart, if they come
    mixed.

    A message is passed on when the next one of its source begins, `timeout` seconds after its last line,
    `longest` seconds after its first, and at the end. After that, and where it has reached `max_lines` or
    `max_size`, further lines are another message: nothing is cut off. If there are more than `max_sources` messages
    at once, or `buffer_size` is reached, the oldest is passed on.

    What is kept is not acknowledged: an input that waits for each batch before it reads another waits for `timeout`.
    """

    name = "Multiline"
    example = MappingProxyType({"preset": ["python", "java"], "source": ["host", "service"]})

    preset: list[Literal["python", "java", "dotnet", "javascript", "go", "ruby"]] = option(
        default_factory=list, description="Languages whose tracebacks are joined."
    )
    start: str = option(default="", description="A regular expression that is found in each first line.")
    continuation: str = option(
        default="", description="A regular expression that is found in each line that is not a first one."
    )
    field: str = option(default="message", min_length=1, description="The field that holds the line.")
    source: list[str] = option(default_factory=list, description="Fields that say where a line comes from.")
    timeout: float = option(
        default=2.0, gt=0, description="Seconds after its last line after which a message is complete."
    )
    longest: float = option(
        default=30.0, gt=0, description="Seconds after its first line after which a message is passed on."
    )
    max_lines: int = option(default=1000, ge=2, description="The most lines of a message.")
    max_size: int = option(default=1 << 20, ge=1, description="The most characters of a message.")
    max_sources: int = option(default=1000, ge=1, description="The most messages that are kept at once.")
    buffer_size: int = option(
        default=64 << 20,
        ge=1,
        description="The most bytes of all messages that are kept, with their other fields, as JSON.",
    )

    def on_init(self) -> None:
        """Compile the rule.

        Raises:
            OptionError: there is none, or more than one, or a regular expression is malformed.
        """
        super().on_init()
        if sum(map(bool, (self.preset, self.start, self.continuation))) != 1:
            raise OptionError(Fault(f"{self.label}: set one of `preset`, `start` and `continuation`"))
        name = "start" if self.start else "continuation"
        try:
            self._rule = (
                tracebacks_of(self.preset)
                if self.preset
                else (begins_with if self.start else continues_with)(self.start or self.continuation)
            )
        except ValueError as error:
            raise OptionError(Fault(f"{self.label}: {error}", name)) from error
        self._source = key_of(self.source)
        self._open: dict[Hashable, LineGroup] = {}  # in the order in which they began
        self._due = inf  # nothing is due before
        self._lines = self._size = 0
        self._split_at = -inf
        self._ended: list[tuple[Any, int, list[Hold]]] = []

    def take(self, messages: list[Any]) -> None:
        """Pass on what is complete, in order, and keep what is not."""
        now = self.clock()
        touched: dict[LineGroup, None] = {}
        for message in messages:
            source = message.__class__, self._source(message)
            line = _line_of(message, self.field)
            group = self._add(source, message, line, now)
            if group is None:
                self._ended.append((message, 1, []))
            elif group.state is None or group.size >= self.max_size:
                self._end(source, group)
            else:
                touched[group] = None
                self._make_room()
        if AMBIENT.fate:
            kept = set(self._open.values())
            for group in touched:
                if group in kept:
                    group.holds.append(self.hold())
        self._pass_ended()

    def _add(self, source: Hashable, message: Any, line: str | None, now: float) -> LineGroup | None:
        """Add a line to the message that it belongs to, and return that; None if it is alone."""
        group = self._open.get(source)
        step = ALONE if line is None else self._rule(group.state if group else None, line)
        full = group and (group.size + len(line or "") >= self.max_size or len(group.lines) >= self.max_lines)
        if group and step.continues and full:
            self._split_at = now
        if group and (full or not step.continues):
            self._end(source, group)
            group = None
        if line is None or (step.state is None and not step.continues):
            return None
        if group:
            added = bytes_of_text(line)
            group.lines.append(line)
            group.size += len(line)
            group.bytes += added
            group.state, group.latest = step.state, now
        else:
            self._open[source] = group = LineGroup(message, line, step.state, now)
            self._due = min(self._due, now + min(self.timeout, self.longest))
            added = group.bytes
        self._lines += 1
        self._size += added
        return group

    def _make_room(self) -> None:
        while len(self._open) > self.max_sources or (self._size > self.buffer_size and self._open):
            self._split(*next(iter(self._open.items())))

    def _split(self, source: Hashable, group: LineGroup) -> None:
        self._split_at = self.clock()
        self._end(source, group)

    def _end(self, source: Hashable, group: LineGroup) -> None:
        del self._open[source]
        self._lines -= len(group.lines)
        self._size -= group.bytes
        self._ended.append((group.joined(self.field), len(group.lines), group.holds))

    def _pass_ended(self) -> None:
        """Pass on what has ended, in order; what belongs to earlier deliveries, too, by itself."""
        ended, self._ended = self._ended, []
        done, kept, of = 0, list[Any](), 0
        try:
            for message, count, holds in ended:
                if holds:
                    self._hand_on(kept, of)
                    kept, of = [], 0
                    done += 1
                    self.hand_on_held([message], count, holds)
                else:
                    kept.append(message)
                    of += count
                    done += 1
            self._hand_on(kept, of)
        except OutputClosedError:
            for _, count, holds in islice(ended, done, None):
                self.drop(count, "closed")
                for hold in holds:
                    hold.note(Outcome.LOST)
                    hold.release()
            raise

    def due(self) -> float:
        """Before this, no message is complete by time alone."""
        return self._due if self._open else inf

    def pass_due(self, now: float) -> None:
        """Pass on messages that are complete, or are kept for too long."""
        self._due = inf
        for source, group in [*self._open.items()]:
            due = min(group.latest + self.timeout, group.began + self.longest)
            if due <= now:
                self._end(source, group)
            else:
                self._due = min(self._due, due)
        self._pass_ended()

    def held(self) -> int:
        """How many lines are kept."""
        return self._lines

    def notes(self) -> list[str]:
        """That messages were split."""
        if self.clock() - self._split_at > RECENTLY:
            return super().notes()
        text = "messages were passed on in parts, being too long, or too many at once: see `max_lines`, `max_size`"
        return [*super().notes(), f"{text}, `max_sources` and `buffer_size`"]


def _line_of(message: Any, field: str) -> str | None:
    whole = not isinstance(message, dict)
    value = message if whole else value_at(message, field)
    if isinstance(value, (bytes, bytearray)):
        value = value.decode(errors="surrogateescape" if whole else "replace")
    return value.rstrip("\r\n") if isinstance(value, str) else None
