"""Changing messages with a function."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003
from typing import Any

import pytest

from message_passing import options
from message_passing.errors import OptionError
from message_passing.filters.mangle import MangleFilter
from support import Kept, accounted_for


def drop_odd(message: Any) -> Any:
    """For the tests below."""
    return None if message % 2 else message * 10


def test_what_the_function_returns_goes_on() -> None:
    """None is dropped, and what it raises is reported, with the message."""
    end, errors = Kept(), Kept()
    mangle = MangleFilter(filter_function=drop_odd, output_to=end, error=errors)
    mangle.consume_many([1, 2, "x", 0])
    assert end.messages == [20, 0]
    assert errors.messages[0]["packed_data"] == "x"
    assert mangle.metrics.filtered == 1
    assert accounted_for(mangle)


@pytest.mark.parametrize(
    "spelt", ["+redact_for_tests:redact", "+redact_for_tests.redact", "redact_for_tests:redact"]
)
def test_text_names_a_function_in_the_working_directory(
    spelt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a command line or config file gives it."""
    (tmp_path / "redact_for_tests.py").write_text(
        "def redact(message):\n    message.pop('password', None)\n    return message\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    given = options.check(
        options.accepted(MangleFilter), {"filter_function": spelt}, label="Mangle filter", from_text=True
    )
    end = Kept()
    MangleFilter(filter_function=given["filter_function"], output_to=end).consume({"a": 1, "password": "x"})
    assert end.messages == [{"a": 1}]
    del sys.modules["redact_for_tests"]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("+copy:cpoy", "module 'copy' has no 'cpoy' (did you mean 'copy'?)"),
        ("+no_such_module:f", "there is no module 'no_such_module'"),
        ("redact", "'+redact' is not a function's path: write +package.module:function"),
        ("+sys:path", "'+sys:path' is not a function but list"),
        ("+asyncio:sleep", "'filter_function' must be a plain function, not an async one"),
        (5, "option 'filter_function' must be str or callable, not 5"),
        (None, "option 'filter_function' must be str or callable, not None"),
    ],
)
def test_what_is_no_function_is_refused(function: Any, reason: str) -> None:
    """When the filter is made, with the reason."""
    with pytest.raises(OptionError) as caught:
        MangleFilter(filter_function=function)
    assert reason in str(caught.value)
    assert "Mangle filter: " in str(caught.value)


def test_the_function_is_required() -> None:
    """There is nothing it could do without."""
    nothing: dict[str, Any] = {}
    with pytest.raises(OptionError, match="needs the option 'filter_function'"):
        MangleFilter(**nothing)
