"""Which messages a watcher wants."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.console.message_filter import MessageFilter, decode_for_display
from message_passing.errors import OptionError
from message_passing.message_fields import level_number


def takes(raw: bytes, **words: object) -> bool:
    """Whether a message is wanted by these words."""
    return MessageFilter.of(**words).matches(*decode_for_display(raw))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("raw", "words", "wanted"),
    [
        (b'{"level":"WARNING"}', {"level": "warning"}, True),
        (b'{"level":"INFO"}', {"level": "WARNING"}, False),
        (b'{"level":"whatever","level_number":45}', {"level": "ERROR"}, True),
        (b'{"log.level":"error"}', {"level": "WARNING"}, True),
        (b'{"SeverityText":"INFO"}', {"level": "WARNING"}, False),
        (b'{"@fields":{"level":"critical"}}', {"level": "40"}, True),
        (b'{"level":"notice"}', {"level": "INFO"}, True),
        (b'{"message":"no level at all"}', {"level": "DEBUG"}, False),
        (b"plain text", {"level": "DEBUG"}, False),
        (b'{"app":{"name":"shop"}}', {"fields": ["app.name=shop"]}, True),
        (b'{"app.name":"shop"}', {"fields": ["app.name=shop"]}, True),
        (b'{"app":"shop"}', {"fields": ["app.name=shop"]}, False),
        (b'{"n":5,"ok":true}', {"fields": ["n=5", "ok=true"]}, True),
        (b'{"n":5,"ok":true}', {"fields": ["n=5", "ok=false"]}, False),
        (b'{"a":"b=c"}', {"fields": ["a=b=c"]}, True),
        (b'{"message":"Gr\\u00fc\\u00dfe"}', {"search": "GR\u00dcSSE"}, True),
        (b"Plain Text", {"search": "plain"}, True),
        (b'{"message":"x"}', {"search": "y"}, False),
    ],
)
def test_what_is_wanted(raw: bytes, words: dict[str, object], wanted: bool) -> None:
    """Level at least, fields equal, text contained; each in every form that messages have."""
    assert takes(raw, **words) is wanted


@given(st.binary(max_size=200))
def test_no_bytes_are_too_strange_to_be_shown(raw: bytes) -> None:
    """What is no JSON object is text, whatever it is; and a watcher's words can be asked of it."""
    message, text = decode_for_display(raw)
    assert isinstance(text, str)
    assert MessageFilter().matches(message, text)
    MessageFilter.of("INFO", ["a.b=c"], "x").matches(message, text)


def test_a_word_that_cannot_be_meant_is_refused() -> None:
    """With the one that may be."""
    with pytest.raises(OptionError, match=r"no level 'warnign' .did you mean 'WARNING'"):
        level_number("warnign")
    with pytest.raises(OptionError, match="given as `name=value`, not 'x'"):
        MessageFilter.of(fields=["x"])
