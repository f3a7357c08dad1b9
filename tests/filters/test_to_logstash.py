"""Logstash's old JSON form."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from typing import Any

import pytest

from message_passing import identity, resolving
from message_passing.filters.to_logstash import ToLogstashFilter
from support import Kept, accounted_for

NOON = 1325419200.0  # 2012-01-01T12:00:00Z


def logstash(message: Any, **given: Any) -> dict[str, Any]:
    """What becomes of a message."""
    end = Kept()
    converter = ToLogstashFilter(
        **{"hostname": "here.example", "clock": lambda: NOON, **given}, output_to=end
    )
    converter.consume(message)
    assert accounted_for(converter)
    (result,) = end.messages
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize(
    ("line", "text"),
    [("a line", "a line"), ("0", "0"), ("", ""),
     (b"b \xe2\x98\xba", "b \u263a"), (b"\xff", "\\xff"), (0, 0), (["x"], ["x"])],
)  # fmt: skip
def test_a_line_gets_time_and_host(line: Any, text: Any) -> None:
    """Whatever is no dict is a line, false ones too; bytes become text that JSON can write."""
    assert logstash(line) == {
        "@fields": {},
        "@message": text,
        "@source_host": "here.example",
        "@timestamp": "2012-01-01T12:00:00",
        "@type": "generic_line",
        "@tags": [],
    }


def test_fields_find_their_places() -> None:
    """Each key of the original's mapping, and the others in `@fields`."""
    message = {
        "hostname": "there",
        "message": "text",
        "filename": "/var/log/x",
        "date": "yesterday",
        "type": "event",
        "level": "info",
        "nested": {"a": 1},
    }
    assert logstash(message) == {
        "@fields": {"level": "info", "nested": {"a": 1}},
        "@source_host": "there",
        "@message": "text",
        "@source_path": "/var/log/x",
        "@timestamp": "yesterday",
        "@type": "event",
        "@tags": [],
    }


def test_the_message_itself_is_left_alone() -> None:
    """It is read, not emptied."""
    message = {"message": "text", "epochtime": NOON, "@tags": ["a"]}
    logstash(message)
    assert message == {"message": "text", "epochtime": NOON, "@tags": ["a"]}


def test_a_class_is_the_type_when_there_is_no_other() -> None:
    """With the prefix that says whose class it is."""
    assert logstash({"__CLASS__": "My::Event"})["@type"] == "perl:Class:My::Event"


def test_a_type_goes_before_a_class() -> None:
    """The original took either by chance; the one that is left over stays in `@fields`."""
    result = logstash({"__CLASS__": "My::Event", "type": "event"})
    assert (result["@type"], result["@fields"]) == ("event", {"__CLASS__": "My::Event"})


def test_an_epoch_goes_before_a_date() -> None:
    """As in the original; the date stays in `@fields`."""
    result = logstash({"epochtime": NOON, "date": "yesterday"})
    assert (result["@timestamp"], result["@fields"]) == ("2012-01-01T12:00:00", {"date": "yesterday"})


@pytest.mark.parametrize(
    ("epoch", "seconds", "fractions"),
    [
        (NOON, "2012-01-01T12:00:00", "2012-01-01T12:00:00Z"),
        (NOON + 0.25, "2012-01-01T12:00:00", "2012-01-01T12:00:00.250000Z"),
        (NOON + 0.99, "2012-01-01T12:00:00", "2012-01-01T12:00:00.990000Z"),
        (0, "1970-01-01T00:00:00", "1970-01-01T00:00:00Z"),
        ("1325419200.5", "2012-01-01T12:00:00", "2012-01-01T12:00:00.500000Z"),
        (-1, "1969-12-31T23:59:59", "1969-12-31T23:59:59Z"),
        (-1.5, "1969-12-31T23:59:58", "1969-12-31T23:59:58.500000Z"),
    ],
)
def test_an_epoch_is_written_as_the_original_writes_it(epoch: Any, seconds: str, fractions: str) -> None:
    """In UTC, without fractions and zone; with the option, with both."""
    result = logstash({"epochtime": epoch})
    assert (result["@timestamp"], result["@fields"]) == (seconds, {})
    assert logstash({"epochtime": epoch}, fractions=True)["@timestamp"] == fractions


@pytest.mark.parametrize("epoch", ["soon", None, True, [], float("nan"), float("inf"), 1e30])
def test_an_epoch_that_is_no_time_stays_where_it_was(epoch: Any) -> None:
    """The message is not lost for it."""
    result = logstash({"epochtime": epoch})
    assert "@timestamp" not in result
    assert result["@fields"]["epochtime"] is epoch


@pytest.mark.parametrize(
    "given", [{}, {"@tags": []}, {"@tags": ["own", "added", "own"]}, {"@tags": "x"}], ids=str
)
def test_tags_are_those_of_the_options_listed_once(given: dict[str, Any]) -> None:
    """As in the original, which leaves a message's own where it finds them: in the fields."""
    result = logstash(given, default_tags=["default", "default"], add_tags=["added", "added"])
    assert (result["@tags"], result["@fields"]) == (["default", "added"], given)


def test_messages_do_not_share_their_tags() -> None:
    """What is done to one's does not show in the next."""
    end = Kept()
    converter = ToLogstashFilter(default_tags=["a"], output_to=end, hostname="x")
    converter.consume_many(["1", "2"])
    end.messages[0]["@tags"].append("b")
    assert end.messages[1]["@tags"] == ["a"]
    assert converter.default_tags == ["a"]


@pytest.mark.parametrize(
    ("full", "short", "address", "wanted"),
    [
        ("web-1.example.org", "web-1", "10.0.0.7", "web-1.example.org"),
        ("localhost", "web-1", "10.0.0.7", "web-1"),
        ("localhost.localdomain", "localhost", "10.0.0.7", "10.0.0.7"),
        ("ip6-localhost", "localhost", "127.0.0.1", "unknown"),
        ("LOCALHOST", "", OSError, "unknown"),
        (OSError, "web-1", OSError, "web-1"),
    ],
)
def test_the_host_is_never_localhost(
    full: Any, short: Any, address: Any, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be the name of every machine is none."""

    def answer(value: Any) -> Any:
        def function() -> str:
            if value is OSError:
                raise OSError
            return str(value)

        return function

    monkeypatch.setattr(resolving, "_own", None)  # nobody has asked yet
    monkeypatch.setattr(socket, "getfqdn", answer(full))
    monkeypatch.setattr(socket, "gethostname", answer(short))
    monkeypatch.setattr(identity, "_own_address", answer(address))
    end = Kept()
    with ToLogstashFilter(output_to=end) as converter:
        converter.consume("line")
    assert end.messages[0]["@source_host"] == wanted


def test_a_full_name_that_is_known_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken, unless it says nothing."""
    monkeypatch.setattr(socket, "gethostname", lambda: "web-1")
    assert identity.telling("web-1.example.org") == "web-1.example.org"
    assert identity.telling("localhost") == "web-1"


def test_an_address_of_our_own_is_one() -> None:
    """Or there is no network."""
    with contextlib.suppress(OSError):
        ipaddress.ip_address(identity._own_address())


def test_without_the_option_the_host_is_this_one() -> None:
    """Its full name, as in the original."""
    end = Kept()
    ToLogstashFilter(output_to=end).consume("line")
    assert end.messages[0]["@source_host"] == resolving.full_host_name()[0]
