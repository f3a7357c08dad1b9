"""What a filter does with lines as with objects, by the fields that it reads or by their text: see `wiring`."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from message_passing.errors import MessageError
from message_passing.json_text import decode_text, encode_text
from message_passing.pacing import Pace
from message_passing.read_fields import ReadFields, fields_of_message, fields_type

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from message_passing.lines import ReadLines
    from message_passing.metrics import Metrics
    from message_passing.stopping import StopRequest

_FEW = 1 / 8
"""The share of a batch's lines that are decoded one by one; where there are more, all are objects."""

_UNSEARCHED = 15
"""Batches that are objects without having been searched, after one in which there were more."""


class _Own(list[Any]):
    """What `keeps` passes on itself, each time with how many lines of the piece had been chosen among before.

    Attributes:
        passed: that.
    """

    def __init__(self, chosen: list[object]) -> None:
        super().__init__()
        self._chosen = chosen
        self.passed: list[tuple[int, list[Any]]] = []

    def extend(self, messages: Iterable[Any]) -> None:
        """Note them."""
        self.passed.append((len(self._chosen), [*messages]))

    def among(self, piece: ReadLines, which: Sequence[object], *, to_read: bool) -> Iterator[list[Any]]:
        """These and the lines chosen, in order."""
        passed, self.passed, begin = self.passed, [], 0
        for end, messages in (*passed, (len(which), [])):
            yield piece.part(begin, end).chosen(which[begin:end], to_read=to_read)
            yield messages
            begin = end


class Selection:
    """The batches of lines that one filter receives, and the fields of single messages.

    It is paced as what stands for the filter: what fails, or was not begun at a stop, is a line.
    """

    def __init__(self, owner: Any) -> None:
        """For a filter (`flow.Filter`)."""
        self._owner = owner
        self._lines: Sequence[bytes] = ()
        self._type: type[ReadFields] | None = None
        self._unsearched = 0
        self._pace = Pace(self)
        self.metrics: Metrics
        self.stop_request: StopRequest

    def fail_one(self, error: BaseException, number: int, gone: int) -> None:
        """See `Component.fail_one`: the report shows an object, as it would if the line had been decoded."""
        for one in self._objects([self._lines[number]]):
            self._owner.fail_one(error, one, gone)

    def lost_since(self, failed: int, losses: int) -> int:
        """See `Component.lost_since`."""
        found: int = self._owner.lost_since(failed, losses)
        return found

    def drop(self, lost: int | Collection[Any], reason: str) -> None:
        """See `Component.drop`."""
        self._owner.drop(lost if isinstance(lost, int) else [self._lines[one] for one in lost], reason)

    def fields_of(self, message: Any) -> ReadFields:
        """The fields of an object that the filter reads."""
        if self._type is None:
            self._type = fields_type(fields_of_message(self._owner.fields_read() or ()))
        return self._type.of(message)

    def write(self, lines: ReadLines, hand_on: Callable[..., None]) -> None:
        """Pass on the lines that the filter keeps, with their fields where these are still read."""
        owner, to_read = self._owner, self._owner.wiring.reads is not None
        if owner.suspects:
            self._write_searched(lines, hand_on, to_read=to_read)
            return
        if owner.keeps_many:
            try:
                kept = lines.chosen(owner.keeps_many(lines.fields), to_read=to_read)
            except owner.stop_request.caught:  # which message it was is found where it handles objects
                owner.write_many([*self._objects(lines)])
            else:
                hand_on(kept, len(lines))
            return
        self.metrics, self.stop_request = owner.metrics, owner.stop_request
        before, self._lines, count = self._lines, lines, len(lines)
        answers: list[object] = []
        own = _Own(answers)

        def pass_on(first: int, which: list[object], of: int, rest: range) -> None:
            piece = lines if len(which) == count else lines.part(first, first + len(which))
            try:
                kept: list[list[Any]] = [piece.chosen(which, to_read=to_read)]
            except owner.stop_request.caught:  # something whose truth cannot be told, as that of an array
                which = [self._truth(first + number, one) for number, one in enumerate(which)]
                kept, of = [piece.chosen(which, to_read=to_read)], of - which.count(None)
            if own.passed:
                kept = [*own.among(piece, which, to_read=to_read)]
            filtered = max(0, of - sum(map(len, kept)))
            for number, one in enumerate(kept, 1):
                left = chain(*kept[number:], map(lines.__getitem__, rest))
                hand_on(one, len(one) + (filtered if number == 1 else 0), left)

        try:
            with owner._onward.gathered(own):  # noqa: SLF001 - this is a part of it
                self._pace.choose_each(owner.keeps, lines.fields, answers, pass_on)
        finally:
            self._lines = before

    def _truth(self, number: int, answer: object) -> bool | None:
        """Whether an answer is true; None if that cannot be told: the line has failed."""
        try:
            return bool(answer)
        except self._owner.stop_request.caught as error:
            self.fail_one(error, number, 0)
            return None

    def _write_searched(self, lines: ReadLines, hand_on: Callable[..., None], *, to_read: bool) -> None:
        """Pass on the lines in which the filter finds nothing, and the text of what it makes of the others.

        These are written anew even if nothing changed: what was found may have been in a field that is there twice.
        """
        owner = self._owner
        suspects: Sequence[int] | None = None
        if self._unsearched:
            self._unsearched -= 1
        elif len(suspects := owner.suspects(lines)) > max(1, len(lines) * _FEW):
            suspects, self._unsearched = None, _UNSEARCHED
        if suspects is None:
            owner.write_many([*self._objects(lines)])
            return
        before = owner.metrics.failed + owner.metrics.passed
        found = [(number, self._filtered(lines[number])) for number in suspects]
        settled = owner.metrics.failed + owner.metrics.passed - before
        hand_on(lines.with_others(found, to_read=to_read), len(lines) - settled)

    def _filtered(self, line: bytes) -> list[tuple[Any, bytes]]:
        """What the filter makes of a line, as objects and as text."""
        found: list[tuple[Any, bytes]] = []
        for message in self._objects([line]):
            for one in self._owner.filtered([message]):
                try:
                    found.append((one, encode_text(one)))
                except MessageError as error:
                    self._owner.fail(error, [one])
        return found

    def _objects(self, lines: Iterable[bytes]) -> Iterator[Any]:
        """The objects of lines; those of which a field that nobody has read is out of range have failed."""
        for line in lines:
            try:
                yield decode_text(line)
            except MessageError as error:
                self._owner.fail(error, [line])


def check_reads(cls: Any, base: Any) -> None:
    """Raise an error if a class says of itself what cannot be.

    Raises:
        TypeError: `reads` is no tuple of names, there is no `keeps`, or something else handles its messages.
    """
    own = cls.__dict__
    reads: Any = cls.reads
    if not isinstance(reads, tuple) or not all(isinstance(one, str) for one in reads):
        raise TypeError(f"{cls.__name__}.reads must be a tuple of names of fields, not {reads!r}")
    if "reads" not in own or cls.keeps is base.keeps:
        raise TypeError(f"{cls.__name__} must define both `reads` and keeps(fields), or neither")
    if cls.filter is not base.filter or cls.filter_many is not base.filter_many:
        raise TypeError(f"{cls.__name__} has keeps(fields), and filter or filter_many: one of them must go")
