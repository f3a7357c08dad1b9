"""Bzip2, there and back."""

from __future__ import annotations

import bz2
import os
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.codecs.bzip2 import Bzip2Decoder, Bzip2Encoder
from message_passing.errors import DecodingError, OptionError
from support import Kept, accounted_for

encode = Bzip2Encoder().filter
decode = Bzip2Decoder().filter


@given(st.binary(), st.integers(1, 9))
def test_bytes_come_back_at_every_level(data: bytes, level: int) -> None:
    """In the original's form: a byte and the size before an ordinary stream."""
    packed = Bzip2Encoder(level=level).filter(data)
    assert packed[:5] == b"\xf0" + len(data).to_bytes(4, "big")
    assert decode(packed) == bz2.decompress(packed[5:]) == data


@given(st.text())
def test_text_travels_as_utf8(text: str) -> None:
    """It comes back as the bytes of its UTF-8."""
    assert decode(encode(text)) == text.encode()


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


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it ends too early"),
        (b"\xf0", "Invalid data stream"),
        (encode(b"hello")[:5], "Invalid data stream"),
        (encode(b"hello")[:-1], "it ends too early"),
        (b"plain text", "Invalid data stream"),
        (encode(b"hello")[:-4] + bytes(4), "Invalid data stream"),
        (encode(b"hello") + b"rest", "Invalid data stream"),
        (b"\xf0" + bytes(4) + bz2.compress(b"hello"), "it unpacks to 5 bytes but declares 0"),
    ],
)
def test_what_is_not_bzip2_is_a_decoding_error(data: bytes, reason: str) -> None:
    """Cut off, damaged, or something else; the next message goes on."""
    end, errors = Kept(), Kept()
    decoder = Bzip2Decoder(output_to=end, error=errors)
    decoder.consume_many([data, encode(b"next")])
    assert end.messages == [b"next"]
    assert errors.messages[0]["class"] == "Message::Passing::Exception::Decoding"
    assert reason in errors.messages[0]["exception"]
    assert accounted_for(decoder)


@pytest.mark.parametrize(("size", "fits"), [(99, True), (100, True), (101, False)])
def test_max_size_is_the_most_that_a_message_unpacks_to(size: int, fits: bool) -> None:
    """To the byte, whether the message says its size or not."""
    decoder = Bzip2Decoder(max_size=100)
    for packed in (encode(b"x" * size), bz2.compress(b"x" * 50) + bz2.compress(b"x" * (size - 50))):
        if fits:
            assert len(decoder.filter(packed)) == size
        else:
            with pytest.raises(DecodingError, match=r"more than 100 bytes \(max_size\)"):
                decoder.filter(packed)


def test_a_long_stream_among_others() -> None:
    """However its end lies to the pieces in which it is read."""
    for size in (65_000, 65_536, 70_000, 300_000):
        noise = os.urandom(size)
        packed = encode(noise)
        assert decode(packed) == noise
        assert decode(bz2.compress(b"a") + packed[5:] + bz2.compress(b"b")) == b"a" + noise + b"b"


def test_a_bomb_is_not_unpacked() -> None:
    """The memory that is used stays near the limit, not near what the message would become."""
    bomb = bz2.compress(bytes(50_000_000))
    decoder = Bzip2Decoder(max_size=1_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(DecodingError):
            decoder.filter(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
