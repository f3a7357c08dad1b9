"""Zstandard (RFC 8878). The original has no such codec."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from message_passing.codecs import _packed
from message_passing.flow import Encoder
from message_passing.options import option
from message_passing.zstandard import zstd

_FORMAT = _packed.Format("zstd", "frame", zstd.ZstdError)


class ZstdDecoder(_packed.Unpacker):
    """Unpacks zstd: bytes in, bytes out. A message may have up to 1000 frames."""

    name = "Zstd"
    example = MappingProxyType({"max_size": 1048576})

    max_size: int = _packed.max_size_option()

    def filter(self, message: Any) -> bytes:
        """Unpack one message, which may be several zstd frames one after the other.

        Raises:
            DecodingError: it is not complete, well-formed zstd, has too many frames, or unpacks to more than
                `max_size` bytes.
        """
        data = _packed.to_unpack(message, "Zstd")
        return _packed.unpack(data, _FORMAT, self._begin, self.max_size)

    def _begin(self) -> _packed.Unpacking:
        return zstd.ZstdDecompressor()


class ZstdEncoder(Encoder):
    """Packs text (as UTF-8) or bytes with zstd. It does not accept objects: encode those as JSON first.

    Each frame has a checksum of its content (RFC 8878, section 3.1.1): a message damaged on its way fails, and is not
    taken for other messages.

    A single log line hardly gets smaller: put JSONLines before it (`--encoder JSONLines --encoder Zstd`).
    """

    name = "Zstd"
    example = MappingProxyType({"level": 1})
    readable = False

    level: int = option(default=3, description="1 is the fastest, 22 compresses best.", ge=1, le=22)

    def on_init(self) -> None:
        """Prepare what is the same for every message."""
        super().on_init()
        self._options: dict[int, int] = {
            zstd.CompressionParameter.compression_level: self.level,
            zstd.CompressionParameter.checksum_flag: 1,
        }

    def filter(self, message: Any) -> bytes:
        """Pack one message.

        Raises:
            EncodingError: it is neither text nor bytes.
        """
        packed = zstd.compress(_packed.to_pack(message, "Zstd"), options=self._options)
        return _packed.carrying(message, packed)
