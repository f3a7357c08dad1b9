"""Zstd, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.codecs.json import JSONDecoder
from message_passing.codecs.jsonlines import JSONLinesDecoder
from message_passing.codecs.zstd import ZstdDecoder, ZstdEncoder, zstd  # type: ignore[attr-defined] # whichever module it is
from message_passing.errors import DecodingError, OptionError
from support import Kept

encode = ZstdEncoder().filter
decode = ZstdDecoder().filter


@given(st.binary(), st.integers(1, 9))
def test_bytes_come_back_at_every_level(data: bytes, level: int) -> None:
    """What was packed is unpacked to the same."""
    assert decode(ZstdEncoder(level=level).filter(data)) == data


def test_levels() -> None:
    """The option has an effect, and its bounds are checked."""
    text = "".join(f"line {number} of many lines, {number * number % 977}\n" for number in range(5000))
    assert len(ZstdEncoder(level=19).filter(text)) < len(ZstdEncoder(level=1).filter(text))
    with pytest.raises(OptionError, match="'level' must be int from 1 to 22, not 23"):
        ZstdEncoder(level=23)


def test_several_frames_are_one_message() -> None:
    """As `cat a.zst b.zst` makes them."""
    assert decode(encode(b"one ") + encode(b"two")) == b"one two"


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
