"""Objects as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from commands import finished
from message_passing.codecs.template import TemplateEncoder
from message_passing.errors import OptionError
from message_passing.outputs.file import FileOutput
from support import Kept, accounted_for

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("template", "message", "expected"),
    [
        ("{message}", {"message": "é \ud800", "n": 1}, "é \\ud800".encode()),
        ("{a.b}|{c}|{d}|{e}", {"a": {"b": 1.5}, "c": None, "d": [1, "x"]}, b'1.5||[1,"x"]|'),
        ("{time:%b %d %H:%M:%S} {h}", {"time": "2024-02-03T04:05:06Z", "h": "w"}, b"Feb 03 04:05:06 w"),
        ("<{{{pri}}}>", {"pri": 13}, b"<{13}>"),
        ("no field", {}, b"no field"),
        ("{message}", "text", "text"),
        ("{message}", b"bytes", b"bytes"),
    ],
)
def test_what_is_written(template: str, message: Any, expected: bytes) -> None:
    """Fields in their places; text and bytes pass."""
    kept = Kept()
    encoder = TemplateEncoder(template=template, output_to=kept)
    encoder.consume(message)
    assert kept.messages == [expected]
    assert accounted_for(encoder)


@pytest.mark.parametrize("message", [{"msg": "x"}, {}, 5, [1], None])
def test_what_would_be_an_empty_line_fails(message: Any) -> None:
    """Whole, with the reason."""
    kept, errors = Kept(), Kept()
    encoder = TemplateEncoder(template="{message}{level}", output_to=kept, error=errors)
    encoder.consume_many([{"level": None}, message])
    assert kept.messages == [b""]
    assert "has none of the fields message, level" in str(errors.messages) or "it is no object" in str(
        errors.messages
    )
    assert accounted_for(encoder)


def test_a_mistake_names_the_option_and_the_column() -> None:
    """As it does for other templates."""
    with pytest.raises(OptionError) as caught:
        TemplateEncoder(template="{message} {level:>8}")
    assert [(one.where, one.mark) for one in caught.value.faults] == [("template", (0, 11))]


def test_a_line_break_in_a_field_makes_no_line(tmp_path: Path) -> None:
    """In a file, whose name may have fields all the same."""
    output = FileOutput(filename=str(tmp_path / "{host}.log"))
    with TemplateEncoder(template="{host}: {message}", output_to=output) as encoder:
        for message in ("a\nroot: b", "c\u2028d", "e"):
            encoder.consume({"host": "web", "message": message})
    assert (tmp_path / "web.log").read_text().split("\n") == [
        "web: a\\nroot: b",
        "web: c\\u2028d",
        "web: e",
        "",
    ]


def test_as_it_is_typed() -> None:
    """It takes the place of JSON."""
    words = ("--input", "STDIN", "--output", "STDOUT", "--encoder", "Template", "--encoder_options")
    done = finished(*words, '{"template":"{level} {message}"}', given=b'{"level":"INFO","message":"a\\nb"}\n')
    assert (done.status, done.out, done.err) == (0, b"INFO a\\nb\n", "")
