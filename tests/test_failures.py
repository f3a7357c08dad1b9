"""What is said of a message that failed."""

from __future__ import annotations

import base64
import json
import re
import sys
import time
from collections import OrderedDict
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.codecs.json import JSONEncoder
from message_passing.errors import DecodingError, EncodingError, MessageError, MessagePassingError
from message_passing.failures import (
    DATA_LIMIT,
    LAST_RESORT,
    PER_SECOND,
    REPORT_BURST,
    ReportLimit,
    last_resort,
    report,
)
from support import TIME

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_fields_are_those_of_the_original() -> None:
    """Bytes are `packed_data`, as in Message::Passing::Exception::Decoding."""
    described = report("JSON decoder", DecodingError("malformed"), [b"{"])
    assert re.fullmatch(TIME, described.pop("time"))
    assert described == {
        "class": "Message::Passing::Exception::Decoding",
        "exception": "malformed",
        "component": "JSON decoder",
        "packed_data": "{",
    }


class OwnError(EncodingError):
    """Somebody's own."""


def test_the_classes_are_the_originals_where_it_has_them() -> None:
    """Any other error has the name of its class in Python."""
    errors = [EncodingError("x"), DecodingError("x"), OwnError("x"), MessageError("x"), ValueError("x")]
    assert [report("x", error, [])["class"] for error in errors] == [
        "Message::Passing::Exception::Encoding",
        "Message::Passing::Exception::Decoding",
        f"{__name__}.OwnError",
        "message_passing.errors.MessageError",
        "ValueError",
    ]


def test_a_report_says_when() -> None:
    """As records do: in UTC, with microseconds."""
    before = datetime.now(UTC)
    told = datetime.fromisoformat(report("x", ValueError("no"), [])["time"])
    assert before <= told <= datetime.now(UTC)


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)


@given(st.one_of(st.lists(JSON), st.dictionaries(st.text(), JSON)))
def test_an_object_is_shown_as_json(message: Any) -> None:
    """What failed can be sent again: nothing is missing, and nothing is another value."""
    described = report("x", ValueError("no"), [message], limit=100_000)
    assert json.loads(described["stringified_data"]) == message
    assert "truncated" not in described


class Level(IntEnum):
    """A number with a name."""

    LOW = 1


class Markup(str):
    """Text of a class of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        raise SystemExit


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ({"a": 1}, '{"a":1}'),
        ({"a": (1, "\u20ac", None, True, 1.5)}, '{"a":[1,"\u20ac",null,true,1.5]}'),
        ({"a": Level.LOW, "b": Markup("<b>")}, '{"a":1,"b":"<b>"}'),
        (OrderedDict(z=1, a=2), '{"z":1,"a":2}'),
        ({"a": "\ud800"}, '{"a":"\\ud800"}'),
        ("\ud800 or \\ud800", '"\\ud800 or \\\\ud800"'),
        (7, "7"),
        ({"a": b"\xff"}, "{'a': b'\\xff'}"),
        ({"a": "\\xff"}, '{"a":"\\\\xff"}'),
        ({1: 2}, "{1: 2}"),
        ([float("nan")], "[nan]"),
        ([float("inf"), 1], "[inf, 1]"),
        ({"a": {1}}, "{'a': {1}}"),
        ({"a": Decimal("1.5")}, "{'a': <decimal.Decimal>}"),
    ],
)
def test_what_json_does_not_know_is_shown_as_python_does(message: Any, shown: str) -> None:
    """Bytes are never taken for text, and nothing becomes another value on the way."""
    assert report("x", ValueError("no"), [message])["stringified_data"] == shown


def test_bytes_can_be_told_from_text_that_looks_like_their_escape() -> None:
    """Bytes that are no text are there as base64 too, exactly; those that are text stand as they are."""
    octets = report("x", ValueError("no"), [b"a\xff"])
    text = report("x", ValueError("no"), [b"a\\xff"])
    assert octets["packed_data"] == text["packed_data"] == "a\\xff"
    assert base64.b64decode(octets["packed_data_base64"]) == b"a\xff"
    assert "packed_data_base64" not in text


@given(st.binary(max_size=40), st.integers(0, 50))
def test_any_bytes_can_be_had_back(message: bytes, limit: int) -> None:
    """As far as the limit goes; that there is more is said, and no character is cut in two."""
    described = report("x", ValueError("no"), [message], limit=limit)
    shown = re.sub(r"\.\.\. \(\d+ bytes more\)\Z", "", described["packed_data"])
    found = shown.encode()
    if "packed_data_base64" in described:
        found = base64.b64decode(described["packed_data_base64"])
    assert message.startswith(found)
    if described.get("truncated"):
        assert limit - 4 < len(found) <= limit < len(message)
    else:
        assert found == message


@pytest.mark.parametrize("message", [b"x" * 50, "x" * 50, ["x" * 46]], ids=["bytes", "text", "object"])
def test_how_much_of_a_message_is_shown_has_a_limit(message: Any) -> None:
    """All of what is as long as the limit; of what is longer by one, a part, which says so."""
    whole = report("x", ValueError("no"), [message], limit=50)
    part = report("x", ValueError("no"), [message], limit=49)
    assert "truncated" not in whole
    assert part["truncated"] is True
    data = part.get("packed_data") or part["stringified_data"]
    assert len(data) < 49 + len("... (1 characters more)") + 1
    assert "..." in data


def test_a_strangers_error_says_where_it_was_raised() -> None:
    """An error that is not ours comes with file, line and function, since its text may say little."""
    try:
        cast("dict[str, int]", {})["missing"]
    except KeyError as error:
        described = report("x", error, [])
    assert described["class"] == "KeyError"
    assert described["at"].endswith("in test_a_strangers_error_says_where_it_was_raised")


def test_an_error_without_text_tells_its_class() -> None:
    """`exception` is never empty."""
    assert report("x", ValueError(), [])["exception"] == "ValueError"


def test_a_batch_that_failed_is_counted() -> None:
    """Several messages are one report with the first of them."""
    described = report("x", ValueError("no"), ["a", "b", "c"])
    assert (described["packed_data"], described["count"]) == ("a", 3)


@pytest.mark.parametrize(
    ("message", "rest"),
    [(b"x" * (DATA_LIMIT + 5), "(5 bytes more)"), ("x" * (DATA_LIMIT + 7), "(7 characters more)")],
)
def test_long_data_is_cut_and_says_so(message: Any, rest: str) -> None:
    """A large message does not make a large report."""
    shown = report("x", ValueError("no"), [message])["packed_data"]
    assert shown == f"{'x' * DATA_LIMIT}... {rest}"


def test_a_large_object_is_cut() -> None:
    """Neither long lists nor long texts within an object get through whole."""
    shown = report("x", ValueError("no"), [{"a": "x" * 100_000, "b": list(range(100_000))}])
    assert len(shown["stringified_data"]) < 3 * DATA_LIMIT


@given(st.one_of(st.binary(), st.text(st.characters(codec=None)), st.dictionaries(st.text(), st.binary())))
def test_every_report_can_be_written(message: Any) -> None:
    """Whatever the message held, the report is one line of UTF-8 JSON."""
    line = JSONEncoder().filter(report("x", DecodingError("no"), [message]))
    assert b"\n" not in line
    assert json.loads(line.decode("utf-8"))["exception"] == "no"


def test_last_resort_writes_one_json_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """When there is no error chain, or it has failed, stderr has it."""
    last_resort({"exception": "no", "odd": {1, 2}.__class__})
    assert json.loads(capsys.readouterr().err)["exception"] == "no"


@pytest.mark.parametrize(
    ("given_", "line"),
    [
        (b"one\ntwo\xff\x1b", "one\\ntwo\\xff\\u001b"),
        ("text", '"text"'),
        ({"a": 1}, '{"a": 1}'),
        ({(1, 2): 3}, '{"stringified_data": "{(1, 2): 3}"}'),
    ],
)
def test_last_resort_takes_anything(given_: Any, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A filter may give its component's error chain what it likes: it is one line, and nothing is lost silently."""
    LAST_RESORT.consume(given_)
    assert capsys.readouterr().err == f"{line}\n"


def test_last_resort_survives_a_closed_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon may have no stderr at all: nothing is raised."""
    monkeypatch.setattr(sys, "stderr", None)
    last_resort({"exception": "no"})


class BrokenError(Exception):
    """Cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no")


class WideError(Exception):
    """Has a text of its own, which is long."""

    def __str__(self) -> str:
        return "\u202e" * 1_000_000


def nowhere(name: str) -> OSError:
    """What the system says of such a file."""
    try:
        Path(name).stat()
    except OSError as error:
        return error
    raise AssertionError


def large() -> str:
    """A text that is long however it is written."""
    return "\x01\ud800" * 5_000_000


SOURCES: dict[str, Callable[[], tuple[BaseException, Any]]] = {
    "bytes": lambda: (KeyError(large()), b"\x01" * 10_000_000),
    "an object": lambda: (KeyError(large(), large()), {"a": large()}),
    "a text": lambda: (ValueError(large()), large()),
    "many keys": lambda: (ValueError({"a": large()}), dict.fromkeys(map(str, range(500_000)))),
    "a list": lambda: (MessagePassingError(large()), [large()] * 100),
    "a path": lambda: (nowhere("x" * 10_000_000), bytearray(10_000_000)),
    "a wide error": lambda: (WideError(), memoryview(bytes(10_000_000))),
    "a broken error": lambda: (BrokenError(), 1 << 10_000_000),
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_report_is_small_and_costs_little(source: str) -> None:
    """However large the error or the message is, and whatever their classes do."""
    error, message = SOURCES[source]()
    spent = []
    for _ in range(3):
        began = time.process_time()
        described = report("x" * 1_000_000, error, [message, message])
        spent.append(time.process_time() - began)
    assert len(json.dumps(described)) < 40_000
    assert described["exception"]
    assert min(spent) < 0.02


def test_reports_are_limited_in_rate() -> None:
    """Some at once, then so many a second; what was not reported is counted until it is told."""
    now = [100.0]
    limit = ReportLimit(lambda: now[0])
    assert sum(limit.admits(1) for _ in range(10 * REPORT_BURST)) == REPORT_BURST
    assert limit.take_suppressed() == 9 * REPORT_BURST
    assert limit.take_suppressed() == 0
    now[0] += 1
    assert sum(limit.admits(3) for _ in range(REPORT_BURST)) == PER_SECOND
    assert limit.take_suppressed() == 3 * (REPORT_BURST - PER_SECOND)
    now[0] += 10_000
    assert sum(limit.admits(0) for _ in range(REPORT_BURST + 7)) == REPORT_BURST
    assert limit.take_suppressed() == 7
