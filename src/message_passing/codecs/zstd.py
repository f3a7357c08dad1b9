"""Zstandard (RFC 8878). The original has no such codec."""

from __future__ import annotations

import sys
from types import MappingProxyType
from typing import Any

from message_passing.codecs import _packed
from message_passing.errors import DecodingError, needs_extra
from message_passing.flow import Decoder, Encoder
from message_passing.options import option

with needs_extra("zstd", "backports.zstd"):
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd


class ZstdDecoder(Decoder):
    """Unpacks zstd: bytes in, bytes out."""

    name = "Zstd"
    example = MappingProxyType({"max_size": 1048576})

    max_size: int = _packed.max_size_option()

    def filter(self, message: Any) -> bytes:
        """Unpack one message, which may be several zstd frames one after the other.

        Raises:
            DecodingError: it is not whole, well-formed zstd, or unpacks to more than `max_size` bytes.
        """
        rest = _packed.to_unpack(message, "Zstd")
        parts: list[bytes] = []
        room = self.max_size
        while rest or not parts:
            frame = zstd.ZstdDecompressor()
            try:
                part = frame.decompress(rest, room + 1)
            except zstd.ZstdError as error:
                raise DecodingError(f"malformed zstd: {error}") from error
            room -= len(part)
            if room < 0:
                raise _packed.too_large(self.max_size)
            if not frame.eof:
                raise DecodingError("malformed zstd: it ends too early")
            parts.append(part)
            rest = frame.unused_data
        return parts[0] if len(parts) == 1 else b"".join(parts)


class ZstdEncoder(Encoder):
    """Packs text (as UTF-8) or bytes with zstd. It takes no objects: those must be JSON first.

    One log line alone hardly gets smaller: put JSONLines before it (`--encoder JSONLines --encoder Zstd`).
    """

    name = "Zstd"
    example = MappingProxyType({"level": 1})

    level: int = option(default=3, description="1 is the fastest, 22 the smallest.", ge=1, le=22)

    def filter(self, message: Any) -> bytes:
        """Pack one message.

        Raises:
            EncodingError: it is neither text nor bytes.
        """
        return _packed.carrying(message, zstd.compress(_packed.to_pack(message, "Zstd"), self.level))
