"""Lines in the formats of other programs as fields: a function for each format, in time linear in the line.

Each takes a text and gives a dict, or raises ValueError with what does not fit. Times become ISO 8601 in UTC.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.filters._written_times import iso_in_zone

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    LineParser = Callable[[str, tzinfo], dict[str, Any]]

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_ACCESS = re.compile(
    rf"(?P<client>\S+) \S+ (?P<user>-|(?!- )[^\[]+) \[(?P<time>[^\]]+)\] {_QUOTED.replace('(', '(?P<request>', 1)}"
    r" (?P<status>\d{3}|-) (?P<bytes>\d+|-)"
    rf"(?: {_QUOTED.replace('(', '(?P<referer>', 1)} {_QUOTED.replace('(', '(?P<agent>', 1)})?(?P<rest>[ ].*)?",
    re.DOTALL,
)
_REQUEST = re.compile(r"(?P<method>[A-Z-]+) (?P<path>\S+)(?: (?P<protocol>HTTP/[\d.]+))?")
_NGINX = re.compile(
    r"(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(?P<level>\w+)\] (?P<pid>\d+)#(?P<tid>\d+):"
    r"(?: \*(?P<connection>\d+))? (?P<message>.*)",
    re.DOTALL,
)
_NGINX_PAIR = re.compile(
    r', (client|server|request|subrequest|upstream|host|referrer|login|session): ("(?:[^"\\]|\\.)*"|[^,"]*)'
)
_NGINX_COUNTS = re.compile(r"(?:, bytes from/to (?:client|upstream):\d+/\d+){0,4}+\Z")
"""What the stream module adds behind them."""

_PAIR = re.compile(r'([^\s="]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*)))?(?:\s+|$)')
_QUOTED_VALUE = re.compile(r'(?P<blanks>\s*+)"(?P<text>(?:[^"\\]|\\.)*+)"', re.DOTALL)
_CEF = re.compile(r"CEF:(\d+)" + r"\|((?:[^|\\]|\\.)*)" * 6 + r"\|")
_CEF_KEY = re.compile(r"(?:^|(?<= ))([\w.\[\]-]{1,100})=")
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}

_NGINX_LEVELS = {"emerg": "EMERGENCY", "crit": "CRITICAL", "warn": "WARNING"}


def unescaped(text: str, letters: str = "") -> str:
    """A text without backslashes before signs; of what they do before letters, only these are meant."""

    def meant(found: re.Match[str]) -> str:
        sign = found[1]
        if sign.isalnum() and sign[0] not in letters:
            return found[0]
        if len(sign) > 1:
            return chr(int(sign[1:], 16))
        return _LETTERS.get(sign, sign)

    if "\\" not in text:
        return text
    text = _ESCAPE.sub(meant, text)
    # Two halves of a character become it, and a half alone is no text.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if "u" in letters else text


def stated(fields: dict[str, str | None]) -> dict[str, Any]:
    """Those that are there: `-` says that there is none."""
    return {name: value for name, value in fields.items() if value not in (None, "-")}


def parse_json(text: str, _zone: tzinfo) -> dict[str, Any]:
    """A JSON object."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ValueError(f"it is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"it is no JSON object, but {type(found).__name__}")  # noqa: TRY004 - of the text, not of a type
    return found


def parse_logfmt(text: str, _zone: tzinfo) -> dict[str, Any]:
    """`level=info msg="a text" flag`: values are texts, a key alone is true (brandur.org/logfmt)."""
    found: dict[str, Any] = {}
    text, end = text.strip(), 0
    for pair in _PAIR.finditer(text):
        if pair.start() != end:
            break
        key, quoted, plain = pair.groups()
        found[key] = unescaped(quoted, "nrtux") if quoted is not None else True if plain is None else plain
        end = pair.end()
    if end != len(text) or not found:
        raise ValueError(f"it is no logfmt at {text[end : end + 20]!r}")
    if not any(isinstance(one, str) for one in found.values()):
        raise ValueError("it is no logfmt: it has words, and no key with a value")
    return found


def key_value_parser(between: str = ",", after_key: str = "=") -> LineParser:
    """A function that parses `a=1, b="x, y", flag`, with any separators; without blanks around both."""
    blanks = "".join(sign for sign in " \t\r\n" if sign not in between)

    def parse(text: str, _zone: tzinfo) -> dict[str, Any]:
        found: dict[str, Any] = {}
        text, begin, key_end = text.strip(), 0, -1
        while begin < len(text):
            end = text.find(between, begin)
            end = end if end >= 0 else len(text)
            if key_end < begin:
                key_end = text.find(after_key, begin)
                key_end = key_end if key_end >= 0 else len(text)
            key = text[begin : min(key_end, end)].strip()
            value: str | bool = True
            if key_end < end:
                value_begin = key_end + len(after_key)
                quote = _QUOTED_VALUE.match(text, value_begin)
                if quote and not quote["blanks"].strip(blanks):
                    end = text.find(between, quote.end())
                    end = end if end >= 0 else len(text)
                    if text[quote.end() : end].strip():
                        raise ValueError(f"it is no key and value at {text[begin : begin + 20]!r}")
                    value = unescaped(quote["text"], "nrtux")
                else:
                    value = text[value_begin:end].strip()
            if not key and value is not True:
                raise ValueError(f"it has no key at {text[begin : begin + 20]!r}")
            if key:
                found[key.removeprefix('"').removesuffix('"')] = value
            begin = end + len(between)
        if not any(isinstance(one, str) for one in found.values()):
            raise ValueError(f"it has no key with a value, as in key{after_key}value")
        return found

    return parse


def parse_access(text: str, zone: tzinfo) -> dict[str, Any]:
    """The common and the combined log format of Apache and nginx (httpd.apache.org/docs/current/logs.html)."""
    match = _ACCESS.fullmatch(text.rstrip("\r\n"))
    if not match:
        raise ValueError("it is no line of an access log")
    fields: dict[str, Any] = stated(match.groupdict())
    fields.pop("rest", None)
    for name in ("request", "referer", "agent"):
        if name in fields:
            fields[name] = unescaped(fields[name])
    if fields.get("user") == '""':  # Apache's form of an empty name
        del fields["user"]
    fields["time"] = iso_in_zone(datetime.strptime(fields["time"], "%d/%b/%Y:%H:%M:%S %z"), zone)
    if request := _REQUEST.fullmatch(fields.get("request", "")):
        del fields["request"]
        fields |= stated(request.groupdict())
    return fields | {name: int(fields[name]) for name in ("status", "bytes") if name in fields}


def parse_nginx_error(text: str, zone: tzinfo) -> dict[str, Any]:
    """The error log of nginx (nginx.org/en/docs/ngx_core_module.html#error_log)."""
    match = _NGINX.fullmatch(text.rstrip("\r\n"))
    if not match:
        raise ValueError("it is no line of nginx's error log")
    fields: dict[str, Any] = stated(match.groupdict())
    fields["time"] = iso_in_zone(
        datetime.strptime(fields["time"], "%Y/%m/%d %H:%M:%S").replace(tzinfo=zone), zone
    )
    fields["level"] = _NGINX_LEVELS.get(fields["level"], fields["level"].upper())
    message = fields.get("message", "")
    counts = _NGINX_COUNTS.search(message)
    end = counts.start() if counts else len(message)
    pairs: dict[str, re.Match[str]] = {}  # each once, at the end: others are of the message
    last = -1
    for pair in _NGINX_PAIR.finditer(message, 0, end):
        if pair.start() != last or pair[1] in pairs:
            pairs = {}
        pairs[pair[1]], last = pair, pair.end()
    if pairs and last == end:
        fields |= {
            name: unescaped(pair[2].removeprefix('"').removesuffix('"')) for name, pair in pairs.items()
        }
        fields["message"] = message[: min(pair.start() for pair in pairs.values())] + message[end:]
    return fields | {name: int(fields[name]) for name in ("pid", "tid", "connection") if name in fields}


def parse_cef(text: str, _zone: tzinfo) -> dict[str, Any]:
    """ArcSight's Common Event Format, also behind a syslog header."""
    begin = text.find("CEF:")
    match = _CEF.match(text, begin) if begin >= 0 else None
    if not match:
        raise ValueError("it has no header of CEF")
    names = ("version", "vendor", "product", "device_version", "signature", "name", "severity")
    fields: dict[str, Any] = dict(zip(names, map(unescaped, match.groups()), strict=True))
    rest = text[match.end() :].rstrip("\r\n")
    keys = [*_CEF_KEY.finditer(rest)]
    ends = [one.start() - 1 for one in keys[1:]] + [len(rest)]
    return fields | {
        f"extension_{one[1]}" if one[1] in fields else one[1]: unescaped(rest[one.end() : end].rstrip(), "nr")
        for one, end in zip(keys, ends, strict=False)  # without keys there is an end all the same
    }
