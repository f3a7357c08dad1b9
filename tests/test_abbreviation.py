"""The beginning of a value costs the same however large the value is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.abbreviation import abbreviate_bytes, abbreviate_text, bounded_repr

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()),
    lambda inner: st.one_of(
        st.lists(inner),
        st.dictionaries(st.text(), inner),
        st.sets(st.integers(), min_size=1),
        st.tuples(inner, inner),
    ),
    max_leaves=5,
)


@given(VALUES)
def test_a_small_value_is_written_as_python_does(value: Any) -> None:
    """Nothing is lost of what is not cut."""
    assert bounded_repr(value, 100_000) == repr(value)


@given(VALUES, st.integers(1, 50))
def test_a_larger_one_is_cut(value: Any, limit: int) -> None:
    """It begins as Python writes it, and says that it was cut."""
    text = bounded_repr(value, limit)
    assert len(text) <= limit + 3
    assert text == repr(value) or text.endswith("...")


def test_the_attributes_of_other_objects() -> None:
    """Of a class that is not known, what it keeps is shown, and none of its methods is called."""

    class Hostile:
        def __init__(self) -> None:
            self.size = 3

        def __repr__(self) -> str:
            raise SystemExit

        __str__ = __repr__

        def __getattribute__(self, name: str) -> Any:
            raise SystemExit

    @dataclass
    class Order:
        number: int

    class Point(msgspec.Struct):
        x: int

    assert bounded_repr(Hostile(), 1000).endswith("Hostile size=3>")
    assert bounded_repr(Order(7), 1000).endswith("Order number=7>")
    assert bounded_repr(Point(5), 1000).endswith("Point x=5>")
    assert bounded_repr(object(), 1000) == "<object>"


def entangled() -> Any:
    """A list that holds itself, twice."""
    made: list[Any] = []
    made += [made, made]
    return made


def deep() -> Any:
    """A list within a list, and so on."""
    made: list[Any] = []
    for _ in range(100_000):
        made = [made]
    return made


class LargeText(str):
    """Text that does not like to be looked at."""

    __slots__ = ()

    def __getitem__(self, _key: object) -> str:
        raise SystemExit

    def __len__(self) -> int:
        raise SystemExit


LARGE: dict[str, Callable[[], Any]] = {
    "text": lambda: "x" * 50_000_000,
    "bytes": lambda: b"\0" * 50_000_000,
    "a view of bytes": lambda: {"view": memoryview(b"x" * 50_000_000)},
    "texts in an object": lambda: dict.fromkeys(map(str, range(10)), "x" * 50_000_000),
    "keys": lambda: dict.fromkeys(map(str, range(1_000_000))),
    "a long key": lambda: {"x" * 50_000_000: 1},
    "items": lambda: [0] * 5_000_000,
    "a set": lambda: set(range(1_000_000)),
    "an integer": lambda: [1 << 10_000_000],
    "a range": lambda: range(10**12),
    "itself": entangled,
    "deep": deep,
    "a text of a class": lambda: LargeText("x" * 50_000_000),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_large_value_costs_nothing(name: str) -> None:
    """Neither what is not shown is built, nor are keys sorted, digits made or methods called."""
    value = LARGE[name]()
    spent = []
    for _ in range(3):
        began = time.process_time()
        text = bounded_repr(value, 1000)
        spent.append(time.process_time() - began)
    assert len(text) <= 1003
    assert min(spent) < 0.02


def test_text_and_bytes_tell_how_much_more_there_is() -> None:
    """In their own unit, and with what cannot be written spelt out."""
    assert abbreviate_text("x" * 10, 4) == "xxxx... (6 characters more)"
    assert abbreviate_text("\ud800", 4) == "\\ud800"
    assert abbreviate_bytes(b"\xffxxx", 2) == "\\xffx... (2 bytes more)"
    assert abbreviate_bytes(memoryview(b"abcd").cast("B", (2, 2)), 3) == "abc... (1 bytes more)"
    assert abbreviate_bytes(memoryview(b"abcd")[::2], 9) == ""
    assert abbreviate_bytes(b"", 9) == ""
