"""Looking at what goes through a component's door."""

from __future__ import annotations

from typing import Any

from message_passing.codecs.json import JSONEncoder
from message_passing.console.taps import WAITING_BYTES, Doors, Tap
from message_passing.filters.null import NullFilter
from message_passing.inputs.null import NullInput
from message_passing.lines import Block, Frame
from support import Kept


def texts(tap: Tap) -> list[bytes]:
    """What the tap has seen since the last time."""
    return [text for _, batch in tap.take() for text in batch]


def test_a_tap_sees_what_the_component_is_given_and_leaves_no_trace() -> None:
    """Objects as the JSON that they were when they went by; and the component is as it was when nobody looks."""
    doors, tap, kept = Doors(), Tap(lambda: None), Kept()
    message: dict[str, Any] = {"a": 1}
    doors.add(kept, tap)
    kept.consume(message)
    message["a"] = 2
    kept.consume_many(["text", b"bytes"])
    assert texts(tap) == [b'{"a":1}', b"text", b"bytes"]
    assert kept.snapshot()["received"] == 3
    doors.remove(kept, tap)
    kept.consume("unseen")
    assert (texts(tap), kept.messages[-1]) == ([], "unseen")
    assert not {"consume", "consume_many"} & kept.__dict__.keys()


def test_two_watchers_at_one_door() -> None:
    """Who comes later, and who leaves first, makes no difference to the other."""
    doors, first, second, kept = Doors(), Tap(lambda: None), Tap(lambda: None), Kept()
    doors.add(kept, first)
    doors.add(kept, second)
    kept.consume("1")
    doors.remove(kept, first)
    kept.consume("2")
    doors.remove(kept, second)
    doors.remove(kept, second)
    kept.consume("3")
    assert (texts(first), texts(second), kept.messages) == ([b"1"], [b"1", b"2"], ["1", "2", "3"])


def test_an_input_and_a_filter_are_watched_too() -> None:
    """Of an input it is what it hands on."""
    doors, tap, other, kept = Doors(), Tap(lambda: None), Tap(lambda: None), Kept()
    between = NullFilter(output_to=kept)
    head = NullInput(output_to=between)
    doors.add(head, tap)
    doors.add(between, other)
    head.emit([b"1"])
    assert (texts(tap), texts(other), kept.messages) == ([b"1"], [b"1"], [b"1"])
    doors.remove(head, tap)
    doors.remove(between, other)


def test_frames_and_blocks_are_shown_line_by_line() -> None:
    """As the messages that they carry."""
    tap = Tap(lambda: None)
    tap.see([Frame(b"1\n2", 2)])
    tap.see(Block(b"3\n4\n", 2))
    assert texts(tap) == [b"1", b"2", b"3", b"4"]


def test_too_many_are_counted_and_cost_nothing_more() -> None:
    """Of messages or of bytes: what was not kept is a number, and those that were kept are whole."""
    tap = Tap(lambda: None, waiting=3)
    tap.see([b"1", b"2"])
    tap.see([b"3", b"4", b"5"])
    tap.see([b"6"])
    assert (tap.missed, texts(tap)) == (3, [b"1", b"2", b"3"])
    tap.see([b"7"])
    assert texts(tap) == [b"7"]
    large = Tap(lambda: None)
    big = bytes(256 * 1024)
    for _ in range(WAITING_BYTES // len(big) + 5):
        large.see([big])
    assert large.missed == 4
    assert sum(map(len, texts(large))) <= WAITING_BYTES + len(big)


def test_the_watcher_is_woken_once() -> None:
    """Until he has taken what is there: a wake-up is what costs the chain most."""
    woken: list[int] = []
    tap = Tap(lambda: woken.append(1))
    tap.see([b"1"])
    tap.see([b"2"])
    assert len(woken) == 1
    tap.take()
    tap.see([b"3"])
    assert len(woken) == 2


def test_what_has_no_json_form_is_named() -> None:
    """A watcher gets a text; the chain, which may well know what to do with it, gets the object."""
    doors, tap, kept = Doors(), Tap(lambda: None), Kept()
    doors.add(kept, tap)
    loop: list[Any] = []
    loop.append(loop)
    kept.consume(loop)
    doors.remove(kept, tap)
    assert texts(tap)[0].startswith(b"list that cannot be shown: ")
    assert kept.messages == [loop]


def test_an_encoder_that_was_watched_encodes_as_before() -> None:
    """Its own shortcuts for batches are not taken away."""
    doors, tap, kept = Doors(), Tap(lambda: None), Kept()
    encoder = JSONEncoder(output_to=kept)
    doors.add(encoder, tap)
    encoder.consume_many([{"a": 1}, {"a": 2}])
    doors.remove(encoder, tap)
    assert (kept.messages, texts(tap)) == ([b'{"a":1}', b'{"a":2}'],) * 2
