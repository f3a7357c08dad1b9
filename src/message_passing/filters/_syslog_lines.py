"""Syslog messages as fields, by RFC 5424, or as RFC 3164 describes them and devices send them, in linear time.

They are given and refused as in `_line_formats`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from message_passing.filters._line_formats import stated, unescaped
from message_passing.filters._written_times import iso_in_zone, latest

if TYPE_CHECKING:
    from datetime import tzinfo

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
    fields: dict[str, Any] = stated(match.groupdict())
    if "time" in fields:
        fields["time"] = iso_in_zone(datetime.fromisoformat(fields["time"]), zone)
    end, data = match.end(), dict[str, dict[str, str]]()
    while element := _ELEMENT.match(text, end):
        data[element[1]] = {one[1]: unescaped(one[2]) for one in _PARAMETER.finditer(element[2])}
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
        found |= stated({"host": time["host"]})
        if time["sequence"]:
            found["sequence"] = int(time["sequence"])
    match = _AFTER_TIME.fullmatch(text, begin)
    found |= stated(match.groupdict()) if match else {"message": text[begin:]}
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
