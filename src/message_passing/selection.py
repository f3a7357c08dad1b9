"""A filter that chooses among lines by the fields that it reads, as it would among objects: see `wiring`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.pacing import Pace
from message_passing.read_fields import ReadFields, fields_of_message, fields_type

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from message_passing.lines import ReadLines
    from message_passing.metrics import Metrics
    from message_passing.stopping import StopRequest


class Selection:
    """The batches of lines that one filter receives, and the fields of single messages.

    It is paced as what stands for the filter: what fails, or was not begun at a stop, is a line.
    """

    def __init__(self, owner: Any) -> None:
        """For a filter (`flow.Filter`)."""
        self._owner = owner
        self._lines: Sequence[bytes] = ()
        self._type: type[ReadFields] | None = None
        self._pace = Pace(self)
        self.metrics: Metrics
        self.stop_request: StopRequest

    def fail(self, error: BaseException, messages: Sequence[Any]) -> None:
        """See `Component.fail`: the report shows objects, as it would if these had been decoded."""
        self._owner.fail(error, [msgspec.json.decode(self._lines[number]) for number in messages])

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
        to_read = self._owner.wiring.reads is not None
        if self._owner.keeps_many:
            try:
                kept = lines.chosen(self._owner.keeps_many(lines.fields), to_read=to_read)
            except Exception:  # noqa: BLE001 - which message it was is found where it handles objects
                self._owner.write_many([*map(msgspec.json.decode, lines)])
            else:
                hand_on(kept, len(lines))
            return
        self.metrics, self.stop_request = self._owner.metrics, self._owner.stop_request
        self._lines, fields, keeps = lines, lines.fields, self._owner.keeps

        def apply(number: int) -> int | None:
            return number if keeps(fields[number]) else None

        def pass_on(numbers: list[int], of: int, rest: Sequence[int] = ()) -> None:
            hand_on(lines.at(numbers, to_read=to_read), of, (lines[number] for number in rest))

        self._pace.filter_each(apply, [*range(len(lines))], [], pass_on)
