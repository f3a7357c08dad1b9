"""What is taken of a record at once, and what is made of it later."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.logging.entry import add_around, entry_of
from message_passing.logging.fast_encoder import item_encoder
from message_passing.logging.fields import Origin, encoder_for
from message_passing.logging.snapshot import completed, level_of_item, snapshot

ORIGIN = Origin("a host", "a service", 7, "a sender")

unchanging = (
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats() | st.text(max_size=20)
)
templates = st.text(max_size=30) | st.sampled_from(["%s", "%d of %s", "%(a)s", "100%", "%r and %5.1f"])


def record_of(message: Any, *args: Any, **more: Any) -> logging.LogRecord:
    """A record as a logger makes it, with these attributes besides."""
    record = logging.getLogger("a.logger").makeRecord(
        "a.logger", logging.INFO, "/a/file.py", 3, message, args, None, "function"
    )
    record.__dict__.update(more)
    return record


@given(template=templates, args=st.lists(unchanging, max_size=3))
def test_it_makes_no_difference(template: str, args: list[Any]) -> None:
    """What was taken and put together later is the JSON of the entry that would have been made at once."""
    record = record_of(template, *args)
    took = snapshot(record, None)
    assert took is not None
    whole = encoder_for("default", ORIGIN)(entry_of(record, 5))
    assert item_encoder("default", ORIGIN, 1000)((took, 5)) == whole
    assert encoder_for("default", ORIGIN)(completed(took, 5, 1000)) == whole


@given(st.floats(min_value=0, max_value=4_000_000_000))
def test_times(created: float) -> None:
    """Every moment has six digits of a second, and is what datetime makes of it, but for the last digit."""
    record = record_of("text", created=created)
    took = snapshot(record, None)
    assert took is not None
    text = json.loads(item_encoder("default", ORIGIN, 1000)((took, 5)))["time"]
    assert len(text) == len("2026-01-02T03:04:05.000006Z")
    difference = datetime.fromisoformat(text) - datetime.fromtimestamp(created, UTC)
    assert abs(difference) <= timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("sequence", "around", "more"),
    [
        (None, None, {"processName": None}),
        (1, ("a task", 0, 0, None), {"processName": "Main"}),
        (1, (None, 1, 2, None), {}),
        (1, (None, 0, 0, {"request_id": "x"}), {}),
        (1, None, {"processName": None}),
        (1, None, {"process": 4711}),
        (1, None, {"process": None}),
        (1, None, {"process": -5}),
        (1, None, {"process": "x"}),
    ],
)
def test_what_is_seldom(sequence: int | None, around: Any, more: dict[str, Any]) -> None:
    """With no sequence number, in a task or a span, and of another process, it is the same JSON as well."""
    record = record_of("text %d", 1, **more)
    took = snapshot(record, around)
    assert took is not None
    entry = entry_of(record, sequence)
    add_around(entry, around)
    assert item_encoder("default", ORIGIN, 1000)((took, sequence)) == encoder_for("default", ORIGIN)(entry)


def test_what_one_process_says_again_is_kept_within_bounds() -> None:
    """Records of thousands of places are each encoded as what they are."""
    encode = item_encoder("default", ORIGIN, 1000)
    for line in range(2500):
        took = snapshot(record_of("text", lineno=line % 1250), None)
        assert took is not None
        assert b'"line":%d,' % (line % 1250) in encode((took, 1))


@pytest.mark.parametrize(
    "record",
    [
        record_of(["no text"]),
        record_of("%s", ["may change"]),
        record_of("%s", type("Text", (str,), {})("not quite a string")),
        record_of("%(a)s", {"a": 1}),
        record_of("x" * 1001),
        record_of("%s", "x" * 1001),
        record_of("%s %s", "x" * 500, "x" * 500),
        record_of("x" * 31, *range(31)),
        record_of("%d", 1 << 63),
        record_of("text", extra=1),
        record_of("text", exc_info=(ValueError, ValueError("no"), None)),
        record_of("text", exc_text="Traceback"),
        record_of("text", stack_info="Stack:"),
    ],
    ids=[
        "object",
        "list",
        "subclass",
        "dict",
        "long",
        "long argument",
        "long arguments",
        "many arguments",
        "large number",
        "extra",
        "exception",
        "traceback",
        "stack",
    ],
)
def test_what_must_be_dealt_with_at_once(record: logging.LogRecord) -> None:
    """What may change after the call, or is long, is not left for later."""
    assert snapshot(record, None) is None


def test_a_text_that_grew_is_cut() -> None:
    """A width in the template makes a text of any length: it is cut as others are, and marked."""
    took = snapshot(record_of("%1000000d", 1), None)
    assert took is not None
    text = item_encoder("default", ORIGIN, 100)((took, 1))
    assert len(text) < 1000
    assert b'"truncated":true' in text


def test_level() -> None:
    """The level is found in what was taken as in an entry."""
    record = record_of("text")
    took = snapshot(record, None)
    assert took is not None
    assert level_of_item(took) == level_of_item(entry_of(record, 1)) == (20, "INFO")


def test_a_task_that_the_record_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Since Python 3.12 every record names one; a name that is none is dealt with at once."""
    present = logging.makeLogRecord({"taskName": None}).__dict__
    monkeypatch.setattr("message_passing.logging.snapshot._HAVE_TASKS", True)
    monkeypatch.setattr("message_passing.logging.snapshot.PLAIN", len(present))
    record = record_of("text", taskName="Task-3")
    took = snapshot(record, None)
    assert took is not None
    assert item_encoder("default", ORIGIN, 100)((took, 1)) == encoder_for("default", ORIGIN)(
        entry_of(record, 1)
    )
    assert b'"task":"Task-3"' in item_encoder("default", ORIGIN, 100)((took, 1))
    plain = snapshot(record_of("text", taskName=None), None)
    assert plain is not None
    assert plain[3] is None
    assert snapshot(record_of("text", taskName=["no name"]), None) is None
