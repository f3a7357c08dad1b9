"""What every compression codec promises: text, limits, damage, members one after the other, and bombs."""

from __future__ import annotations

import bz2
import os
import tracemalloc
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.codecs.bzip2 import Bzip2Decoder, Bzip2Encoder
from message_passing.codecs.gzip import GzipDecoder, GzipEncoder
from message_passing.codecs.zstd import ZstdDecoder, ZstdEncoder
from message_passing.errors import DecodingError
from support import Kept, accounted_for

if TYPE_CHECKING:
    from collections.abc import Callable


class Codec(NamedTuple):
    """An encoder's function, its decoder, and how a member that may stand beside others is made."""

    encode: Callable[[bytes | str], bytes]
    decoder: type[Bzip2Decoder | GzipDecoder | ZstdDecoder]
    member: Callable[[bytes], bytes]


GZIP, ZSTD, BZIP2 = GzipEncoder().filter, ZstdEncoder().filter, Bzip2Encoder().filter
CODECS = [
    Codec(GZIP, GzipDecoder, GZIP),
    Codec(ZSTD, ZstdDecoder, ZSTD),
    Codec(BZIP2, Bzip2Decoder, bz2.compress),
]
every = pytest.mark.parametrize("codec", CODECS, ids=("gzip", "zstd", "bzip2"))


@every
@given(text=st.text())
def test_text_travels_as_utf8(codec: Codec, text: str) -> None:
    """It comes back as the bytes of its UTF-8."""
    assert codec.decoder().filter(codec.encode(text)) == text.encode()


@every
@pytest.mark.parametrize(("size", "fits"), [(99, True), (100, True), (101, False)])
def test_max_size_is_the_most_that_a_message_unpacks_to(codec: Codec, size: int, fits: bool) -> None:
    """To the byte, also when it comes in several members."""
    decoder = codec.decoder(max_size=100)
    for packed in (codec.encode(b"x" * size), codec.member(b"x" * 50) + codec.member(b"x" * (size - 50))):
        if fits:
            assert len(decoder.filter(packed)) == size
        else:
            with pytest.raises(DecodingError, match=r"more than 100 bytes \(max_size\)"):
                decoder.filter(packed)


@every
def test_a_long_member_among_others(codec: Codec) -> None:
    """However its end lies to the pieces in which it is read."""
    decode = codec.decoder().filter
    for size in (65_000, 65_536, 70_000, 300_000):
        noise = os.urandom(size)
        assert decode(codec.encode(noise)) == noise
        members = b"".join(map(codec.member, (b"a", noise, b"b")))
        assert decode(members) == b"a" + noise + b"b"


@every
def test_a_bomb_is_not_unpacked(codec: Codec) -> None:
    """The memory that is used stays near the limit, not near what the message would become."""
    bomb = codec.member(bytes(50_000_000))
    decoder = codec.decoder(max_size=1_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(DecodingError):
            decoder.filter(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.parametrize(
    ("codec", "data", "reason"),
    [
        *((codec, b"", "it ends too early") for codec in CODECS),
        *((codec, codec.encode(b"hello")[:-1], "it ends too early") for codec in CODECS),
        (CODECS[0], GZIP(b"hello")[:5], "it ends too early"),
        (CODECS[0], b"plain text", "incorrect header check"),
        (CODECS[0], GZIP(b"hello")[:-8] + bytes(8), "incorrect data check"),
        (CODECS[0], GZIP(b"hello") + b"rest", "incorrect header check"),
        (CODECS[1], ZSTD(b"hello")[:5], "it ends too early"),
        (CODECS[1], b"plain text", "malformed zstd"),
        (CODECS[1], ZSTD(b"hello") + b"rest of it", "malformed zstd"),
        (CODECS[2], b"\xf0", "Invalid data stream"),
        (CODECS[2], BZIP2(b"hello")[:5], "Invalid data stream"),
        (CODECS[2], b"plain text", "Invalid data stream"),
        (CODECS[2], BZIP2(b"hello")[:-4] + bytes(4), "Invalid data stream"),
        (CODECS[2], BZIP2(b"hello") + b"rest", "Invalid data stream"),
        (CODECS[2], b"\xf0" + bytes(4) + bz2.compress(b"hello"), "it unpacks to 5 bytes but declares 0"),
    ],
)
def test_what_is_not_of_its_format_is_a_decoding_error(codec: Codec, data: bytes, reason: str) -> None:
    """Cut off, damaged, or something else; the next message goes on."""
    end, errors = Kept(), Kept()
    decoder = codec.decoder(output_to=end, error=errors)
    decoder.consume_many([data, codec.encode(b"next")])
    assert end.messages == [b"next"]
    assert errors.messages[0]["class"] == "Message::Passing::Exception::Decoding"
    assert reason in errors.messages[0]["exception"]
    assert accounted_for(decoder)
