"""Bzip2, there and back."""

from __future__ import annotations

import bz2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.codecs.bzip2 import Bzip2Decoder, Bzip2Encoder
from message_passing.errors import OptionError

encode = Bzip2Encoder().filter
decode = Bzip2Decoder().filter


@given(st.binary(), st.integers(1, 9))
def test_bytes_come_back_at_every_level(data: bytes, level: int) -> None:
    """In the original's form: a byte and the size before an ordinary stream."""
    packed = Bzip2Encoder(level=level).filter(data)
    assert packed[:5] == b"\xf0" + len(data).to_bytes(4, "big")
    assert decode(packed) == bz2.decompress(packed[5:]) == data


@given(st.binary())
def test_ordinary_bzip2_is_understood(data: bytes) -> None:
    """Also several streams one after the other, as `cat a.bz2 b.bz2` makes them."""
    assert decode(bz2.compress(data)) == data
    assert decode(bz2.compress(data) + bz2.compress(b"more")) == data + b"more"


def test_the_level_is_written_into_the_stream() -> None:
    """The option has an effect, and its bounds are checked."""
    assert Bzip2Encoder(level=9).filter(b"hello")[5:9] == b"BZh9"
    assert encode(b"hello")[5:9] == b"BZh6", "memBzip's own"
    with pytest.raises(OptionError, match="'level' must be int from 1 to 9, not 10"):
        Bzip2Encoder(level=10)
