"""Bzip2 (Message::Passing::Filter::Encoder::Bzip2 and ::Decoder::Bzip2).

The original sends the format of Perl's Compress::Bzip2::memBzip: a byte 0xF0, the unpacked size in four
bytes (big-endian), and then an ordinary bzip2 stream.
"""

from __future__ import annotations

import bz2
import struct
from types import MappingProxyType
from typing import Any

from message_passing.codecs import _packed
from message_passing.errors import DecodingError
from message_passing.flow import Encoder
from message_passing.options import option

_HEAD = struct.Struct(">BI")
_MAGIC = 0xF0
_FORMAT = _packed.Format("bzip2", "stream", (OSError, ValueError))


class Bzip2Decoder(_packed.Unpacker):
    """Unpacks bzip2: bytes in, bytes out. It understands ordinary bzip2 and the original's format.

    A message may have up to 1000 streams.
    """

    name = "Bzip2"
    example = MappingProxyType({"max_size": 1048576})

    max_size: int = _packed.max_size_option()

    def filter(self, message: Any) -> bytes:
        """Unpack one message, which may be several bzip2 streams one after the other.

        Raises:
            DecodingError: it is not complete, well-formed bzip2, has too many streams, or unpacks to more than
                `max_size` bytes.
        """
        data = _packed.to_unpack(message, "Bzip2")
        stated = None
        if data[:1] == bytes([_MAGIC]) and len(data) > _HEAD.size:
            _, stated = _HEAD.unpack_from(data)
            data = data[_HEAD.size :]
            if stated > self.max_size:
                raise _packed.too_large_error(self.max_size)
        unpacked = _packed.unpack(data, _FORMAT, self._begin, self.max_size)
        if stated is not None and stated != len(unpacked):
            raise DecodingError(f"malformed bzip2: it unpacks to {len(unpacked)} bytes but declares {stated}")
        return unpacked

    def _begin(self) -> _packed.Unpacking:
        return bz2.BZ2Decompressor()


class Bzip2Encoder(Encoder):
    """Packs text (as UTF-8) or bytes with bzip2, in the original's format: five bytes, then an ordinary stream.

    It does not accept objects: encode those as JSON first.
    """

    name = "Bzip2"
    example = MappingProxyType({"level": 9})
    readable = False

    level: int = option(
        default=6, description="1 needs the least memory, 9 usually compresses best.", ge=1, le=9
    )

    def filter(self, message: Any) -> bytes:
        """Pack one message.

        Raises:
            EncodingError: it is neither text nor bytes.
        """
        data = _packed.to_pack(message, "Bzip2")
        packed = _HEAD.pack(_MAGIC, len(data)) + bz2.compress(data, self.level)
        return _packed.carrying(message, packed)
