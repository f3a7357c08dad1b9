"""Stamping messages with their sender and sequence."""

from __future__ import annotations

import os

import pytest

from message_passing.errors import MessageError
from message_passing.filters.stamp import StampFilter
from message_passing.identity import is_run_id, names_one_run
from support import Kept, accounted_for


def test_numbers_without_gaps() -> None:
    """They begin with 1; the message that came in stays as it was."""
    kept = Kept()
    stamp = StampFilter(sender="web-1", output_to=kept)
    message = {"a": 1}
    stamp.consume_many([message, {"b": 2}])
    stamp.consume({"c": 3})
    stamp.close()
    assert [one["sequence"] for one in kept.messages] == [1, 2, 3]
    assert {one["sender"] for one in kept.messages} == {"web-1"}
    assert message == {"a": 1}


def test_two_have_two_names() -> None:
    """Without a name of the user's, each is a sender of its own."""
    names = {StampFilter().filter({})["sender"] for _ in range(3)}
    assert len(names) == 3
    assert all(f":{os.getpid()}:" in name for name in names)


def test_a_name_of_yours_comes_with_the_run() -> None:
    """Another one for each life; the names that are made have it in them, and need none."""
    first, second = StampFilter(sender="web-1").filter({}), StampFilter(sender="web-1").filter({})
    assert first["sender"] == second["sender"] == "web-1"
    assert is_run_id(first["sender_run"])
    assert first["sender_run"] < second["sender_run"]
    assert first["sequence"] == second["sequence"] == 1
    made = StampFilter().filter({})
    assert set(made) == {"sender", "sequence"}
    assert names_one_run(made["sender"])
    assert not names_one_run("web-1")


def test_a_forked_child_with_a_name_of_yours_is_another_run() -> None:
    """It begins with 1 as well, so it must not be taken for its parent."""
    stamp = StampFilter(sender="web-1")
    before = stamp.filter({})
    reading, writing = os.pipe()
    if not (child := os.fork()):
        found = stamp.filter({})
        os.write(writing, f"{found['sender_run']} {found['sequence']}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    run, number = os.read(reading, 1000).decode().split()
    os.close(reading)
    os.close(writing)
    assert run > before["sender_run"]
    assert number == "1"
    assert stamp.filter({}) == {**before, "sequence": 2}


def test_what_is_no_object_fails() -> None:
    """It has no place for fields; its neighbours go on without a gap."""
    kept, errors = Kept(), Kept()
    stamp = StampFilter(output_to=kept, error=errors)
    stamp.consume_many([{}, "text", {}])
    assert [one["sequence"] for one in kept.messages] == [1, 2]
    assert len(errors.messages) == 1
    assert accounted_for(stamp)
    with pytest.raises(MessageError, match="only an object can be stamped, not str"):
        stamp.filter("text")


def test_a_forked_child_is_another_sender() -> None:
    """It begins with 1 under a name of its own."""
    stamp = StampFilter()
    before = stamp.filter({})
    reading, writing = os.pipe()
    if not (child := os.fork()):
        found = stamp.filter({})
        os.write(writing, f"{found['sender']} {found['sequence']}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    name, number = os.read(reading, 1000).decode().split()
    os.close(reading)
    os.close(writing)
    assert name != before["sender"]
    assert number == "1"
    assert stamp.filter({})["sequence"] == 2
