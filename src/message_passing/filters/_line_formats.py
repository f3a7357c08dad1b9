"""Lines in the formats of other programs as fields: a function for each format, in time linear in the line.

Each takes a text and gives a dict, or raises ValueError with what does not fit. Times become ISO 8601 in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.filters._written_times import iso_in_zone, latest

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

_SYSLOG = re.compile(r"<(\d{1,3})>(?:(?P<version>\d{1,2}) )?")
_RFC5424 = re.compile(r"(?P<time>\S+) (?P<host>\S+) (?P<app>\S+) (?P<pid>\S+) (?P<msgid>\S+) ")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_BSD_TIME = (
    rf"(?:(?i:mon|tue|wed|thu|fri|sat|sun),? )?(?P<month>(?i:{'|'.join(_MONTHS)})) {{1,2}}(?P<day>\d{{1,2}})"
    r"(?: (?P<year>\d{4}))? (?P<hour>\d{1,2}):(?P<minute>\d{1,2}):(?P<second>\d{1,2})(?:[.,](?P<fraction>\d{1,9}))?"
    r"(?: (?P<late_year>(?:19|20)\d\d)(?=:? ))?(?: (?P<zone>UTC|GMT|Z|[+-]\d\d:?\d\d|[A-Z]{2,5}(?=: )))?"
)
_USUAL = re.compile(rf"{_BSD_TIME}:? ")
"""The time of RFC 3164, section 4.1.2, and what is seen besides: days and hours of one digit, a weekday, a year on
either side of the time of day, a fraction, and a zone."""

_CISCO = re.compile(
    r"(?:(?P<sequence>\d{1,10}): )?(?:(?P<host>[^\s:]+|[0-9A-Fa-f:.]+): )?(?:\d{1,10}: )?[*.:]?"
    rf"{_BSD_TIME}: (?=%)"
)
"""With `service sequence-numbers` and `logging origin-id`; * and . say that the clock is not right."""

_ISO = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d(?:T\S+?| \d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)):? "
)
_AFTER_TIME = re.compile(
    rf"(?:(?!(?i:{'|'.join(_MONTHS)}) {{1,2}}\d)(?P<host>[^\s:\[\]%]+"
    r"|\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*(?:%\w+)?) (?:: (?=%))?)?"
    r"(?:(?!CEF:\d|LEEF:\d)(?P<app>[^\s:\[\]]{1,128})(?:\[(?P<pid>[^\]\s]{1,128})\])?: ?)?(?P<message>.*)",
    re.DOTALL,
)
_ELEMENT = re.compile(r'\[([^\s="\]]+)((?: [^\s="\]]+="(?:[^"\\\]]|\\.)*")*)\]')
_PARAMETER = re.compile(r' ([^\s="\]]+)="((?:[^"\\\]]|\\.)*)"')
_PAIR = re.compile(r'([^\s="]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*)))?(?:\s+|$)')
_CEF = re.compile(r"CEF:(\d+)" + r"\|((?:[^|\\]|\\.)*)" * 6 + r"\|")
_CEF_KEY = re.compile(r"(?:^|(?<= ))([\w.\[\]-]{1,100})=")
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}

_FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *(
        "ntp",
        "audit",
        "alert",
        "clock",
        "local0",
        "local1",
        "local2",
        "local3",
        "local4",
        "local5",
        "local6",
        "local7",
    ),
)
_SEVERITIES = ("EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG")
"""RFC 5424, tables 1 and 2, with the names that `message_fields` knows."""

_NGINX_LEVELS = {"emerg": "EMERGENCY", "crit": "CRITICAL", "warn": "WARNING"}


def _unescaped(text: str, letters: str = "") -> str:
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


def _given(fields: dict[str, str | None]) -> dict[str, Any]:
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
        found[key] = _unescaped(quoted, "nrtux") if quoted is not None else True if plain is None else plain
        end = pair.end()
    if end != len(text) or not found:
        raise ValueError(f"it is no logfmt at {text[end : end + 20]!r}")
    if not any(isinstance(one, str) for one in found.values()):
        raise ValueError("it is no logfmt: it has words, and no key with a value")
    return found


def parse_access(text: str, zone: tzinfo) -> dict[str, Any]:
    """The common and the combined log format of Apache and nginx (httpd.apache.org/docs/current/logs.html)."""
    match = _ACCESS.fullmatch(text.rstrip("\r\n"))
    if not match:
        raise ValueError("it is no line of an access log")
    fields: dict[str, Any] = _given(match.groupdict())
    fields.pop("rest", None)
    for name in ("request", "referer", "agent"):
        if name in fields:
            fields[name] = _unescaped(fields[name])
    if fields.get("user") == '""':  # Apache's form of an empty name
        del fields["user"]
    fields["time"] = iso_in_zone(datetime.strptime(fields["time"], "%d/%b/%Y:%H:%M:%S %z"), zone)
    if request := _REQUEST.fullmatch(fields.get("request", "")):
        del fields["request"]
        fields |= _given(request.groupdict())
    return fields | {name: int(fields[name]) for name in ("status", "bytes") if name in fields}


def parse_nginx_error(text: str, zone: tzinfo) -> dict[str, Any]:
    """The error log of nginx (nginx.org/en/docs/ngx_core_module.html#error_log)."""
    match = _NGINX.fullmatch(text.rstrip("\r\n"))
    if not match:
        raise ValueError("it is no line of nginx's error log")
    fields: dict[str, Any] = _given(match.groupdict())
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
            name: _unescaped(pair[2].removeprefix('"').removesuffix('"')) for name, pair in pairs.items()
        }
        fields["message"] = message[: min(pair.start() for pair in pairs.values())] + message[end:]
    return fields | {name: int(fields[name]) for name in ("pid", "tid", "connection") if name in fields}


def parse_syslog(text: str, zone: tzinfo) -> dict[str, Any]:
    """A syslog message: RFC 5424, or the older form that RFC 3164 describes."""
    text = text.rstrip("\r\n\0")
    head = _SYSLOG.match(text)
    priority = int(head[1]) if head else None
    if head is None or priority is None or priority >= len(_FACILITIES) * 8:
        raise ValueError("it does not begin with a priority from <0> to <191>")
    fields = {"facility": _FACILITIES[priority >> 3], "level": _SEVERITIES[priority & 7]}
    if head["version"]:
        return fields | _rfc5424(text, head.end(), zone)
    return fields | _rfc3164(text, head.end(), zone)


def _rfc5424(text: str, begin: int, zone: tzinfo) -> dict[str, Any]:
    match = _RFC5424.match(text, begin)
    if not match:
        raise ValueError("it has no header of RFC 5424")
    fields: dict[str, Any] = _given(match.groupdict())
    if "time" in fields:
        fields["time"] = iso_in_zone(datetime.fromisoformat(fields["time"]), zone)
    end, data = match.end(), dict[str, dict[str, str]]()
    while element := _ELEMENT.match(text, end):
        data[element[1]] = {one[1]: _unescaped(one[2]) for one in _PARAMETER.finditer(element[2])}
        end = element.end()
    if not data and text[end : end + 1] == "-":
        end += 1
    elif not data:
        raise ValueError("it has no structured data of RFC 5424, and no - in its place")
    if data:
        fields["structured_data"] = data
    if message := text[end:].removeprefix(" ").removeprefix("\ufeff"):
        fields["message"] = message
    return fields


def _rfc3164(text: str, begin: int, zone: tzinfo) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if iso := _ISO.match(text, begin):
        begin, found["time"] = (
            iso.end(),
            iso_in_zone(datetime.fromisoformat(iso["time"].replace(",", ".")), zone),
        )
    elif time := _USUAL.match(text, begin):
        begin, found["time"] = time.end(), _bsd_time(time, zone)
    elif time := _CISCO.match(text, begin):
        begin, found["time"] = time.end(), _bsd_time(time, zone)
        found |= _given({"host": time["host"]})
        if time["sequence"]:
            found["sequence"] = int(time["sequence"])
    match = _AFTER_TIME.fullmatch(text, begin)
    found |= _given(match.groupdict()) if match else {"message": text[begin:]}
    if "host" in found:
        found["host"] = found["host"].strip("[]")
    return found


def _bsd_time(parts: re.Match[str], zone: tzinfo) -> str:
    """A time without a year is of the last twelve months, or of the next day: clocks differ."""
    named = parts["zone"] or ""
    if named in ("UTC", "GMT", "Z"):
        zone = UTC
    elif named[:1] in ("+", "-"):
        zone = datetime.strptime(named, "%z").tzinfo or zone
    month, micro = _MONTHS.index(parts["month"].lower()) + 1, int(f"{(parts['fraction'] or '')[:6]:0<6}")
    hour, minute, second = map(int, parts.group("hour", "minute", "second"))

    def in_year(year: int) -> datetime:
        return datetime(year, month, int(parts["day"]), hour, minute, second, micro, zone)

    year = parts["year"] or parts["late_year"]
    moment = in_year(int(year)) if year else latest(in_year, parts[0].strip(), zone)
    if named.isalpha() and zone is not UTC and moment.tzname() != named:
        text = f"it has the time zone {named!r}, which is ambiguous"
        raise ValueError(f"{text}: say with `timezone` which one it is")
    return iso_in_zone(moment, zone)


def parse_cef(text: str, _zone: tzinfo) -> dict[str, Any]:
    """ArcSight's Common Event Format, also behind a syslog header."""
    begin = text.find("CEF:")
    match = _CEF.match(text, begin) if begin >= 0 else None
    if not match:
        raise ValueError("it has no header of CEF")
    names = ("version", "vendor", "product", "device_version", "signature", "name", "severity")
    fields: dict[str, Any] = dict(zip(names, map(_unescaped, match.groups()), strict=True))
    rest = text[match.end() :].rstrip("\r\n")
    keys = [*_CEF_KEY.finditer(rest)]
    ends = [one.start() - 1 for one in keys[1:]] + [len(rest)]
    return fields | {
        f"extension_{one[1]}" if one[1] in fields else one[1]: _unescaped(
            rest[one.end() : end].rstrip(), "nr"
        )
        for one, end in zip(keys, ends, strict=False)  # without keys there is an end all the same
    }


PARSERS: dict[str, LineParser] = {
    "json": parse_json,
    "logfmt": parse_logfmt,
    "clf": parse_access,
    "combined": parse_access,
    "nginx_error": parse_nginx_error,
    "syslog": parse_syslog,
    "cef": parse_cef,
}
