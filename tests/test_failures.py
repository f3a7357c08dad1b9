"""What is said of a message that failed."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.codecs.json import JSONEncoder
from message_passing.errors import DecodingError, MessagePassingError
from message_passing.failures import BURST, DATA_LIMIT, PER_SECOND, ReportLimit, last_resort, report


def test_the_fields_are_those_of_the_original() -> None:
    """Bytes are `packed_data`, as in Message::Passing::Exception::Decoding."""
    assert report("JSON decoder", DecodingError("malformed"), [b"{"]) == {
        "class": "message_passing.errors.DecodingError",
        "exception": "malformed",
        "component": "JSON decoder",
        "packed_data": "{",
    }


def test_an_object_is_stringified() -> None:
    """What was no text is told as Python writes it."""
    assert report("x", ValueError("no"), [{"a": 1}])["stringified_data"] == "{'a': 1}"


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


LARGE = "\x01\ud800" * 5_000_000
SOURCES: list[tuple[BaseException, Any]] = [
    (KeyError(LARGE), b"\x01" * 10_000_000),
    (KeyError(LARGE, LARGE), {"a": LARGE}),
    (ValueError(LARGE), LARGE),
    (ValueError({"a": LARGE}), dict.fromkeys(map(str, range(500_000)))),
    (MessagePassingError(LARGE), [LARGE] * 100),
    (nowhere("x" * 10_000_000), bytearray(10_000_000)),
    (WideError(), memoryview(bytes(10_000_000))),
    (BrokenError(), 1 << 10_000_000),
]


@pytest.mark.parametrize(("error", "message"), SOURCES, ids=[type(error).__name__ for error, _ in SOURCES])
def test_a_report_is_small_and_costs_little(error: BaseException, message: Any) -> None:
    """However large the error or the message is, and whatever their classes do."""
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
    assert sum(limit.admits(1) for _ in range(10 * BURST)) == BURST
    assert limit.take_suppressed() == 9 * BURST
    assert limit.take_suppressed() == 0
    now[0] += 1
    assert sum(limit.admits(3) for _ in range(BURST)) == PER_SECOND
    assert limit.take_suppressed() == 3 * (BURST - PER_SECOND)
    now[0] += 10_000
    assert sum(limit.admits(0) for _ in range(BURST + 7)) == BURST
    assert limit.take_suppressed() == 7
