"""Parse text in the formats of other programs into fields."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from message_passing.conditions.patterns import refuse_exponential
from message_passing.dotted import ABSENT, value_at, with_value, without
from message_passing.errors import Fault, MessageError, OptionError
from message_passing.filters._line_formats import PARSERS, known_time, time_as
from message_passing.flow import Filter
from message_passing.options import option

_FREE_TIME = ("json", "logfmt", "regex")
"""Formats in which a time has whatever form the program gave it."""

if TYPE_CHECKING:
    from datetime import tzinfo


class ParseFilter(Filter):
    """Parses a field of each message, or a message that is text, and adds the fields it finds.

    | `format` | what it finds |
    |---|---|
    | `json` | the fields of a JSON object |
    | `logfmt` | the keys; values are texts, and a key without one is true |
    | `clf`, `combined` | access logs: `client user time method path protocol status bytes`, and `referer agent` |
    | `nginx_error` | nginx's error log: `time level pid tid connection message client server request upstream host` |
    | `syslog` | RFC 5424 and 3164: `facility level time host app pid msgid message`, and `structured_data` |
    | `cef` | Common Event Format: `vendor product device_version signature name severity`, and its extensions |
    | `regex` | the named groups of `regex` that took part |

    `time` becomes ISO 8601 in UTC, so that later components know it: in `json`, `logfmt` and `regex`, if it has one
    of the forms of the other formats, or the form `time_format`. What does not fit goes to the error chain with the
    reason, or with `on_failure` `pass` it is passed on unchanged but for a field `parse_error`. A message without the
    field passes unchanged.
    """

    name = "Parse"
    example = MappingProxyType({"format": "combined"})

    format: Literal["json", "logfmt", "clf", "combined", "nginx_error", "syslog", "cef", "regex"] = option(
        description="The format of the text."
    )
    field: str = option(
        default="message",
        description="The field that holds the text; a message that is text is parsed as a whole.",
    )
    into: str = option(
        default="",
        description="The field that receives the parsed values. Empty: they replace fields of the message itself.",
    )
    regex: str = option(
        default="", description="For `regex`: a regular expression with named groups, for the whole text."
    )
    remove: bool = option(default=False, description="Remove the field that was parsed.")
    on_failure: Literal["fail", "pass"] = option(
        default="fail", description="What happens to a message whose text does not match: see above."
    )
    timezone: str = option(
        default="UTC", description="The time zone of times without one, such as `Europe/Berlin`."
    )

    time_format: str = option(
        default="",
        description="For `json`, `logfmt` and `regex`: the form of `time`, with the letters of strftime, such as "
        "`%d.%m.%Y %H:%M:%S`. A message whose time has another form does not match.",
    )

    def on_init(self) -> None:
        """Compile the regular expression, and find the time zone.

        Raises:
            OptionError: one is malformed, or given for another format.
        """
        super().on_init()
        if bool(self.regex) is not (self.format == "regex"):
            text = "has no effect" if self.regex else "is missing"
            raise OptionError(Fault(f"{self.label}: `regex` {text} with the format {self.format}", "regex"))
        try:
            self._zone: tzinfo = ZoneInfo(self.timezone)
        except (ValueError, OSError, ZoneInfoNotFoundError) as error:
            text = f"{self.label}: there is no time zone {self.timezone!r} here"
            raise OptionError(Fault(text, "timezone")) from error
        self._free_time = self.format in _FREE_TIME
        if self.time_format:
            self._check_time_format()
        self._parse = PARSERS.get(self.format, self._by_regex)
        if self.regex:
            try:
                self._pattern = refuse_exponential(self.regex)
            except ValueError as error:
                raise OptionError(Fault(f"{self.label}: {error}", "regex")) from error
            if not self._pattern.groupindex:
                text = f"{self.label}: it has no named group, such as (?P<status>\\d+)"
                raise OptionError(Fault(text, "regex"))

    def _check_time_format(self) -> None:
        form, problem = self.time_format, ""
        sample = datetime(2023, 11, 25, 10, 20, 30, tzinfo=UTC)
        try:
            if not self._free_time:
                problem = f"has no effect with the format {self.format}"
            elif "%Z" in form:
                problem = "has %Z, but names of time zones are ambiguous: use %z, or the option `timezone`"
            elif not time_as(sample.strftime(form), form, UTC).startswith("2023"):
                problem = "has no year (%Y)"
        except ValueError as error:
            problem = f"cannot be used: {error}"
        if problem:
            raise OptionError(Fault(f"{self.label}: `time_format` {problem}", "time_format"))

    def filter(self, message: Any) -> Any:
        """Return the message with what was found.

        Raises:
            MessageError: the text does not fit.
        """
        whole = not isinstance(message, dict)
        text = message if whole else value_at(message, self.field, ABSENT)
        if text is ABSENT:
            return message
        fields: dict[str, Any] = {} if whole else message
        try:
            found = self._parse(_as_text(text), self._zone)
            if self._free_time and "time" in found:
                found["time"] = self._time(found["time"])
        except (ValueError, OverflowError) as error:
            if self.on_failure == "fail":
                raise MessageError(f"{self.label}: {error}") from error
            kept = {self.field: _shown(text)} if whole else message
            return {**kept, "parse_error": str(error)}
        if self.remove:
            fields = without(fields, self.field)
        return with_value(fields, self.into, found) if self.into else {**fields, **found}

    def _time(self, value: Any) -> Any:
        return (
            time_as(str(value), self.time_format, self._zone)
            if self.time_format
            else known_time(value, self._zone)
        )

    def _by_regex(self, text: str, _zone: tzinfo) -> dict[str, Any]:
        match = self._pattern.fullmatch(text)
        if not match:
            raise ValueError("the regular expression does not match")
        return {name: value for name, value in match.groupdict().items() if value is not None}


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode()
    raise ValueError(f"it is no text, but {type(value).__name__}")


def _shown(value: Any) -> Any:
    return bytes(value).decode(errors="replace") if isinstance(value, (bytes, bytearray)) else value
