"""What the codecs that pack share: many members, objects, and the kinds of bytes."""

from __future__ import annotations

import bz2
import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.codecs._packed import MOST_MEMBERS
from message_passing.codecs.bzip2 import Bzip2Decoder, Bzip2Encoder
from message_passing.codecs.gzip import GzipDecoder, GzipEncoder
from message_passing.codecs.zstd import ZstdDecoder, ZstdEncoder
from message_passing.errors import DecodingError, EncodingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.flow import Decoder, Encoder


@dataclass(frozen=True)
class Codec:
    """A codec, and what packs one member, which it calls by that name."""

    encoder: type[Encoder]
    decoder: type[Decoder]
    pack: Callable[[bytes], bytes]
    member: str


CODECS = [
    Codec(GzipEncoder, GzipDecoder, gzip.compress, "gzip members"),
    Codec(Bzip2Encoder, Bzip2Decoder, bz2.compress, "bzip2 streams"),
    Codec(ZstdEncoder, ZstdDecoder, lambda data: bytes(ZstdEncoder().filter(data)), "zstd frames"),
]

every_codec = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.member)


@every_codec
def test_many_members_are_refused(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as are allowed are unpacked; of more, no more than these are looked at, however many there are."""
    empty, decoder, begun = codec.pack(b""), codec.decoder(), 0
    begin = decoder._begin  # type: ignore[attr-defined] # all three have it

    def counting() -> Any:
        nonlocal begun
        begun += 1
        return begin()

    monkeypatch.setattr(decoder, "_begin", counting)
    assert decoder.filter(empty * (MOST_MEMBERS - 1) + codec.pack(b"end")) == b"end"
    assert begun == MOST_MEMBERS
    for count in (MOST_MEMBERS + 1, 1_000_000 // len(empty)):
        begun = 0
        text = f"a message may have {MOST_MEMBERS} {codec.member}, and this one has more"
        with pytest.raises(DecodingError, match=text):
            decoder.filter(empty * count)
        assert begun == MOST_MEMBERS


@every_codec
@pytest.mark.parametrize("message", [{"a": 1}, 5, ["x"]])
def test_objects_are_refused(codec: Codec, message: Any) -> None:
    """Both ways, with what to do about it."""
    with pytest.raises(EncodingError, match=r"takes text or bytes, not .*: make JSON of it first"):
        codec.encoder().filter(message)
    with pytest.raises(DecodingError, match="takes bytes, not"):
        codec.decoder().filter(message)


@every_codec
def test_any_kind_of_bytes_will_do(codec: Codec) -> None:
    """An input may hand on a view of its buffer."""
    packed = codec.encoder().filter(bytearray(b"hello"))
    assert codec.decoder().filter(memoryview(packed)) == b"hello"
