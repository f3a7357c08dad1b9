"""Gzip (Message::Passing::Filter::Encoder::Gzip and ::Decoder::Gzip)."""

from __future__ import annotations

import re
import zlib
from types import MappingProxyType
from typing import Any

from message_passing.codecs import _packed
from message_passing.flow import Encoder
from message_passing.options import option

_GZIP = 16 + zlib.MAX_WBITS  # tells zlib to write and expect gzip's header and checksum
_FORMAT = _packed.Format("gzip", "member", zlib.error, padding=re.compile(rb"\0*"))


class GzipDecoder(_packed.Unpacker):
    """Unpacks gzip: bytes in, bytes out. A message may have up to 1000 members."""

    name = "Gzip"
    example = MappingProxyType({"max_size": 1048576})

    max_size: int = _packed.max_size_option()

    def filter(self, message: Any) -> bytes:
        """Unpack one message, which may be several gzip members one after the other.

        Raises:
            DecodingError: it is not complete, well-formed gzip, has too many members, or unpacks to more than
                `max_size` bytes.
        """
        data = _packed.to_unpack(message, "Gzip")
        return _packed.unpack(data, _FORMAT, self._begin, self.max_size)

    def _begin(self) -> _packed.Unpacking:
        return zlib.decompressobj(_GZIP)


class GzipEncoder(Encoder):
    """Packs text (as UTF-8) or bytes with gzip. It does not accept objects: encode those as JSON first.

    The same message always gives the same bytes: they contain no time.
    """

    name = "Gzip"
    example = MappingProxyType({"level": 1})
    readable = False

    level: int = option(default=6, description="1 is the fastest, 9 compresses best.", ge=1, le=9)

    def filter(self, message: Any) -> bytes:
        """Pack one message.

        Raises:
            EncodingError: it is neither text nor bytes.
        """
        packed = zlib.compress(_packed.to_pack(message, "Gzip"), self.level, _GZIP)
        return _packed.carrying(message, packed)
