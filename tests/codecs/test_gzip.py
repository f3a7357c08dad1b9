"""Gzip, there and back."""

from __future__ import annotations

import gzip
import os
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.codecs.gzip import GzipDecoder, GzipEncoder
from message_passing.errors import DecodingError, OptionError
from support import Kept, accounted_for

encode = GzipEncoder().filter
decode = GzipDecoder().filter


@given(st.binary(), st.integers(1, 9))
def test_bytes_come_back_at_every_level(data: bytes, level: int) -> None:
    """Through our decoder and through Python's own."""
    packed = GzipEncoder(level=level).filter(data)
    assert decode(packed) == gzip.decompress(packed) == data


@given(st.text())
def test_text_travels_as_utf8(text: str) -> None:
    """It comes back as the bytes of its UTF-8."""
    assert decode(encode(text)) == text.encode()


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


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it ends too early"),
        (encode(b"hello")[:-1], "it ends too early"),
        (encode(b"hello")[:5], "it ends too early"),
        (b"plain text", "incorrect header check"),
        (encode(b"hello")[:-8] + bytes(8), "incorrect data check"),
        (encode(b"hello") + b"rest", "incorrect header check"),
    ],
)
def test_what_is_not_gzip_is_a_decoding_error(data: bytes, reason: str) -> None:
    """Cut off, damaged, or something else; the next message goes on."""
    end, errors = Kept(), Kept()
    decoder = GzipDecoder(output_to=end, error=errors)
    decoder.consume_many([data, encode(b"next")])
    assert end.messages == [b"next"]
    assert errors.messages[0]["class"] == "Message::Passing::Exception::Decoding"
    assert reason in errors.messages[0]["exception"]
    assert accounted_for(decoder)


@pytest.mark.parametrize(("size", "fits"), [(99, True), (100, True), (101, False)])
def test_max_size_is_the_most_that_a_message_unpacks_to(size: int, fits: bool) -> None:
    """To the byte, also when it comes in several members."""
    decoder = GzipDecoder(max_size=100)
    for packed in (encode(b"x" * size), encode(b"x" * 50) + encode(b"x" * (size - 50))):
        if fits:
            assert len(decoder.filter(packed)) == size
        else:
            with pytest.raises(DecodingError, match=r"more than 100 bytes \(max_size\)"):
                decoder.filter(packed)


def test_a_long_member_among_others() -> None:
    """However its end lies to the pieces in which it is read."""
    for size in (65_000, 65_536, 70_000, 300_000):
        noise = os.urandom(size)
        packed = encode(noise)
        assert decode(packed) == noise
        assert decode(encode(b"a") + packed + encode(b"b")) == b"a" + noise + b"b"


def test_a_bomb_is_not_unpacked() -> None:
    """The memory that is used stays near the limit, not near what the message would become."""
    bomb = encode(bytes(200_000_000))
    decoder = GzipDecoder(max_size=1_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(DecodingError):
            decoder.filter(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
