"""Logstash's old JSON form."""

from __future__ import annotations

import socket
from typing import Any

import pytest

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
        "@timestamp": "2012-01-01T12:00:00Z",
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
    assert (result["@timestamp"], result["@fields"]) == ("2012-01-01T12:00:00Z", {"date": "yesterday"})


@pytest.mark.parametrize(
    ("epoch", "timestamp"),
    [
        (NOON, "2012-01-01T12:00:00Z"),
        (NOON + 0.25, "2012-01-01T12:00:00.250000Z"),
        (0, "1970-01-01T00:00:00Z"),
        ("1325419200.5", "2012-01-01T12:00:00.500000Z"),
        (-1, "1969-12-31T23:59:59Z"),
    ],
)
def test_an_epoch_is_told_in_utc_with_its_fractions(epoch: Any, timestamp: str) -> None:
    """The original dropped the fractions, and said nothing of the zone."""
    result = logstash({"epochtime": epoch})
    assert (result["@timestamp"], result["@fields"]) == (timestamp, {})


@pytest.mark.parametrize("epoch", ["soon", None, True, [], float("nan"), float("inf"), 1e30])
def test_an_epoch_that_is_no_time_stays_where_it_was(epoch: Any) -> None:
    """The message is not lost for it."""
    result = logstash({"epochtime": epoch})
    assert "@timestamp" not in result
    assert result["@fields"]["epochtime"] is epoch


@pytest.mark.parametrize(
    ("given", "tags"),
    [
        ({}, ["default", "added"]),
        ({"@tags": []}, ["default", "added"]),
        ({"@tags": ["own", "added", "own"]}, ["own", "added"]),
    ],
)
def test_tags_are_defaulted_added_and_listed_once(given: dict[str, Any], tags: list[str]) -> None:
    """A message's own tags take the place of the default ones, not of the added."""
    result = logstash(given, default_tags=["default"], add_tags=["added", "added"])
    assert (result["@tags"], result["@fields"]) == (tags, {})


def test_messages_do_not_share_their_tags() -> None:
    """What is done to one's does not show in the next."""
    end = Kept()
    converter = ToLogstashFilter(default_tags=["a"], output_to=end, hostname="x")
    converter.consume_many(["1", "2"])
    end.messages[0]["@tags"].append("b")
    assert end.messages[1]["@tags"] == ["a"]
    assert converter.default_tags == ["a"]


def test_tags_that_are_no_list_are_a_field() -> None:
    """Nothing is guessed."""
    assert logstash({"@tags": "x"})["@fields"] == {"@tags": "x"}


def test_without_the_option_the_host_is_this_one() -> None:
    """Its full name, as in the original."""
    end = Kept()
    ToLogstashFilter(output_to=end).consume("line")
    assert end.messages[0]["@source_host"] == socket.getfqdn()
