"""How much is kept: in messages, and in bytes of whatever they are."""

from __future__ import annotations

from typing import Any

import pytest

from message_passing.lines import LineBatch, joined_lines
from message_passing.occupancy import Occupancy, bytes_of, how_many_fit

ENDLESS: dict[str, Any] = {"x": "y" * 1000}
ENDLESS["self"] = ENDLESS


class Own:
    """An object that JSON does not know."""


@pytest.mark.parametrize(
    ("messages", "least", "most"),
    [
        ([], 0, 0),
        ([b"ab", b"c"], 3, 3),
        ([b"ab", joined_lines(b"c\nd", 2)], 5, 5),
        (LineBatch([b"ab", b"c"]), 5, 5),
        (["ab", "\u00e9"], 4, 4),
        (["\ud800" * 100], 300, 300),
        ([{"a": 1}], 8, 8),
        ([{"a": [{"b": b"x" * 300}]}, "text"], 400, 450),
        ([{"a": "\ud800", "b": "x" * 1000}], 1000, 2000),
        ([ENDLESS], 1000, 2000),
        ([{(1, 2): "x" * 1000}, {"a": 1}], 1000, 2000),
        ([Own()], 1, 200),
        ([10**4000], 1000, 5000),
    ],
)
def test_any_message_has_a_size(messages: list[Any], least: int, most: int) -> None:
    """Also one that no encoder accepts, whose parts count nevertheless: else it would escape the bound."""
    assert least <= bytes_of(messages) <= most


@pytest.mark.parametrize("depth", [10, 10_000, 200_000])
def test_depth_does_not_matter(depth: int) -> None:
    """What is nested too deeply to be encoded counts, too."""
    message: Any = "x" * 100
    for _ in range(depth):
        message = [message]
    assert bytes_of([message]) >= depth
    while isinstance(message, list):  # else freeing it would recurse
        (message,) = message


@pytest.mark.parametrize(
    ("sizes", "room", "room_bytes", "alone", "fit"),
    [
        ([1, 1, 1], 3, 3, False, 3),
        ([1, 1, 1], 2, 3, False, 2),
        ([1, 1, 1], 3, 2, False, 2),
        ([9, 1], 3, 3, False, 0),
        ([9, 1], 3, 3, True, 1),
        ([1, 9, 1], 3, 3, True, 1),
        ([9], 0, 3, True, 0),
        ([0, 0], 5, 0, False, 2),
        ([1], 5, -3, False, 0),
    ],
)
def test_how_many_fit(sizes: list[int], room: int, room_bytes: int, alone: bool, fit: int) -> None:
    """The first ones, until either bound is reached; one alone, whatever its size."""
    assert how_many_fit(sizes, room, room_bytes, alone=alone) == fit


def test_what_is_taken_in_is_given_back() -> None:
    """All of a batch as long as there is any room, where its bringer waits; else what fits."""
    kept = Occupancy(10, 10)
    assert kept.take_in([b"123456", b"123456"], whole=False) == (1, 6)
    assert (kept.reaches(0.5), kept.reaches(1)) == (True, False)
    assert kept.take_in([b"123456", b"123456"], whole=True) == (2, 12)
    assert kept.reaches(1)
    assert kept.take_in([b"1"], whole=True) == (0, 0)
    kept.give_back(3, 18)
    assert (kept.count, kept.size, kept.reaches(0.01)) == (0, 0, False)
