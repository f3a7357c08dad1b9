"""Zstd, there and back."""

from __future__ import annotations

import os
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.codecs.json import JSONDecoder
from message_passing.codecs.jsonlines import JSONLinesDecoder
from message_passing.codecs.zstd import ZstdDecoder, ZstdEncoder, zstd  # type: ignore[attr-defined] # whichever module it is
from message_passing.errors import DecodingError, OptionError
from support import Kept, accounted_for

encode = ZstdEncoder().filter
decode = ZstdDecoder().filter


@given(st.binary(), st.integers(1, 9))
def test_bytes_come_back_at_every_level(data: bytes, level: int) -> None:
    """What was packed is unpacked to the same."""
    assert decode(ZstdEncoder(level=level).filter(data)) == data


@given(st.text())
def test_text_travels_as_utf8(text: str) -> None:
    """It comes back as the bytes of its UTF-8."""
    assert decode(encode(text)) == text.encode()


def test_levels() -> None:
    """The option has an effect, and its bounds are checked."""
    text = "".join(f"line {number} of many lines, {number * number % 977}\n" for number in range(5000))
    assert len(ZstdEncoder(level=19).filter(text)) < len(ZstdEncoder(level=1).filter(text))
    with pytest.raises(OptionError, match="'level' must be int from 1 to 22, not 23"):
        ZstdEncoder(level=23)


def test_several_frames_are_one_message() -> None:
    """As `cat a.zst b.zst` makes them."""
    assert decode(encode(b"one ") + encode(b"two")) == b"one two"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it ends too early"),
        (encode(b"hello")[:-1], "it ends too early"),
        (encode(b"hello")[:5], "it ends too early"),
        (b"plain text", "malformed zstd"),
        (encode(b"hello") + b"rest of it", "malformed zstd"),
    ],
)
def test_what_is_not_zstd_is_a_decoding_error(data: bytes, reason: str) -> None:
    """Cut off, damaged, or something else; the next message goes on."""
    end, errors = Kept(), Kept()
    decoder = ZstdDecoder(output_to=end, error=errors)
    decoder.consume_many([data, encode(b"next")])
    assert end.messages == [b"next"]
    assert reason in errors.messages[0]["exception"]
    assert accounted_for(decoder)


@pytest.mark.parametrize(("size", "fits"), [(99, True), (100, True), (101, False)])
def test_max_size_is_the_most_that_a_message_unpacks_to(size: int, fits: bool) -> None:
    """To the byte, also when it comes in several frames."""
    decoder = ZstdDecoder(max_size=100)
    for packed in (encode(b"x" * size), encode(b"x" * 50) + encode(b"x" * (size - 50))):
        if fits:
            assert len(decoder.filter(packed)) == size
        else:
            with pytest.raises(DecodingError, match=r"more than 100 bytes \(max_size\)"):
                decoder.filter(packed)


def test_a_long_frame_among_others() -> None:
    """However its end lies to the pieces in which it is read."""
    for size in (65_000, 65_536, 70_000, 300_000):
        noise = os.urandom(size)
        packed = encode(noise)
        assert decode(packed) == noise
        assert decode(encode(b"a") + packed + encode(b"b")) == b"a" + noise + b"b"


def test_a_bomb_is_not_unpacked() -> None:
    """The memory that is used stays near the limit, not near what the message would become."""
    bomb = encode(bytes(200_000_000))
    decoder = ZstdDecoder(max_size=1_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(DecodingError):
            decoder.filter(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_every_damage_is_found() -> None:
    """Each bit of a frame changed, and each byte cut off: nothing passes for another message."""
    data = b"\n".join(b'{"number":%d,"text":"much the same"}' % number for number in range(50))
    packed = encode(data)
    wrong = []
    for place in range(8 * len(packed)):
        damaged = bytearray(packed)
        damaged[place // 8] ^= 1 << place % 8
        try:
            if decode(bytes(damaged)) != data:
                wrong.append(place)
        except DecodingError:
            pass
    assert not wrong
    for end in range(len(packed)):
        with pytest.raises(DecodingError):
            decode(packed[:end])


def test_frames_of_senders_without_a_checksum_are_taken() -> None:
    """Earlier ones, and others: it may be left out (RFC 8878, section 3.1.1)."""
    plain = zstd.compress(b"text", options={zstd.CompressionParameter.checksum_flag: 0})
    assert len(encode(b"text")) == len(plain) + 4
    assert decode(plain) == b"text"


def test_how_many_messages_were_in_what_is_damaged_is_not_invented() -> None:
    """Where one may carry several, that is said; where one is one, its count is."""
    damaged = encode(b"some text")[:-1]
    for count, which in ((1, "the message that failed"), (2, "the 2 messages that failed")):
        decoder = ZstdDecoder(error=Kept(), output_to=JSONLinesDecoder(output_to=Kept()))
        decoder.consume_many([damaged] * count)
        decoder.close()
        assert decoder.summary() == [f"each message may carry several: an unknown number was in {which}"]
    single = ZstdDecoder(error=Kept(), output_to=JSONDecoder(output_to=Kept()))
    single.consume_many([damaged])
    single.close()
    assert single.summary() == []
    sound = ZstdDecoder(error=Kept(), output_to=JSONLinesDecoder(output_to=Kept()))
    sound.consume_many([encode(b"{}\n{}")])
    sound.close()
    assert sound.summary() == []
