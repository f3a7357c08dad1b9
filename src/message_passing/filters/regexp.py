"""Parse lines with regular expressions from a file (Message::Passing::Filter::Regexp)."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any, Literal

from message_passing.errors import Fault, MessageError, OpenError, OptionError, did_you_mean
from message_passing.filters._regexfile import Pattern, RegexFile
from message_passing.flow import Filter
from message_passing.options import option
from message_passing.secure_files import read_file

_LARGEST = 1 << 20
"""Bytes of a regexfile."""


class RegexpFilter(Filter):
    r"""Parses the line in one key and puts its fields into another, `@fields`.

    The format of a line is defined in a regexfile:

        [FORMAT]
        :access = %date %status %bytes
        [REGEXP]
        %date = (?#=date)\[(?#=ts)\d{2}/\w{3}/\d{4}(?::\d{2}){3}(?#!ts) [-+]\d{4}\](?#!date)
        %status = (?#=status)\d+(?#!status)
        %bytes = (?#=bytes)\d+|-(?#!bytes)

    `(?#=name)` and `(?#!name)` mark the beginning and end of a field. The pieces are Perl regular expressions;
    what Python does not support, such as `\p{L}`, `\K` and recursion, is refused when the file is read.
    A format matches the whole line.

    The fields are added to those already there. A field that did not participate in the match is null. A message
    whose line does not match, or that has no such key, passes unchanged; the attribute `unmatched` counts
    these. Put `ToLogstash` before it: it accepts dicts, not lines.
    """

    name = "Regexp"
    example = MappingProxyType(
        {
            "regexfile": "/etc/message-passing/regexfile",
            "format": ":nginxaccesslog",
            "capture": ["ts", "status", "bytes"],
            "mutate": {"status": "number"},
        }
    )

    format: str = option(
        default=":default", description="Name of a format in the regexfile, or a format: `%date %status`."
    )
    regexfile: str = option(
        path=True,
        default="/etc/message-passing/regexfile",
        description="Path of the regexfile, which is read once, when the chain starts.",
        min_length=1,
    )
    capture: list[str] = option(
        default_factory=lambda: [":all"],
        description="Names of the fields to take. `:all` stands for all; `:none` discards those before it.",
    )
    mutate: dict[str, Literal["number", "string", "bool"]] = option(
        default_factory=dict,
        description="How to convert a field's text. `number`: a number, or null if it is not one. `bool`:"
        " false for an empty text, a zero, `false`, `no` and `off`. `string`: unchanged.",
    )
    fromto: dict[str, str | None] = option(
        default_factory=lambda: {"@message": "@fields"},
        description="The key of the line, and the key for its fields; null: into the message itself.",
    )

    def on_init(self) -> None:
        """Prepare; the regexfile is not read yet."""
        super().on_init()
        self.unmatched = 0
        self._pattern: Pattern | None = None

    def on_open(self) -> None:
        """Read the regexfile.

        Raises:
            OpenError: it cannot be read.
            OptionError: something in it, or an option that refers to it, is wrong.
        """
        try:
            content, _ = read_file(self.regexfile, "file", limit=_LARGEST)
            text = content.decode().replace("\r\n", "\n")
        except OSError as error:
            raise OpenError(Fault(f"cannot read {self.regexfile}: {error.strerror}", "regexfile")) from error
        except UnicodeDecodeError as error:
            raise OpenError(
                Fault(f"cannot read {self.regexfile}: not UTF-8: {error}", "regexfile")
            ) from error
        file = RegexFile(text, self.regexfile)
        self._pattern = file.pattern(self.format, self.capture)
        captured = [field for _, field in self._pattern.fields]
        known = {*file.fields(), *captured}
        strange = [name for name in self.mutate if name not in known]
        if strange:
            raise OptionError(
                *(
                    Fault(f"{self.regexfile} marks no field {name!r}{did_you_mean(name, known)}", "mutate")
                    for name in strange
                )
            )

    def filter(self, message: Any) -> Any:
        """Return the message with the fields of its line.

        Raises:
            MessageError: it is not a dict.
        """
        self.open()
        if not isinstance(message, dict) or self._pattern is None:
            raise MessageError("Regexp takes dicts, not lines: put ToLogstash (or a decoder) before it")
        matched = False
        for source, target in self.fromto.items():
            line = message.get(source)
            found = self._pattern.parse(line) if isinstance(line, str) else None
            if found is None:
                continue
            matched = True
            data = {name: _mutated(text, self.mutate.get(name)) for name, text in found.items()}
            if target is None:
                message.update(data)
            else:
                there = message.get(target)
                message[target] = {**there, **data} if isinstance(there, dict) else data
        self.unmatched += not matched
        return message


_NUMBER = re.compile(r"\s*[-+]?(?:\d+(\.\d*)?|(\.\d+))([eE][-+]?\d+)?\s*", re.ASCII)
_FALSE = frozenset({"", "false", "no", "off"})


def _mutated(text: str | None, kind: str | None) -> str | int | float | bool | None:
    if text is None or kind is None or kind == "string":
        return text
    number = _number(text)
    if kind == "number":
        return number
    return number != 0 and text.strip().casefold() not in _FALSE


def _number(text: str) -> int | float | None:
    match = _NUMBER.fullmatch(text)
    if not match:
        return None
    try:
        return float(text) if any(match.groups()) else int(text)
    except ValueError:  # more digits than Python turns into an int
        return float(text)
