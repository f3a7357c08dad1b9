"""Gzip, there and back."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.codecs.gzip import GzipDecoder, GzipEncoder
from message_passing.errors import OptionError

encode = GzipEncoder().filter
decode = GzipDecoder().filter


@given(st.binary(), st.integers(1, 9))
def test_bytes_come_back_at_every_level(data: bytes, level: int) -> None:
    """Through our decoder and through Python's own."""
    packed = GzipEncoder(level=level).filter(data)
    assert decode(packed) == gzip.decompress(packed) == data


def test_the_same_message_makes_the_same_bytes() -> None:
    """No time and no file name are written, so a receiver may compare."""
    packed = encode(b"hello")
    assert packed == encode("hello")
    assert packed[3:8] == bytes(5)


def test_a_higher_level_packs_smaller() -> None:
    """The option has an effect, and its bounds are checked."""
    text = "".join(f"line {number} of many lines\n" for number in range(2000))
    assert len(GzipEncoder(level=9).filter(text)) < len(GzipEncoder(level=1).filter(text))
    with pytest.raises(OptionError, match="'level' must be int from 1 to 9, not 10"):
        GzipEncoder(level=10)


def test_several_members_are_one_message() -> None:
    """As `cat a.gz b.gz` makes them, with or without padding."""
    assert decode(encode(b"one ") + encode(b"two")) == b"one two"
    assert decode(encode(b"one") + bytes(512)) == b"one"
