"""Which messages a watcher wants."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.conditions import patterns
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
        (b'{"status":503,"path":"/a"}', {"where": 'status >= 500 and path == "/a"'}, True),
        (b'{"status":200}', {"where": "status >= 500"}, False),
        (b'{"status":503}', {"where": "status >= 500", "level": "INFO"}, False),
        (b"{}", {"where": "status >= 500"}, False),
        (b"plain", {"where": "not status"}, True),
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
    with pytest.raises(OptionError, match="where: Python has `==` instead of '=' at column 3"):
        MessageFilter.of(where="a = 1")


@pytest.mark.parametrize("pattern", ["x*y*z", "a.*b", r"(\\w+)@x"])
def test_a_viewer_keeps_no_node_busy(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A regular expression that is not linear is for RE2 alone; one that is, for anybody."""
    where = f'matches(a, "{pattern}")'
    monkeypatch.setattr(patterns, "re2", None)
    with pytest.raises(OptionError, match="not allowed here, and RE2 is not available"):
        MessageFilter.of(where=where)
    assert takes(b'{"a":"xaab"}', where='matches(a, "^x[a-z]+")')
    monkeypatch.undo()
    pytest.importorskip("re2")
    MessageFilter.of(where=where)
    with pytest.raises(OptionError, match="RE2 does not know it"):
        MessageFilter.of(where='matches(a, "(?<!x).*y.*z")')
