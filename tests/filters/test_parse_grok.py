"""The filter Parse with the format grok, and how it reads times."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from message_passing.errors import OptionError
from message_passing.filters._grok import GrokPattern, shipped
from message_passing.filters.parse import ParseFilter
from support import Kept

EXAMPLES = {
    "WORD": "abc_1",
    "INT": "-12",
    "NUMBER": "1.5e3",
    "BASE16NUM": "0xfF",
    "BOOL": "True",
    "UUID": "123e4567-e89b-12d3-a456-426614174000",
    "QS": '"a \\"b\\" c"',
    "USER": "bob.x",
    "EMAILADDRESS": "a.b+c@example.co.uk",
    "IPV4": "192.168.0.255",
    "IPV6": "2001:db8::1",
    "IP": "::ffff:1.2.3.4",
    "HOSTNAME": "web-1.example.com",
    "IPORHOST": "10.0.0.1.example.com",
    "HOSTPORT": "[::1]:80",
    "MAC": "00:1A:2b:3c:4d:5e",
    "PATH": "C:\\a\\b.txt",
    "UNIXPATH": "/var/log/a.log",
    "URIPATHPARAM": "/a/b?c=d&e=f",
    "URI": "https://bob@example.com:8443/a?b=c#d",
    "TIMESTAMP_ISO8601": "2024-02-03 04:05:06,789+01:00",
    "DATE_EU": "31.12.2024",
    "DATE_US": "12/31/2024",
    "SYSLOGTIMESTAMP": "Feb  3 04:05:06",
    "HTTPDATE": "10/Oct/2000:13:55:36 -0700",
    "LOGLEVEL": "Warning",
    "SYSLOGBASE": "Feb  3 04:05:06 web1 sshd[42]:",
    "JAVACLASS": "com.example.Foo$Bar",
    "GREEDYDATA": "all\nof it",
    "CISCOMAC": "001a.2b3c.4d5e",
    "WINPATH": "C:\\a\\b.txt",
    "TTY": "/dev/pts/3",
    "URN": "urn:isbn:0451450523",
    "BASE16FLOAT": "0x1f.8",
    "EMAILLOCALPART": "a.b+c",
    "DATESTAMP": "31.12.2024 10:11:12",
    "DATESTAMP_RFC822": "Mon Aug 15 2005 15:52:01 UTC",
    "DATESTAMP_RFC2822": "Mon, 15 Aug 2005 15:52:01 +0000",
    "DATESTAMP_OTHER": "Mon Aug 15 15:52:01 CEST 2005",
    "HTTPDERROR_DATE": "Mon Aug 15 15:52:01.123456 2005",
    "SYSLOGLINE": "Feb  3 04:05:06 web1 app/x[42]: two: words",
    "CRONLOG": "Feb  3 04:05:06 web1 CRON[42]: (root) END EDIT (x)",
    "JAVASTACKTRACEPART": "\tat com.x.Y$1.<init>(Native Method)",
    "HTTPD_COMBINEDLOG": '::1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 - "-" "curl"',
    "NOTHING": "",
}

NOT = {
    "IPV4": "256.1.1.1",
    "IP": "12:30:45",
    "MAC": "00:1A:2b:3c:4d",
    "UUID": "123e4567",
    "LOGLEVEL": "informative",
    "TIMESTAMP_ISO8601": "2024-2-3",
    "NUMBER": "1.2.3",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_shipped_pattern_matches_what_it_is_for(name: str) -> None:
    """As a whole, and between other text."""
    assert GrokPattern(f"%{{{name}:x}}", {}).found(EXAMPLES[name])["x"] == EXAMPLES[name]
    found = GrokPattern(f"<%{{{name}:x}}> %{{INT:n:int}}", {}).found(f"<{EXAMPLES[name]}> 7")
    assert (found["x"], found["n"]) == (EXAMPLES[name], 7)


@pytest.mark.parametrize("name", NOT)
def test_a_shipped_pattern_matches_nothing_else(name: str) -> None:
    """What only looks like it."""
    with pytest.raises(ValueError, match="does not match"):
        GrokPattern(f"%{{{name}:x}}", {}).found(NOT[name])


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("%{UNIXPATH:a}: %{GREEDYDATA:b}", "/var/x:y: No such file", ("/var/x:y", "No such file")),
        ("p=%{PATH:a},s=%{INT:b}", "p=C:\\x,y,s=3", ("C:\\x,y", "3")),
        ("%{URI:a}, %{WORD:b}", "http://a.b:80/c,d?e=f,g#h,, x", ("http://a.b:80/c,d?e=f,g#h,", "x")),
        (r"\(%{URIPATHPARAM:a}\) %{WORD:b}", "(/a?b) x", ("/a?b", "x")),
        ("%{IP:a}: %{WORD:b}", "2001:db8::1: x", ("2001:db8::1", "x")),
        ("%{USER:a}@%{HOSTNAME:b}", "bob.x@a.b", ("bob.x", "a.b")),
        (r"%{HOSTNAME:a}\. %{WORD:b}", "a.b. x", ("a.b", "x")),
        (r"%{NUMBER:a}\. %{WORD:b}", "250. x", ("250", "x")),
        (r"%{OWN}, %{WORD:b}", "/a,b, x", ("/a,b", "x")),
        ("%{UNIXPATH:a} %{WORD:b}", "/a: x", ("/a:", "x")),
    ],
)
def test_a_name_ends_before_the_text_behind_it(pattern: str, text: str, expected: tuple[str, str]) -> None:
    """Punctuation that may be part of what a name finds is not, if the pattern goes on with it."""
    assert tuple(GrokPattern(pattern, {"OWN": "%{UNIXPATH:a}"}).found(text).values()) == expected


def test_named_groups_are_fields() -> None:
    """Written as in Python or as in Logstash, and several may have the same name."""
    own = {"A": r"(?<what>disk) full", "B": r"(?P<what>net) down: %{WORD:[link][name]}"}
    grok = GrokPattern(r"(%{A}|%{B})(?<![x])(?<tail>!)?", own)
    assert grok.found("disk full") == {"what": "disk"}
    assert grok.found("net down: eth0!") == {"what": "net", "link": {"name": "eth0"}, "tail": "!"}


def test_every_shipped_pattern_compiles() -> None:
    """Alone, twice in a row, and with what cannot be in the text."""
    for name in shipped():
        GrokPattern(f"%{{{name}:x}}", {})
        GrokPattern(f"%{{{name}:x}} %{{{name}:y}}", {})


@pytest.mark.parametrize(
    "text",
    ["a" * 20_000, "1" * 20_000, "/a" * 10_000, "a." * 10_000, " " * 20_000, '"\\' * 10_000, "::" * 10_000],
)
def test_a_pattern_of_names_takes_linear_time(text: str) -> None:
    """Every shipped one, and many DATA with text between them, on lines that do not match."""
    patterns = [GrokPattern(f"%{{{name}:x}} !", {}) for name in shipped()]
    patterns.append(GrokPattern(" ".join(f"%{{DATA:d{n}}} %{{NOTSPACE:n{n}}}" for n in range(10)) + " !", {}))
    began = time.process_time()
    for pattern in patterns:
        with pytest.raises(ValueError, match="does not match"):
            pattern.found(text)
    assert time.process_time() - began < 10


def parsed(message: Any, **options: Any) -> Any:
    """What becomes of a message."""
    kept, errors = Kept(), Kept()
    ParseFilter(**options, output_to=kept, error=errors).consume(message)
    return kept.messages[0] if kept.messages else errors.messages[0]["exception"]


def test_fields_and_types() -> None:
    """Nested ones in either spelling, numbers, and patterns of one's own, also within each other."""
    pattern = "%{IP:[client][ip]} %{WORD:http.method} %{DATA:path} b %{NUMBER:took:float}"
    pattern += "(?: %{CODE:code:int})? %{GREEDYDATA:rest}"
    own = {"CODE": "C%{DIGITS}", "DIGITS": r"(?:\d{3})", "WORD": "[A-Z]{3,7}"}
    found = parsed("1.2.3.4 GET /a b 0.5 x: y z", format="grok", pattern=pattern, patterns=own)
    assert found == {
        "client": {"ip": "1.2.3.4"},
        "http": {"method": "GET"},
        "path": "/a",
        "took": 0.5,
        "rest": "x: y z",
    }
    assert "does not match" in parsed("1.2.3.4 get / 1 x", format="grok", pattern=pattern, patterns=own)
    line = (
        '1.2.3.4 - bob [10/Oct/2000:13:55:36 -0700] "GET /a?b HTTP/1.1" 200 - "-" "Mozilla/5.0 \\"X\\" \\" z"'
    )
    found = parsed(line, format="grok", pattern="%{COMBINEDAPACHELOG}")
    assert found["path"] == "/a?b"
    assert found["status"] == 200
    assert found["agent"] == r"Mozilla/5.0 \"X\" \" z"


@pytest.mark.parametrize(
    ("text", "form", "zone", "expected"),
    [
        ("2024-02-03 04:05:06", "%Y-%m-%d %H:%M:%S", "Europe/Berlin", "2024-02-03T03:05:06.000000Z"),
        ("2024-07-03 04:05:06", "%Y-%m-%d %H:%M:%S", "Europe/Berlin", "2024-07-03T02:05:06.000000Z"),
        (
            "03/Feb/2024 04:05:06.25 -0800",
            "%d/%b/%Y %H:%M:%S.%f %z",
            "Europe/Berlin",
            "2024-02-03T12:05:06.250000Z",
        ),
        ("2024-02-03T04:05:06,5", "iso8601", "Asia/Kolkata", "2024-02-02T22:35:06.500000Z"),
        ("2024-02-03t04:05:06z", "iso8601", "Asia/Kolkata", "2024-02-03T04:05:06.000000Z"),
        ("2024-034 10 PM", "%Y-%j %I %p", "UTC", "2024-02-03T22:00:00.000000Z"),
        ("Sat 05 24", "%a %W %y", "UTC", "2024-02-03T00:00:00.000000Z"),
        ("2024-02-03", "%Y-%m-%d", "Europe/Berlin", "2024-02-02T23:00:00.000000Z"),
        ("1706933106.5", "epoch", "UTC", "2024-02-03T04:05:06.500000Z"),
        ("1706933106500", "epoch", "UTC", "2024-02-03T04:05:06.500000Z"),
    ],
)
def test_times_with_zones(text: str, form: str, zone: str, expected: str) -> None:
    """In the zone that they name, or the one given, with its summer time."""
    options: dict[str, Any] = {"format": "grok", "pattern": "<%{DATA:when}>", "timezone": zone}
    assert parsed(f"<{text}>", **options, time_format=form, time_field="when") == {"when": expected}
    assert "exception" not in parsed({"message": "a=1"}, format="logfmt", time_format=form)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-02-03T04:05:06.5Z", "2024-02-03T04:05:06.500000Z"),
        ("2024-02-03t04:05:06.5z", "2024-02-03T04:05:06.500000Z"),
        ("2024-02-03 04:05:06,5", "2024-02-03T03:05:06.500000Z"),
        ("2024-02-03T04:05:06.123456789+01:00", "2024-02-03T03:05:06.123456Z"),
        ("20240203T040506Z", "2024-02-03T04:05:06.000000Z"),
        (1706933106, "2024-02-03T04:05:06.000000Z"),
        ("1706933106.5", "2024-02-03T04:05:06.500000Z"),
        ("1612010412345", "2021-01-30T12:40:12.345000Z"),
        (1706933106500000000, "2024-02-03T04:05:06.500000Z"),
        ("03/Feb/2024", None),
        ("yesterday", None),
        ("", None),
        (True, None),
        ([1], None),
        (12, None),
    ],
)
def test_a_time_field_alone_is_recognised(value: Any, expected: str | None) -> None:
    """ISO 8601, RFC 3339 and numbers since 1970, in the zone that is given; else it fails, and says what to do."""
    found = parsed(json.dumps({"at": value}), format="json", time_field="at", timezone="Europe/Berlin")
    if expected:
        assert found == {"at": expected}
    else:
        assert "say with `time_format` how it is written" in found


def test_a_time_field_alone_changes_no_time_that_is_one_already() -> None:
    """Of a format that has one; and one that is missing is no failure."""
    line = '1.2.3.4 - - [03/Feb/2024:04:05:06 +0000] "GET / HTTP/1.1" 200 5'
    assert parsed(line, format="clf", time_field="time")["time"] == "2024-02-03T04:05:06.000000Z"
    assert parsed('{"a":1}', format="json", time_field="at") == {"a": 1}


def test_times_without_a_year_and_wrong_ones() -> None:
    """Of the last twelve months; what does not fit is a failure with the reason."""
    found = parsed("<Feb 29 04:05>", format="grok", pattern="<%{DATA:time}>", time_format="%b %d %H:%M")
    assert found["time"][4:16] == "-02-29T04:05"
    for text in ("x", "Feb 30 04:05"):
        assert "ValueError" not in parsed(
            {"message": f'{{"time":"{text}"}}'}, format="json", time_format="%b %d %H:%M"
        )
    assert "no number of seconds" in parsed('{"time":"x"}', format="json", time_format="epoch")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"format": "grok"}, "`pattern` is missing with the format grok"),
        ({"format": "json", "pattern": "%{WORD:a}"}, "`pattern` has no effect with the format json"),
        ({"format": "json", "patterns": {"A": "a"}}, "`patterns` has no effect with the format json"),
        ({"format": "grok", "pattern": "%{WRD:a}"}, "there is no pattern 'WRD' (did you mean 'WORD'?)"),
        ({"format": "grok", "pattern": "%{WORD:a:bool}"}, "the type 'bool': it may be int, float or string"),
        ({"format": "grok", "pattern": "abc"}, "it has no field"),
        ({"format": "grok", "pattern": "%{WORD:a}("}, "pattern: "),
        ({"format": "grok", "pattern": "%{A:a}", "patterns": {"A": "%{B}", "B": "%{A}"}}, "endlessly"),
        ({"format": "grok", "pattern": "%{A:a}", "patterns": {"A": "(a+)+b"}}, "exponential"),
        ({"format": "grok", "pattern": "%{WORD:a}" * 201}, "more than 200 fields"),
        ({"format": "json", "time_format": "%Z"}, "%Z, a zone by its letters, is ambiguous"),
        (
            {"format": "json", "time_format": "UNIX_MS"},
            "it has no strptime letters, such as %Y-%m-%d %H:%M:%S, and",
        ),
        *(
            ({"format": "json", "time_format": form}, problem)
            for problem, forms in (
                ("it says no day", ("%H:%M:%S", "%d %H:%M", "%a %H:%M", "%Y %W", "%Y-%m")),
                ("it says no hour", ("%Y-%m-%d %I:%M", "%b %d %M:%S")),
                ("; for %L, write %f", ("%Y-%m-%dT%H:%M:%S.%L%z",)),
                ("in format '%s'; for %s, write `epoch`, alone", ("%s",)),
            )
            for form in forms
        ),
    ],
)
def test_what_is_refused(options: Any, problem: str) -> None:
    """By the option's name."""
    with pytest.raises(OptionError) as caught:
        ParseFilter(**options)
    assert problem in str(caught.value)


def test_an_explosion_of_names_is_refused() -> None:
    """Each of twenty names twice the next one."""
    own = {f"A{n}": f"%{{A{n + 1}}}%{{A{n + 1}}}" for n in range(18)} | {"A18": "xxxxxxxxxx"}
    with pytest.raises(OptionError, match="characters with all patterns"):
        ParseFilter(format="grok", pattern="%{A0:a}", patterns=own)
