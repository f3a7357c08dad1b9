"""Looking at what goes through a component's door."""

from __future__ import annotations

import time
from typing import Any

from message_passing.codecs.json import JSONEncoder
from message_passing.console.governor import Bucket
from message_passing.console.taps import WAITING_BYTES, Tap, TapPoint, TapRegistry
from message_passing.filters.null import NullFilter
from message_passing.inputs.null import NullInput
from message_passing.lines import LineBlock, MultiMessage
from support import Kept


def texts(tap: Tap) -> list[bytes]:
    """What the tap has seen since the last time."""
    return [text for _, batch in tap.take() for text in batch]


def at_door(*taps: Tap, seconds: float = 10.0) -> TapPoint:
    """A door at which these watchers stand, with so much time."""
    door = TapPoint(Bucket(0.0001, seconds))
    for tap in taps:
        door.add(tap)
    return door


def test_a_tap_sees_what_the_component_is_given_and_leaves_no_trace() -> None:
    """Objects as the JSON that they were when they went by; and the component is as it was when nobody looks."""
    registry, tap, kept = TapRegistry(), Tap(lambda: None), Kept()
    message: dict[str, Any] = {"a": 1}
    registry.add(kept, tap)
    kept.consume(message)
    message["a"] = 2
    kept.consume_many(["text", b"bytes"])
    assert texts(tap) == [b'{"a":1}', b"text", b"bytes"]
    assert kept.snapshot()["received"] == 3
    registry.remove(kept, tap)
    kept.consume("unseen")
    assert (texts(tap), kept.messages[-1]) == ([], "unseen")
    assert not {"consume", "consume_many"} & kept.__dict__.keys()
    assert not kept.observers


def test_two_watchers_at_one_door() -> None:
    """Who comes later, and who leaves first, makes no difference to the other."""
    registry, first, second, kept = TapRegistry(), Tap(lambda: None), Tap(lambda: None), Kept()
    registry.add(kept, first)
    registry.add(kept, second)
    kept.consume("1")
    registry.remove(kept, first)
    kept.consume("2")
    registry.remove(kept, second)
    registry.remove(kept, second)
    kept.consume("3")
    assert (texts(first), texts(second), kept.messages) == ([b"1"], [b"1", b"2"], ["1", "2", "3"])


def test_an_input_and_a_filter_are_watched_too() -> None:
    """Of an input it is what it hands on."""
    registry, tap, other, kept = TapRegistry(), Tap(lambda: None), Tap(lambda: None), Kept()
    between = NullFilter(output_to=kept)
    head = NullInput(output_to=between)
    registry.add(head, tap)
    registry.add(between, other)
    head.emit([b"1"])
    assert (texts(tap), texts(other), kept.messages) == ([b"1"], [b"1"], [b"1"])
    registry.remove(head, tap)
    registry.remove(between, other)


def test_frames_and_blocks_are_shown_line_by_line() -> None:
    """As the messages that they carry."""
    tap = Tap(lambda: None)
    door = at_door(tap)
    door.see([MultiMessage(b"1\n2", 2)])
    door.see(LineBlock(b"3\n4\n", 2))
    assert (door.count, tap.missed) == (4, 0)
    assert texts(tap) == [b"1", b"2", b"3", b"4"]


def test_too_many_are_counted_and_cost_nothing_more() -> None:
    """Of messages or of bytes: what was not kept is a number, and those that were kept are whole."""
    tap = Tap(lambda: None, waiting=3)
    door = at_door(tap)
    door.see([b"1", b"2"])
    door.see([b"3", b"4", b"5"])
    door.see([b"6"])
    assert (tap.missed, texts(tap)) == (3, [b"1", b"2", b"3"])
    door.see([b"7"])
    assert texts(tap) == [b"7"]


def test_what_waits_is_bounded_in_bytes_however_it_comes() -> None:
    """One large message after the other, many in one batch, or many small ones with what each takes besides."""
    big = bytes(256 * 1024)
    singly, together, small = Tap(lambda: None), Tap(lambda: None), Tap(lambda: None)
    door = at_door(singly)
    for _ in range(100):
        door.see([big])
    at_door(together).see([big] * 100)
    at_door(small).see([b""] * 100_000)
    for tap in (singly, together, small):
        assert WAITING_BYTES - 2 * len(big) <= tap.waiting_bytes <= WAITING_BYTES
        assert tap.missed == (100_000 if tap is small else 100) - tap.waiting
    assert len(texts(small)) == WAITING_BYTES // 64


def test_it_is_taken_in_parts() -> None:
    """So many messages, or so many bytes: at least one, and in order."""
    tap = Tap(lambda: None)
    door = at_door(tap)
    door.see([b"1", b"2", b"3"])
    door.see([b"4" * 1000, b"5"])
    assert [[*batch] for _, batch in tap.take(most=2)] == [[b"1", b"2"]]
    assert [[*batch] for _, batch in tap.take(most_bytes=100)] == [[b"3"], [b"4" * 1000]]
    assert (tap.waiting, texts(tap), tap.waiting_bytes) == (1, [b"5"], 0)


def test_the_chain_gives_no_more_time_than_it_has() -> None:
    """However many there are who could take more: the rest is counted, for each of them."""
    taps = [Tap(lambda: None) for _ in range(10)]
    door = at_door(*taps, seconds=0.01)
    began = time.perf_counter()
    for _ in range(1000):
        door.see([{"n": n, "text": "x" * 100} for n in range(100)])
    took = time.perf_counter() - began
    at = [tap.waiting for tap in taps]
    assert at == [at[0]] * 10
    assert at[0] < 50_000
    assert [tap.missed for tap in taps] == [100_000 - at[0]] * 10
    door = at_door(Tap(lambda: None), seconds=0.0)
    began = time.perf_counter()
    for _ in range(1000):
        door.see([b"1"] * 1000)
    assert time.perf_counter() - began < took, "at no time at all it costs a count"


def test_the_watcher_is_woken_once() -> None:
    """Until he has taken what is there: a wake-up is what costs the chain most."""
    woken: list[int] = []
    tap = Tap(lambda: woken.append(1))
    door = at_door(tap)
    door.see([b"1"])
    door.see([b"2"])
    assert len(woken) == 1
    tap.take()
    door.see([b"3"])
    assert len(woken) == 2


def test_what_has_no_json_form_is_named() -> None:
    """A watcher gets a text; the chain, which may well know what to do with it, gets the object."""
    registry, tap, kept = TapRegistry(), Tap(lambda: None), Kept()
    registry.add(kept, tap)
    loop: list[Any] = []
    loop.append(loop)
    kept.consume(loop)
    registry.remove(kept, tap)
    assert texts(tap)[0].startswith(b"list that cannot be shown: ")
    assert kept.messages == [loop]


def test_an_encoder_that_was_watched_encodes_as_before() -> None:
    """Its own shortcuts for batches are not taken away."""
    registry, tap, kept = TapRegistry(), Tap(lambda: None), Kept()
    encoder = JSONEncoder(output_to=kept)
    registry.add(encoder, tap)
    encoder.consume_many([{"a": 1}, {"a": 2}])
    registry.remove(encoder, tap)
    assert (kept.messages, texts(tap)) == ([b'{"a":1}', b'{"a":2}'],) * 2
