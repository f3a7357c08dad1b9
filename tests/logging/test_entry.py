"""What is kept of a record: its causes, its parts as they were, and no more than fits."""

from __future__ import annotations

import json
import logging
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.logging import attributes
from message_passing.logging import entry as module
from message_passing.logging.entry import Entry
from message_passing.logging.exceptions import described_exception


def made(**more: Any) -> Entry:
    """An entry with what every one has."""
    return Entry(
        0.0, "INFO", 20, "logger", more.pop("message", "x"), "file", 1, "function", 1, "thread", **more
    )


def test_what_a_record_of_this_python_has_is_known() -> None:
    """Else a standard attribute would be sent as an extra, or a lone extra be overlooked."""
    present = logging.makeLogRecord({}).__dict__
    assert present.keys() <= attributes.STANDARD
    assert len(present) == attributes.PLAIN


@pytest.mark.parametrize("value", ["text", 1, 1.5, True, None])
def test_plain_values_stay_as_they_are(value: object) -> None:
    """They cannot change."""
    assert module.plain(value) is value


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner)
    ),
)


@given(values)
def test_any_value_becomes_json(value: object) -> None:
    """One that can change is encoded at once."""
    found = module.plain(value)
    text = msgspec.json.encode(found)
    json.loads(text)


@given(
    limit=st.integers(100, 2000),
    extra=st.dictionaries(st.text(), st.text(max_size=5000) | st.lists(st.integers())),
    message=st.text(max_size=5000),
)
def test_what_is_shortened_fits(limit: int, extra: dict[str, Any], message: str) -> None:
    """Its message within the limit, its parts within as much again; and it is marked."""
    cut = module.shortened(made(message=message, extra={k: module.plain(v) for k, v in extra.items()}), limit)
    assert cut.truncated
    assert len(cut.message) <= limit + 40
    assert cut.message[:limit] == message[:limit]
    assert not module.is_too_large(cut, 2 * limit)
    json.loads(msgspec.json.encode(cut))


@pytest.mark.parametrize("limit", [1, 8, 50])
def test_however_small_the_limit_nothing_is_made_up(limit: int) -> None:
    """A part that there is not is none, and a number stays one."""
    cut = module.shortened(made(message="x" * 100, extra={"a": 1, "b": "y" * 100}), limit)
    assert (cut.args, cut.exception, cut.stack, cut.context) == (None, None, None, None)
    assert cut.extra
    assert cut.extra["a"] == 1


def test_small_extras_outlive_a_large_one() -> None:
    """Those before it whole, and the large one's beginning."""
    extra = {"small": 1, "large": "y" * 10_000, "after": 2}
    kept = module.shortened(made(extra=extra), 1000).extra
    assert kept
    assert kept["small"] == 1
    assert kept["large"].startswith("yyy")


def test_causes_in_a_circle_end() -> None:
    """Each is told once."""
    one, two = ValueError("one"), KeyError("two")
    one.__cause__, two.__cause__ = two, one
    found = described_exception((ValueError, one, None))
    assert found
    assert [cause["type"] for cause in found["causes"]] == ["KeyError"]


def test_causes_are_told_as_python_tells_them() -> None:
    """A context counts unless it is suppressed; of a long chain the first eight."""
    error = ValueError("outer")
    error.__context__ = KeyError("inner")
    found = described_exception((ValueError, error, None))
    assert found
    assert found["causes"][0]["message"] == "'inner'"
    error.__suppress_context__ = True
    found = described_exception((ValueError, error, None))
    assert found
    assert "causes" not in found
    last: BaseException = ValueError()
    for _ in range(20):
        outer = ValueError()
        outer.__cause__, last = last, outer
    found = described_exception((ValueError, last, None))
    assert found
    assert len(found["causes"]) == 8


def test_an_exception_of_a_module_is_named_in_full() -> None:
    """As tracebacks do."""
    error = json.JSONDecodeError("x", "", 0)
    found = described_exception((type(error), error, None))
    assert found
    assert found["type"] == "json.decoder.JSONDecodeError"
