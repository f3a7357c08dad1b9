"""The filter Where."""

from __future__ import annotations

import json
from typing import Any

import pytest

from commands import finished
from message_passing.errors import OptionError
from message_passing.filters.where import WhereFilter
from message_passing.testing import TestOutput

LINES = b'{"level":"INFO","path":"/x"}\n{"level":"ERROR","path":"/health"}\n{"level":"ERROR","path":"/x"}\n{"n":1}\n'
CONDITION = 'condition=level >= "WARNING" and not path.startswith("/health")'


def test_as_it_is_typed() -> None:
    """What holds passes, and the rest is filtered out, not lost."""
    done = finished(
        *("--input", "STDIN", "--filter", "Where", "--filter_options", CONDITION, "--output", "STDOUT"),
        given=LINES,
    )
    assert (done.status, done.out, done.err) == (0, b'{"level":"ERROR","path":"/x"}\n', "")


def test_a_mistake_names_the_option_and_the_column() -> None:
    """With what to write instead; the status is 2."""
    options = json.dumps({"condition": "level => 'ERROR'"})
    words = ("--input", "STDIN", "--filter", "Where", "--filter_options", options, "--output", "STDOUT")
    done = finished(*words, given=LINES)
    assert done.status == 2
    assert "--filter_options.condition: " in done.err
    assert "Python has `>=` instead of '=>' at column 7" in done.err


def test_counts() -> None:
    """What is removed was filtered."""
    seen = TestOutput()
    where = WhereFilter(condition="n > 1", output_to=seen)
    with where:
        where.consume_many([{"n": 1}, {"n": 2}, b"no dict", {"n": "3"}])
        counted = where.snapshot()
    assert seen.messages == [{"n": 2}]
    assert (counted["received"], counted["passed"], counted["filtered"], counted["failed"]) == (4, 1, 3, 0)


@pytest.mark.parametrize("wrong", ["", "level >= 'WARNIN'", "f(x)", "a b"])
def test_a_wrong_condition_is_refused(wrong: Any) -> None:
    """When the filter is made."""
    with pytest.raises(OptionError, match="condition"):
        WhereFilter(condition=wrong)
