"""The filter Parse."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import finished
from message_passing.errors import OptionError
from message_passing.filters.parse import PARSERS, ParseFilter
from support import Kept, accounted_for

ACCESS = (
    '192.0.2.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.0" 200 2326'
    ' "http://www.example.com/start.html" "Mozilla/4.08 \\"x\\" [en]"'
)
FOUND: dict[str, Any] = {
    "client": "192.0.2.1",
    "user": "frank",
    "time": "2000-10-10T20:55:36.000000Z",
    "method": "GET",
    "path": "/a?b=c",
    "protocol": "HTTP/1.0",
    "status": 200,
    "bytes": 2326,
    "referer": "http://www.example.com/start.html",
    "agent": 'Mozilla/4.08 "x" [en]',
}


def parsed(message: Any, **options: Any) -> Any:
    """What becomes of a message; or the reason why it failed."""
    kept, errors = Kept(), Kept()
    parse = ParseFilter(**options, output_to=kept, error=errors)
    parse.consume(message)
    assert accounted_for(parse)
    return kept.messages[0] if kept.messages else errors.messages[0]["exception"]


def test_as_it_is_typed() -> None:
    """From lines of an access log to objects."""
    words = ("--input", "STDIN", "--decoder", "Null", "--filter", "Parse", "--filter_options")
    done = finished(*words, '{"format":"combined"}', "--output", "STDOUT", given=ACCESS.encode() + b"\n")
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out) == FOUND


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("combined", ACCESS, FOUND),
        ("clf",
         '::1 - - [10/Oct/2000:13:55:36 +0000] "-" 408 -',
         {"client": "::1", "time": "2000-10-10T13:55:36.000000Z", "status": 408}),
        ("clf", 'h - - [10/Oct/2000:13:55:36 +0000] "\\x16\\x03" 400 0 "-" "-" extra',
         {"client": "h", "time": "2000-10-10T13:55:36.000000Z", "status": 400, "bytes": 0, "request": "\\x16\\x03"}),
        ("clf", '1.2.3.4 - john doe [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 1',
         {"client": "1.2.3.4", "user": "john doe", "time": "2000-10-10T13:55:36.000000Z", "method": "GET",
          "path": "/", "protocol": "HTTP/1.1", "status": 200, "bytes": 1}),
        ("clf", 'h - "" [10/Oct/2000:13:55:36 +0000] "" 400 0',
         {"client": "h", "time": "2000-10-10T13:55:36.000000Z", "request": "", "status": 400, "bytes": 0}),
        ("json", '{"a": 1, "b": [2]}', {"a": 1, "b": [2]}),
        ("logfmt", r'a="x\ny\t\"\\t\"" b="\u00e9\ud83d\ude00\ud800" c="\d" d==x',
         {"a": 'x\ny\t"\\t"', "b": "é\U0001f600\ufffd", "c": r"\d", "d": "=x"}),
        ("logfmt",
         'level=info msg="a \\"b\\" c" took=5ms flag empty=',
         {"level": "info", "msg": 'a "b" c', "took": "5ms", "flag": True, "empty": ""}),
        ("nginx_error",
         ('2026/11/26 12:00:00 [crit] 12#34: *56 open() "/x" failed (2: No such file), client:'
          ' 192.0.2.1, server: _, request: "GET / HTTP/1.1", host: "h"'),
         {"time": "2026-11-26T12:00:00.000000Z", "level": "CRITICAL", "pid": 12, "tid": 34, "connection": 56,
          "message": 'open() "/x" failed (2: No such file)', "client": "192.0.2.1", "server": "_",
          "request": "GET / HTTP/1.1", "host": "h"}),
        ("nginx_error",
         ('2026/11/26 12:00:00 [error] 1#2: *3 open() "/a, client: 6.6.6.6" failed, client: 7.7.7.7,'
          ' client: 192.0.2.1, server: a b, request: "GET /, host: \\"q\\"", subrequest: "/auth"'
          ', upstream: "http://[::1]:80/"'),
         {"time": "2026-11-26T12:00:00.000000Z", "level": "ERROR", "pid": 1, "tid": 2, "connection": 3,
          "message": 'open() "/a, client: 6.6.6.6" failed, client: 7.7.7.7', "client": "192.0.2.1", "server": "a b",
          "request": 'GET /, host: "q"', "subrequest": "/auth", "upstream": "http://[::1]:80/"}),
        ("nginx_error",
         ("2026/11/26 12:00:00 [info] 1#2: *3 client disconnected, client: ::1, server: [::]:9"
          ", bytes from/to client:0/1, bytes from/to upstream:2/3"),
         {"time": "2026-11-26T12:00:00.000000Z", "level": "INFO", "pid": 1, "tid": 2, "connection": 3,
          "message": "client disconnected, bytes from/to client:0/1, bytes from/to upstream:2/3", "client": "::1",
          "server": "[::]:9"}),
        ("syslog", "<13>h CEF:0|a|b|c|d|e|f|g=h",
         {"facility": "user", "level": "NOTICE", "host": "h", "message": "CEF:0|a|b|c|d|e|f|g=h"}),
        ("syslog",
         ('<165>1 2003-10-11T22:14:15.003Z host.example.com evntslog 7 ID47 [ex@32473 iut="3" t="a'
          ' \\"b\\""][x@1] \ufeffAn event'),
         {"facility": "local4", "level": "NOTICE", "time": "2003-10-11T22:14:15.003000Z", "host": "host.example.com",
          "app": "evntslog", "pid": "7", "msgid": "ID47",
          "structured_data": {"ex@32473": {"iut": "3", "t": 'a "b"'}, "x@1": {}}, "message": "An event"}),
        ("syslog", "<34>1 - - su - - -", {"facility": "auth", "level": "CRITICAL", "app": "su"}),
        ("syslog",
         "<13>host2 cron[12]: done",
         {"facility": "user", "level": "NOTICE", "host": "host2", "app": "cron", "pid": "12", "message": "done"}),
        ("syslog", "<13>2026-11-26T12:00:00+01:00 h app: x",
         {"facility": "user", "level": "NOTICE", "time": "2026-11-26T11:00:00.000000Z",
          "host": "h", "app": "app", "message": "x"}),
        ("syslog", "<13>2026-11-26T12:00:00Z fe80::1 app: x",
         {"facility": "user", "level": "NOTICE", "time": "2026-11-26T12:00:00.000000Z",
          "host": "fe80::1", "app": "app", "message": "x"}),
        ("cef", "CEF:0|a|b|c|d|e|f|",
         {"version": "0", "vendor": "a", "product": "b", "device_version": "c", "signature": "d", "name": "e",
          "severity": "f"}),
        ("cef", "CEF:0|a|b|c|d|e|f|name=x name2=y",
         {"version": "0", "vendor": "a", "product": "b", "device_version": "c", "signature": "d", "name": "e",
          "severity": "f", "extension_name": "x", "name2": "y"}),
        ("cef", r"CEF:0|a|b|c|d|e|f|msg=x\ny\\nz= path=C:\Temp a=b=c|d",
         {"version": "0", "vendor": "a", "product": "b", "device_version": "c", "signature": "d", "name": "e",
          "severity": "f", "msg": "x\ny\\nz=", "path": r"C:\Temp", "a": "b=c|d"}),
        ("cef", "<13>Nov 26 h CEF:0|Vendor|Pro\\|duct|1.0|100|A worm|10|src=10.0.0.1 msg=a \\= b spt=1232",
         {"version": "0", "vendor": "Vendor", "product": "Pro|duct", "device_version": "1.0", "signature": "100",
          "name": "A worm", "severity": "10", "src": "10.0.0.1", "msg": "a = b", "spt": "1232"}),
    ],
)  # fmt: skip
def test_the_formats(kind: str, text: str, wanted: dict[str, Any]) -> None:
    """As their documents have them; a hyphen says that there is nothing."""
    assert parsed({"message": text}, format=kind) == {"message": text, **wanted}
    assert parsed(text, format=kind) == wanted
    assert parsed(text.encode(), format=kind) == wanted


@pytest.mark.parametrize(
    ("text", "between", "after", "wanted"),
    [
        ('a=1, b="x, \\"y\\"" ,c = d=e ,flag,, z=', "", "",
         {"a": "1", "b": 'x, "y"', "c": "d=e", "flag": True, "z": ""}),
        ("TTY=unknown ; PWD=/ ; COMMAND=/bin/x -c a=b;", ";", "=",
         {"TTY": "unknown", "PWD": "/", "COMMAND": "/bin/x -c a=b"}),
        ('"sentence": "the fox, it jumped", "author": "A B"', ",", ":",
         {"sentence": "the fox, it jumped", "author": "A B"}),
        ("rev=3&sid=&q=a%20b", "&", "=", {"rev": "3", "sid": "", "q": "a%20b"}),
        ("Host: x.de:80\nEmpty:\nAgent: a b\n", "\n", ":", {"Host": "x.de:80", "Empty": "", "Agent": "a b"}),
        ("a=1  b==2 c", " ", "=", {"a": "1", "b": "=2", "c": True}),
        ('a->1 || b->"2 || 3"', "||", "->", {"a": "1", "b": "2 || 3"}),
        ('a:\n"b":1', "\n", ":", {"a": "", "b": "1"}),
        ("a=1,a=2", "", "", {"a": "2"}),
        ('a="x"y, b=1', "", "", "Parse filter: it is no key and value at 'a=\"x\"y, b=1'"),
        ("a=1, =2", "", "", "Parse filter: it has no key at ' =2'"),
        ("some words", "", "", "Parse filter: it has no key with a value, as in key=value"),
    ],
)  # fmt: skip
def test_keys_and_values(text: str, between: str, after: str, wanted: Any) -> None:
    """With any separators; a quoted value may have them within, and blanks around do not count."""
    assert parsed(text, format="key_value", pair_separator=between, key_separator=after) == wanted


def test_a_time_without_a_year(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is of the last twelve months, in the given time zone."""
    monkeypatch.setattr(
        "message_passing.filters._written_times.wall", lambda: 1_735_722_000.0
    )  # 1 January 2025, 9:00
    for text, wanted in (
        ("Dec 31 23:59:59", "2024-12-31T22:59:59.000000Z"),
        ("Jan  1 10:00:30", "2025-01-01T09:00:30.000000Z"),
        ("Jan  2 09:00:00", "2025-01-02T08:00:00.000000Z"),
        ("Mar  1 00:00:00", "2024-02-29T23:00:00.000000Z"),
        ("Feb 29 00:00:00", "2024-02-28T23:00:00.000000Z"),
    ):
        found = parsed(f"<13>{text} h a: x", format="syslog", timezone="Europe/Berlin")
        assert found["time"] == wanted


def test_where_it_comes_from_and_goes_to() -> None:
    """Another field, into a field, and without the text."""
    message = {"log": {"line": '{"a":1}'}, "n": 2}
    options = {"format": "json", "field": "log.line"}
    assert parsed(message, **options) == {**message, "a": 1}
    assert parsed(message, **options, into="x.y", remove=True) == {"log": {}, "n": 2, "x": {"y": {"a": 1}}}
    assert parsed({"other": 1}, **options) == {"other": 1}


def test_a_regular_expression() -> None:
    """Its named groups that took part."""
    options = {"format": "regex", "regex": r"(?P<verb>\w+) (?P<n>\d+)(?: (?P<rest>.*))?"}
    assert parsed("took 12", **options) == {"verb": "took", "n": "12"}
    assert parsed("took x", **options) == "Parse filter: the regular expression does not match"


def test_a_syslog_time_with_a_day_of_one_digit_or_a_fraction() -> None:
    """As some devices send it: the name of a month is no host."""
    for text in ("<13>Oct 1 22:14:15 h app: x", "<13>Oct  1 22:14:15.250 h app: x"):
        found = parsed(text, format="syslog")
        assert (found["host"], found["app"], found["message"]) == ("h", "app", "x")
        assert "-10-01T22:14:15." in found["time"]


IN_JUNE = "2026-06-01T00:03:04.000000Z"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # Days and hours of one digit, and a year on either side.
        ("Jun  1 2:3:4 h a: x", {"time": IN_JUNE, "host": "h", "app": "a"}),
        ("Jun 1 02:03:04 h a: x", {"time": IN_JUNE, "host": "h", "app": "a"}),
        ("JUN  1 02:03:04 h a: x", {"time": IN_JUNE, "host": "h", "app": "a"}),
        ("Jun  1 02:03:04 2026 h a: x", {"time": IN_JUNE, "host": "h", "app": "a"}),
        ("Jun 01 2026 02:03:04 h a: x", {"time": IN_JUNE, "host": "h", "app": "a"}),
        ("Mon Jun  1 02:03:04 2026 h a: x", {"time": IN_JUNE, "host": "h", "app": "a"}),
        # Zones: those that say which, and the given one's own letters.
        ("Jun  1 02:03:04 +0200 h a: x", {"time": IN_JUNE, "host": "h", "app": "a"}),
        ("Jun  1 00:03:04 UTC h a: x", {"time": IN_JUNE, "host": "h", "app": "a"}),
        ("Jun  1 02:03:04 RTR a: x", {"time": IN_JUNE, "host": "RTR", "app": "a"}),
        # ISO 8601, with and without its T.
        ("2026-06-01T02:03:04+02:00 h a: x", {"time": IN_JUNE, "host": "h", "app": "a"}),
        ("2026-06-01 02:03:04 h a: x", {"time": IN_JUNE, "host": "h", "app": "a"}),
        ("2026-06-01 02:03:04,000 h a: x", {"time": IN_JUNE, "host": "h", "app": "a"}),
        # Hosts: none, an address, and none though there is a date.
        ("Jun  1 02:03:04 sshd[7]: x", {"time": IN_JUNE, "app": "sshd", "pid": "7"}),
        ("Jun  1 02:03:04 postfix/smtpd[7]: x", {"time": IN_JUNE, "app": "postfix/smtpd", "pid": "7"}),
        ("Jun  1 02:03:04 2001:db8::1 a: x", {"time": IN_JUNE, "host": "2001:db8::1", "app": "a"}),
        ("Jun  1 02:03:04 [2001:db8::1] a: x", {"time": IN_JUNE, "host": "2001:db8::1", "app": "a"}),
        ("Jun  1 02:03:04 fe80::1%eth0 a: x", {"time": IN_JUNE, "host": "fe80::1%eth0", "app": "a"}),
        ("Jun  1 02:03:04 192.0.2.1 x", {"time": IN_JUNE, "host": "192.0.2.1"}),
        ("Jun 1 x", {"message": "Jun 1 x"}),
        ("app: Jun  1 02:03:04 x", {"app": "app", "message": "Jun  1 02:03:04 x"}),
        # The kernel's.
        ("Jun  1 02:03:04 h kernel: [   12.345] x",
         {"time": IN_JUNE, "host": "h", "app": "kernel", "message": "[   12.345] x"}),
        ("[   12.345] x: y", {"message": "[   12.345] x: y"}),
        # Cisco's: a sequence number, the name or address, a sign that the clock is not right, a year, a zone.
        ("*Jun  1 2026 2:03:04.000: %SYS-5-CONFIG_I: x", {"time": IN_JUNE, "app": "%SYS-5-CONFIG_I"}),
        ("45: *Jun  1 00:03:04.000 UTC: %SYS-5-CONFIG_I: x",
         {"time": IN_JUNE, "app": "%SYS-5-CONFIG_I", "sequence": 45}),
        ("45: r1: 000123: .Jun  1 02:03:04 CEST: %LINK-3-UPDOWN: x",
         {"time": IN_JUNE, "host": "r1", "app": "%LINK-3-UPDOWN", "sequence": 45}),
        ("45: 192.0.2.1: Jun  1 02:03:04: %LINK-3-UPDOWN: x",
         {"time": IN_JUNE, "host": "192.0.2.1", "app": "%LINK-3-UPDOWN", "sequence": 45}),
        ("Jun 01 2026 02:03:04 asa1 : %ASA-6-302013: x", {"time": IN_JUNE, "host": "asa1", "app": "%ASA-6-302013"}),
        ("Jun 01 2026 02:03:04: %ASA-6-302013: x", {"time": IN_JUNE, "app": "%ASA-6-302013"}),
        (":Jun 01 02:03:04: %ASA-6-302013: x", {"time": IN_JUNE, "app": "%ASA-6-302013"}),
    ],
)  # fmt: skip
def test_syslog_as_it_is_seen(text: str, wanted: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What devices and programs send besides what RFC 3164 describes."""
    monkeypatch.setattr(
        "message_passing.filters._written_times.wall", lambda: 1_795_000_000.0
    )  # 18 November 2026
    found = parsed(f"<13>{text}", format="syslog", timezone="Europe/Berlin")
    assert found == {"facility": "user", "level": "NOTICE", "message": "x", **wanted}


def test_a_zone_that_may_be_several() -> None:
    """CST is in America, in China and in Cuba: no time is invented."""
    wanted = (
        "Parse filter: it has the time zone 'CST', which is ambiguous: say with `timezone` which one it is"
    )
    assert parsed("<13>Jun  1 02:03:04 CST: %X-1-Y: x", format="syslog", timezone="Europe/Berlin") == wanted
    found = parsed("<13>Jan  1 2026 02:03:04 CST: %X-1-Y: x", format="syslog", timezone="Asia/Shanghai")
    assert found["time"] == "2025-12-31T18:03:04.000000Z"


@pytest.mark.parametrize("kind", sorted(PARSERS))
def test_what_does_not_fit(kind: str) -> None:
    """It fails with the reason, or is passed on with it."""
    assert parsed({"message": "\0 {"}, format=kind).startswith("Parse filter: it ")
    passed = parsed({"message": "\0 {", "n": 1}, format=kind, on_failure="pass")
    assert passed.pop("parse_error").startswith("it ")
    assert passed == {"message": "\0 {", "n": 1}
    assert parsed({"message": 7}, format=kind) == "Parse filter: it is no text, but int"
    assert parsed(b"\xff", format=kind, on_failure="pass")["message"] == "\ufffd"


@given(st.sampled_from(sorted(PARSERS)), st.text() | st.text(alphabet='<>[]{}"\\ =|:-1aCEF.', max_size=80))
def test_any_text_is_parsed_or_refused(kind: str, text: str) -> None:
    """And nothing else is raised."""
    found = parsed(text, format=kind)
    assert isinstance(found, dict) or found.startswith("Parse filter: ")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"format": "jsn"}, "format"),
        ({"format": "regex"}, "`regex` is missing"),
        ({"format": "json", "regex": "x"}, "`regex` has no effect"),
        (
            {"format": "key_value", "pair_separator": "="},
            "pairs, and key and value, are both separated by '='",
        ),
        ({"format": "logfmt", "key_separator": ":"}, "`key_separator` has no effect with the format logfmt"),
        ({"format": "regex", "regex": "("}, "not a regular expression"),
        ({"format": "regex", "regex": "(a+)+"}, "exponential"),
        ({"format": "regex", "regex": "abc"}, "it has no named group"),
        ({"format": "syslog", "timezone": "Mars/Olympus"}, "there is no time zone 'Mars/Olympus' here"),
    ],
)
def test_what_is_refused(options: Any, problem: str) -> None:
    """When the filter is made."""
    with pytest.raises(OptionError) as caught:
        ParseFilter(**options)
    assert problem in str(caught.value)
