"""Set fields of messages: to constants, to text with other fields in it, or to the value of an expression."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from message_passing.conditions import Condition
from message_passing.dotted import one_within_another, with_value
from message_passing.errors import Fault, OptionError, UserError
from message_passing.flow import Filter
from message_passing.options import option
from message_passing.text_template import TextTemplate


class SetFilter(Filter):
    """Sets fields of each message.

    `fields`: a text may contain other fields in braces, `{user.name} from {ip}`, and the message's own time (or the
    present) in UTC, `{time:%Y-%m-%d}`; `{{` and `}}` are single braces, and a field that is missing is an empty text.
    Any other value is set as it is.

    `expressions`: the value of an expression in the language of [conditions](../guide-filters.md#conditions), such as
    `took * 1000` or `status >= 500`. All of them see the message as it came. What cannot be calculated is null.

    `user.name` is the field `name` of the dict in the field `user`, which is created if there is none. A message that
    is not an object passes unchanged.
    """

    name = "Set"
    example = MappingProxyType(
        {"fields": {"env": "production", "title": "{level} on {host}"}, "expressions": {"slow": "took > 1.5"}}
    )

    fields: dict[str, Any] = option(
        default_factory=dict,
        description="The value of each field: a text with fields in braces, or a constant.",
    )
    expressions: dict[str, str] = option(default_factory=dict, description="The expression for each field.")

    def on_init(self) -> None:
        """Compile texts and expressions.

        Raises:
            OptionError: one is malformed, or there is none.
        """
        super().on_init()
        if not self.fields and not self.expressions:
            raise OptionError(Fault(f"{self.label}: set `fields`, `expressions` or both"))
        self._constants: dict[str, Any] = {}
        self._computed: dict[str, TextTemplate | Condition] = {}
        faults: list[Fault] = []
        for option_name, given, make in (
            ("fields", self.fields, TextTemplate),
            ("expressions", self.expressions, Condition.expression),
        ):
            for name, value in given.items():
                if not isinstance(value, str):
                    self._constants[name] = value
                    continue
                try:
                    self._computed[name] = make(value)
                except UserError as error:
                    faults += [one.under(name).under(option_name) for one in error.faults]
        if found := one_within_another([*self.fields, *self.expressions]):
            inner, outer = found
            text = f"{self.label}: {inner!r} is within {outer!r}, which is set as well: one of the two would be lost"
            faults.append(Fault(text, "fields" if inner in self.fields else "expressions"))
        for name in self.fields:
            if name in self.expressions:
                faults.append(
                    Fault(f"{self.label}: {name!r} is in `fields` and in `expressions`", "expressions")
                )
        if faults:
            raise OptionError(*faults)

    def filter(self, message: Any) -> Any:
        """Return the message with these fields."""
        if not isinstance(message, dict):
            return message
        changed = message
        for name, value in self._constants.items():
            changed = with_value(changed, name, value)
        for name, made in self._computed.items():
            changed = with_value(changed, name, made.value(message))
        return changed
