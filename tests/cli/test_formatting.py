"""A message as text for a terminal."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from message_passing.cli.formatting import TEMPLATE, Template, colours, escape_control_json
from message_passing.errors import OpenError
from message_passing.escaping import escape_control
from message_passing.logging.entry import Entry
from message_passing.logging.fields import Origin, encoder_for
from message_passing.message_fields import field

HOSTILE = "a\x1b[2J\x07b\r\n\x9b31m\u202egnp.exe\u2028c\x7f\ttab caf\u00e9 \U0001f600"
INERT = "a\\e[2J\\x07b\\r\\n\\x9b31m\\u202egnp.exe\\u2028c\\x7f\ttab caf\u00e9 \U0001f600"


def test_nothing_that_a_terminal_obeys_is_left() -> None:
    """Neither escapes nor breaks, nor what turns the order of letters round; letters stay."""
    assert escape_control(HOSTILE) == INERT
    assert escape_control("\ud800") == "\\ud800"
    text = escape_control_json({"a\x1b": HOSTILE})
    assert json.loads(text) == {"a\x1b": HOSTILE}
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in text)
    assert "\u202e" not in text


@pytest.mark.parametrize("template", ["{message}", "{host} {x.y} {json}", "{level:9}|{sender}"])
def test_no_field_gets_an_escape_through(template: str) -> None:
    """Nor a level, nor a traceback; with colours there are ours alone."""
    message = {
        "message": HOSTILE,
        "host": HOSTILE,
        "x": {"y": HOSTILE},
        "level": HOSTILE,
        "sender": [HOSTILE],
        "exception": {"traceback": HOSTILE},
    }
    shown = Template(template).fill(message)
    assert not any(ord(character) < 32 and character not in "\n\t" for character in shown)
    assert "\x9b" not in shown


@pytest.mark.parametrize("fields", ["default", "ecs", "log_dispatch", "logstash", "logstash0", "otel"])
def test_every_field_set_is_understood(fields: Any) -> None:
    """What others call the level, the logger and the message is found under our names."""
    entry = Entry(1764000000.25, "ERROR", 40, "shop", "it broke", "f.py", 1, "f", 1, "Main", 7)
    entry.exception = {"type": "KeyError", "message": "'x'", "traceback": "Traceback\n  KeyError: 'x'\n"}
    encode = encoder_for(fields, Origin("web-1", "shop", 12, "web-1:12:ab"))
    shown = Template("{time} {level:5} {logger} {host} {message}").fill(json.loads(encode(entry)))
    first, *trace = shown.splitlines()
    assert first.casefold() == "2025-11-24t16:00:00.250000z error shop web-1 it broke"
    assert trace == ["    Traceback", "      KeyError: 'x'"]


def test_what_is_missing_is_empty_and_what_is_no_object_is_itself() -> None:
    """A text is its own message, an object without one is shown whole, and both have the time that they came."""
    template = Template(TEMPLATE)
    assert template.fill("only text", 0.5) == "1970-01-01T00:00:00.500000Z   only text"
    assert template.fill({"a": [1]}, 0.5) == '1970-01-01T00:00:00.500000Z   {"a":[1]}'
    assert Template("{x}{y.z}<{level:6}>{{}}").fill({"message": "m", "y": 1}) == "<      >{}"
    assert Template("{extra.order} {a.b}").fill({"extra": {"order": 12}, "a.b": None}) == "12"
    assert Template("{a.b.c}").fill({"a": {"b.c": "dotted"}}) == "dotted"
    assert Template("{epochtime} {time}").fill({"epochtime": 1e300}) == "1e+300 1e+300"


@pytest.mark.parametrize("text", ["{", "}", "{}", "{a b}", "{message!r}", "{a:>9}", "{0[x]", "{a:9999}"])
def test_a_template_has_names_in_braces_and_nothing_else(text: str) -> None:
    """It is no format string: with one of those a stranger could ask for anything."""
    with pytest.raises(OpenError, match="field names are in braces"):
        Template(text)


def test_names_are_looked_up_in_the_message_alone() -> None:
    """An attribute's name is a field's name that is not there."""
    assert Template("{message.__class__}{__class__}").fill({"message": "m"}) == ""


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"level": "CRITICAL"}, "1;31"),
        ({"level": "error"}, "31"),
        ({"level": "own", "level_number": 33}, "33"),
        ({"level": "notice"}, "36"),
        ({"level": "INFO"}, "32"),
        ({"level": "DEBUG"}, "2"),
        ({"level": 40}, "31"),
    ],
)
def test_levels_have_colours(message: dict[str, Any], code: str) -> None:
    """By their number, whatever they are called."""
    assert Template("{level}", coloured=True).fill(message).startswith(f"\x1b[{code}m")


def test_a_level_of_its_own_has_no_colour() -> None:
    """Nobody knows how bad it is."""
    assert Template("{level} x", coloured=True).fill({"level": "Peculiar"}) == "Peculiar x"


def test_colours_are_for_terminals_that_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """And for who asks for them."""

    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert colours("auto", Screen())
    assert not colours("auto", io.StringIO())
    assert colours("always", io.StringIO())
    assert not colours("never", Screen())
    monkeypatch.setenv("TERM", "dumb")
    assert not colours("auto", Screen())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colours("auto", Screen())


def test_an_empty_name_is_preferred_to_none() -> None:
    """The first of the names that is there wins."""
    assert field({"message": "", "Body": "x"}, "message") == ""
