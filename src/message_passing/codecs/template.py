"""Encode objects as lines of text by a template, as log files are written. The original has no such codec."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from message_passing.dotted import ABSENT, value_at
from message_passing.errors import EncodingError, OptionError
from message_passing.flow import Encoder
from message_passing.options import option
from message_passing.text_template import TextTemplate


class TemplateEncoder(Encoder):
    """Writes an object as text, in UTF-8, with its fields in their places: `{time} {host} {app}: {message}`.

    `{user.name}` is a field, also a nested one, and `{time:%b %d %H:%M:%S}` the message's own time (or the present)
    in UTC; `{{` and `}}` are single braces. A field that is missing or null is an empty text, and what is no text is
    written as JSON. An object that has none of the fields fails.

    Outputs that write lines escape line breaks in it, so that no sender can forge a line. Text and
    bytes pass unchanged.
    """

    name = "Template"
    example = MappingProxyType({"template": "{time} {level} {host}: {message}"})

    template: str = option(default="{message}", description="The text, with fields in braces.", min_length=1)

    def on_init(self) -> None:
        """Compile the template.

        Raises:
            OptionError: it is malformed.
        """
        super().on_init()
        try:
            self._template = TextTemplate(self.template)
        except OptionError as error:
            raise OptionError(*(one.under("template") for one in error.faults)) from error

    def filter(self, message: Any) -> Any:
        """Encode one message.

        Raises:
            EncodingError: it is neither an object, text nor bytes, or has none of the template's fields.
        """
        if isinstance(message, (str, bytes, bytearray, memoryview)):
            return message
        if not isinstance(message, dict):
            text = f"{self.label}: it is no object, text or bytes, but {type(message).__name__}"
            raise EncodingError(text)
        fields = self._template.fields
        if fields and all(value_at(message, name, ABSENT) is ABSENT for name in fields):
            raise EncodingError(f"{self.label}: it has none of the fields {', '.join(fields)}"[:200])
        return self._template.value(message).encode("utf-8", "backslashreplace")
