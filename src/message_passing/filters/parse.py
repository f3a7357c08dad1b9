"""Parse text in the formats of other programs into fields."""

from __future__ import annotations

from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from message_passing.conditions.patterns import refuse_exponential
from message_passing.dotted import ABSENT, value_at, with_value, without
from message_passing.errors import Fault, MessageError, OptionError
from message_passing.filters._grok import GrokPattern
from message_passing.filters._line_formats import (
    key_value_parser,
    parse_access,
    parse_cef,
    parse_json,
    parse_logfmt,
    parse_nginx_error,
)
from message_passing.filters._syslog_lines import parse_syslog
from message_passing.filters._written_times import time_by
from message_passing.flow import Filter
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from message_passing.filters._line_formats import LineParser

PARSERS: dict[str, LineParser] = {
    "json": parse_json,
    "logfmt": parse_logfmt,
    "key_value": key_value_parser(),
    "clf": parse_access,
    "combined": parse_access,
    "nginx_error": parse_nginx_error,
    "syslog": parse_syslog,
    "cef": parse_cef,
}
"""By the names of the formats."""


class ParseFilter(Filter):
    """Parses a field of each message, or a message that is text, and adds the fields it finds.

    | `format` | what it finds |
    |---|---|
    | `json` | the fields of a JSON object |
    | `logfmt` | the keys; values are texts, and a key without one is true |
    | `key_value` | the same of pairs with other separators: `a=1, b="x, y"`, or `a: 1; b: x` |
    | `clf`, `combined` | access logs: `client user time method path protocol status bytes`, and `referer agent` |
    | `nginx_error` | nginx's error log: `time level pid tid connection message client server request upstream host` |
    | `syslog` | RFC 5424 and 3164: `facility level time host app pid msgid message`, and `structured_data` |
    | `cef` | Common Event Format: `vendor product device_version signature name severity`, and its extensions |
    | `regex` | the named groups of `regex` that took part |
    | `grok` | the fields of `pattern`, such as `%{IP:client} %{WORD:method} %{NUMBER:took:float}` |

    `time` becomes ISO 8601 in UTC, so that later components know it; with `json`, `logfmt`, `key_value`, `cef`,
    `regex` and `grok` if `time_field` names it, or `time_format` says how it is written. What does not fit goes to
    the error chain with the reason, or with `on_failure` `pass` it is passed on unchanged but for a field
    `parse_error`. A message without the field passes unchanged.

    Of a key that occurs twice, the last value counts. An extension of CEF that is called as a field of its header is
    `extension_name`, for one.
    """

    name = "Parse"
    example = MappingProxyType({"format": "combined"})

    format: Literal[
        "json", "logfmt", "key_value", "clf", "combined", "nginx_error", "syslog", "cef", "regex", "grok"
    ] = option(description="The format of the text.")
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
    pattern: str = option(default="", description="For `grok`: the pattern, for the whole text.")
    patterns: dict[str, str] = option(
        default_factory=dict, description="For `grok`: further patterns, by the names that `pattern` uses."
    )
    pair_separator: str = option(
        default="", description="For `key_value`: what stands between two pairs. Default: a comma."
    )
    key_separator: str = option(
        default="", description="For `key_value`: what stands between key and value. Default: `=`."
    )
    time_format: str = option(
        default="",
        description="How the time is written: in the codes of strptime, `iso8601`, or `epoch` for a number. "
        "Without it, what `time_field` names is ISO 8601 (RFC 3339), or a number of seconds (milliseconds and so on, "
        "by its size) since 1970.",
    )
    time_field: str = option(
        default="",
        description="The field found that holds the time. With `time_format`, it is `time` by default.",
    )
    remove: bool = option(default=False, description="Remove the field that was parsed.")
    on_failure: Literal["fail", "pass"] = option(
        default="fail", description="What happens to a message whose text does not match: see above."
    )
    timezone: str = option(
        default="UTC", description="The time zone of times without one, such as `Europe/Berlin`."
    )

    def on_init(self) -> None:
        """Compile the regular expression, and find the time zone.

        Raises:
            OptionError: one is malformed, or given for another format.
        """
        super().on_init()
        for name, given, of in (
            ("regex", self.regex, "regex"),
            ("pattern", self.pattern, "grok"),
            ("patterns", self.patterns, "grok"),
            ("pair_separator", self.pair_separator, "key_value"),
            ("key_separator", self.key_separator, "key_value"),
        ):
            needed = self.format == of
            if bool(given) is not needed and (given or name in ("regex", "pattern")):
                text = "has no effect" if given else "is missing"
                raise OptionError(Fault(f"{self.label}: `{name}` {text} with the format {self.format}", name))
        try:
            self._zone: tzinfo = ZoneInfo(self.timezone)
        except (ValueError, OSError, ZoneInfoNotFoundError) as error:
            text = f"{self.label}: there is no time zone {self.timezone!r} here"
            raise OptionError(Fault(text, "timezone")) from error
        self._parse = PARSERS.get(self.format, self._by_regex)
        if self.format == "key_value":
            between, after_key = self.pair_separator or ",", self.key_separator or "="
            if between == after_key:
                text = f"{self.label}: pairs, and key and value, are both separated by {between!r}"
                raise OptionError(Fault(text, "pair_separator"))
            self._parse = key_value_parser(between, after_key)
        with self._naming("time_format"):
            timed = self.time_format or self.time_field
            self._as_time = time_by(self.time_format) if timed else None
        self._time_field = self.time_field or "time"
        if self.pattern:
            with self._naming("pattern"):
                grok = GrokPattern(self.pattern, self.patterns)
            self._parse = lambda text, _zone: grok.found(text)
        elif self.regex:
            with self._naming("regex"):
                self._pattern = refuse_exponential(self.regex)
                if not self._pattern.groupindex:
                    raise ValueError("it has no named group, such as (?P<status>\\d+)")

    @contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        """What is wrong within the block is so with an option."""
        try:
            yield
        except ValueError as error:
            raise OptionError(Fault(f"{self.label}: {error}", name)) from error

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
            if self._as_time and (moment := value_at(found, self._time_field)) is not None:
                found = with_value(found, self._time_field, self._as_time(moment, self._zone))
        except (ValueError, OverflowError) as error:
            if self.on_failure == "fail":
                raise MessageError(f"{self.label}: {error}") from error
            kept = {self.field: _shown(text)} if whole else message
            return {**kept, "parse_error": str(error)}
        if self.remove:
            fields = without(fields, self.field)
        return with_value(fields, self.into, found) if self.into else {**fields, **found}

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
