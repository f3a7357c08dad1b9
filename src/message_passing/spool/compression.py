"""Compressing what a spool stores, with zstd."""

from __future__ import annotations

from message_passing.zstandard import zstd

_LEVEL = 1
"""Higher ones take longer, and make log lines hardly smaller."""

_OPTIONS: dict[int, int] = {zstd.CompressionParameter.compression_level: _LEVEL}

_MOST_BYTES = 1 << 30
"""Bytes that a row may unpack to."""


def compress(body: bytes) -> bytes:
    """Compress the body of a frame."""
    return zstd.compress(body, options=_OPTIONS)


def decompress(stored: bytes) -> bytes:
    """The body again.

    Raises:
        ValueError: it is incomplete, or not of zstd, or unpacks to too much.
    """
    unpacking = zstd.ZstdDecompressor()
    try:
        body = unpacking.decompress(stored, _MOST_BYTES)
    except zstd.ZstdError as error:
        raise ValueError(str(error)) from error
    if not unpacking.eof:
        raise ValueError("it is incomplete, or unpacks to too much")
    return body
