"""Pass on the messages for which a condition holds."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.conditions import Condition
from message_passing.errors import OptionError
from message_passing.flow import Filter
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Sequence


class WhereFilter(Filter):
    """Passes a message on if a condition holds for it; other messages are filtered out.

    `level >= "WARNING" and not path.startswith("/health")`: fields by name, compared as in Python.
    [Conditions](../guide-filters.md#conditions) lists all that one can say. A field that is missing is None; for it,
    nothing but `!=`, `is None` and `not` holds. No message makes a condition fail.
    """

    name = "Where"
    reads = ()
    example = MappingProxyType({"condition": 'level >= "WARNING" and not path.startswith("/health")'})

    condition: str = option(description="The condition, in Python's expression syntax.", min_length=1)

    def on_init(self) -> None:
        """Compile the condition.

        Raises:
            OptionError: it is malformed, or has something that no condition may have.
        """
        super().on_init()
        try:
            self._condition = Condition(self.condition)
        except OptionError as error:
            raise OptionError(*(one.under("condition") for one in error.faults)) from error

    def fields_read(self) -> tuple[str, ...]:
        """Those of the condition."""
        return self._condition.reads

    def keeps_many(self, fields: Sequence[Any]) -> Sequence[bool]:
        """For which of them it holds."""
        return self._condition.choose(fields)

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Return those messages for which it holds."""
        return self._condition.keep(messages)
