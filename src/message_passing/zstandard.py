"""Zstandard (RFC 8878): the standard library's module, which older versions have from the extra `zstd`."""

from __future__ import annotations

import sys

from message_passing.errors import needs_extra

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    with needs_extra("zstd"):
        from backports import zstd

__all__ = ["zstd"]
