"""Pass on a part of the messages, chosen at random or by a field."""

from __future__ import annotations

import random
from itertools import repeat
from operator import or_
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from zlib import crc32

from message_passing.conditions import Condition
from message_passing.conditions.operations import level_number_of_fields
from message_passing.dotted import value_at
from message_passing.errors import Fault, OptionError
from message_passing.flow import Filter
from message_passing.message_fields import level_number, level_of
from message_passing.options import option
from message_passing.read_fields import LEVEL, values_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_BUCKETS = 1 << 32
"""Values of a CRC-32."""

_SPREAD = 0x9E3779B1
"""2**32 divided by the golden ratio (Fibonacci hashing: Knuth, The Art of Computer Programming, section 6.4). CRCs
alone are not even: those of texts that differ in digits differ in few bits."""


class SampleFilter(Filter):
    """Passes on a share of the messages; the others are filtered out.

    Without `key` each message is chosen at random. With it, all messages with the same value of a field are, in every
    process and on every machine: all messages of a trace, or none. Those without the field are chosen at random.

    `levels` gives another rate to messages of some levels: `{"DEBUG": 0.01, "ERROR": 1}`. `always` is a
    [condition](../guide-filters.md#conditions): messages for which it holds all pass.
    """

    name = "Sample"
    reads = ()
    example = MappingProxyType({"rate": 0.1, "key": "trace_id", "levels": {"ERROR": 1.0}})

    rate: float = option(description="The share of messages that pass: 0.1 is one in ten.", ge=0, le=1)
    key: str = option(
        default="",
        description="The field whose equal values are kept or removed together, such as a trace id.",
    )
    levels: dict[str, float] = option(
        default_factory=dict, description="Rates for individual levels, by name or number."
    )
    always: str = option(default="", description="A condition; messages for which it holds always pass.")

    def on_init(self) -> None:
        """Check the rates, and compile the condition.

        Raises:
            OptionError: there is no such level, a rate is not between 0 and 1, or the condition is malformed.
        """
        super().on_init()
        self._rates: dict[float, float] = {}
        for name, rate in self.levels.items():
            try:
                number = level_number(name)
            except OptionError as error:
                raise OptionError(*(one.under("levels") for one in error.faults)) from error
            if not 0 <= rate <= 1:
                raise OptionError(
                    Fault(f"{self.label}: the rate of {name} is {rate}, and must be from 0 to 1", "levels")
                )
            self._rates[number] = rate
        self._always: Condition | None = None
        self._reads = [self.key] if self.key else []
        if self._rates:
            self._reads.append(LEVEL)
        if self.always:
            try:
                self._always = Condition(self.always)
                self._reads += self._always.reads
            except OptionError as error:
                raise OptionError(*(one.under("always") for one in error.faults)) from error
        self._random = random.Random().random  # noqa: S311 - no secret

    def fields_read(self) -> tuple[str, ...]:
        """The key, what levels are called, and those of the condition."""
        return (*self._reads,)

    def keeps_many(self, fields: Sequence[Any]) -> Sequence[bool]:
        """Which of them are chosen."""
        levels = map(level_number_of_fields, fields) if self._rates else repeat(None)
        values = values_of(fields, self.key) if self.key else repeat(None, len(fields))
        chosen = [*map(self._is_chosen, levels, values)]
        return [*map(or_, chosen, self._always.choose(fields))] if self._always else chosen

    def filter(self, message: Any) -> Any:
        """Return the message if it is chosen."""
        level = level_of(message) if self._rates else None
        if self._is_chosen(level, value_at(message, self.key) if self.key else None):
            return message
        return message if self._always and self._always.holds(message) else None

    def _is_chosen(self, level: float | None, value: Any) -> bool:
        """Whether its level, and the value of the key or chance, let a message pass."""
        rate = self.rate if level is None else self._rates.get(level, self.rate)
        if rate >= 1:
            return True
        if value is None:
            return self._random() < rate
        # From 0 up to 1, the same for the same value.
        return crc32(str(value).encode(errors="replace")) * _SPREAD % _BUCKETS / _BUCKETS < rate
