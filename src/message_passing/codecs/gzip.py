"""Gzip (Message::Passing::Filter::Encoder::Gzip and ::Decoder::Gzip)."""

from __future__ import annotations

import zlib
from types import MappingProxyType
from typing import Any

from message_passing.codecs import _packed
from message_passing.errors import DecodingError
from message_passing.flow import Decoder, Encoder
from message_passing.options import option

_GZIP = 16 + zlib.MAX_WBITS  # tells zlib to write and expect gzip's header and checksum


class GzipDecoder(Decoder):
    """Unpacks gzip: bytes in, bytes out."""

    name = "Gzip"
    example = MappingProxyType({"max_size": 1048576})

    max_size: int = _packed.max_size_option()

    def filter(self, message: Any) -> bytes:
        """Unpack one message, which may be several gzip members one after the other.

        Raises:
            DecodingError: it is not whole, well-formed gzip, or unpacks to more than `max_size` bytes.
        """
        rest = _packed.to_unpack(message, "Gzip")
        parts: list[bytes] = []
        room = self.max_size
        while rest or not parts:
            member = zlib.decompressobj(_GZIP)
            try:
                part = member.decompress(rest, room + 1)
            except zlib.error as error:
                raise DecodingError(f"malformed gzip: {error}") from error
            room -= len(part)
            if room < 0:
                raise _packed.too_large(self.max_size)
            if not member.eof:
                raise DecodingError("malformed gzip: it ends too early")
            parts.append(part)
            rest = member.unused_data.lstrip(b"\0")  # padding is allowed after a member
        return parts[0] if len(parts) == 1 else b"".join(parts)


class GzipEncoder(Encoder):
    """Packs text (as UTF-8) or bytes with gzip. It takes no objects: those must be JSON first.

    The same message always makes the same bytes: no time is written into them.
    """

    name = "Gzip"
    example = MappingProxyType({"level": 1})

    level: int = option(default=6, description="1 is the fastest, 9 the smallest.", ge=1, le=9)

    def filter(self, message: Any) -> bytes:
        """Pack one message.

        Raises:
            EncodingError: it is neither text nor bytes.
        """
        packed = zlib.compress(_packed.to_pack(message, "Gzip"), self.level, _GZIP)
        return _packed.carrying(message, packed)
