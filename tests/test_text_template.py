"""Text with fields and the time in braces."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from message_passing.errors import OptionError
from message_passing.text_template import TextTemplate


def test_the_time_of_the_message() -> None:
    """It is in UTC, whatever zone the message gives, and whichever of the known fields has it."""
    template = TextTemplate("{time:%Y/%m/%d}-{time:%H}")
    assert template.value({"time": "2024-02-03T23:30:00-02:00"}) == "2024/02/04-01"
    assert template.value({"@timestamp": "2024-02-03T23:30:00"}) == "2024/02/03-23"
    assert template.value({"epochtime": 1706918400123}) == "2024/02/03-00"
    assert (template.fields, template.is_constant, template.start) == ([], False, "")


def test_without_a_time_it_is_now() -> None:
    """Also where the field is there, and no known time, or the message has no fields."""
    template = TextTemplate("{time:%Y-%m-%dT%H:%M}")
    for message in (
        {},
        {"time": "yesterday"},
        {"time": 1e300},
        {"time": "9999-12-31T23:59:59-12:00"},
        b"text",
    ):
        made = datetime.strptime(template.value(message), "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
        assert abs((datetime.now(UTC) - made).total_seconds()) < 600


def test_the_field_is_another_thing() -> None:
    """`{time}` is what the message says; a name with a colon in it is a field's too."""
    assert TextTemplate("{time}|{a:b}").value({"time": "x", "a:b": 1}) == "x|1"


def test_what_is_known_of_it() -> None:
    """What it begins with, its fields, and whether it is the same for all."""
    template = TextTemplate("a{{b/{c.d}{e}f{e}")
    assert (template.start, template.fields, template.is_constant) == ("a{b/", ["c.d", "e", "e"], False)
    plain = TextTemplate("{{x}}")
    assert (plain.start, plain.is_constant, plain.value({})) == ("{x}", True, "{x}")
    assert template.value({"c": {"d": "/"}}, lambda text: f"<{text}>") == "a{b/</><>f<>"


@pytest.mark.parametrize("text", ["{time:}", "{time:YYYY}", "{time:\ud800%Y}"])
def test_no_form_of_the_time(text: str) -> None:
    """It is said with its column and an example."""
    with pytest.raises(OptionError, match=r"is no form of the time: .* at column 2"):
        TextTemplate("x" + text)


@pytest.mark.parametrize(
    "name", [" host", "host ", "ts:%Y", "host!r", "tags[0]", "tags[-1]", "n:>10", "n:.2f", "n:04d"]
)
def test_what_is_no_field(name: str) -> None:
    """What would be taken for a field that no message has; the time of another field above all."""
    with pytest.raises(
        OptionError, match=r"is no field: its name alone stands in braces, .* at column 2"
    ) as caught:
        TextTemplate(f"x{{{name}}}")
    assert ("{time:...} is the message's own time" in str(caught.value)) is (":%" in name)
