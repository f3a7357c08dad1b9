"""The text of compressed files: reading it in bounded memory, and recognizing one that is known."""

from __future__ import annotations

import bz2
import gzip
import hashlib
from typing import TYPE_CHECKING, Any

from message_passing.inputs._position import COMPARED
from message_passing.paths import load_own

if TYPE_CHECKING:
    from collections.abc import Sequence

    from message_passing.inputs._known_files import KnownText


def open_text(path: str, file: Any) -> Any:
    """What reads the text of an open compressed file, in bounded memory.

    Raises:
        ComponentError: there is no zstd, which is in the extra `zstd`.
    """
    if path.endswith(".gz"):
        return gzip.GzipFile(fileobj=file)
    if path.endswith(".bz2"):
        return bz2.BZ2File(file)
    return load_own("message_passing.zstandard:zstd").ZstdFile(file)


class TextComparison:
    """Finds which of the known texts the beginning of a compressed one is.

    Attributes:
        size: bytes of text so far.
        head: the first ones; and
        behind: the last ones.
        same: the texts that it begins with.
    """

    def __init__(self, known: Sequence[KnownText]) -> None:
        """Nothing of it yet.

        Args:
            known: texts of which it may be a copy.
        """
        self.size = 0
        self.head = self.behind = b""
        self._waiting = sorted(
            (one for one in known if one.place.position), key=lambda one: one.place.position
        )
        self._waiting.reverse()
        self.same: list[KnownText] = []

    def add(self, data: bytes) -> None:
        """More of the text."""
        self.head = (self.head + data[:COMPARED])[:COMPARED]
        recent = self.behind + data
        first = self.size - len(self.behind)
        self.size += len(data)
        while self._waiting and self._waiting[-1].place.position <= self.size:
            one = self._waiting.pop()
            end = one.place.position - first
            known = min(COMPARED, one.place.position)
            if (
                end >= known
                and text_fingerprint(self.head[:known], recent[end - known : end]) == one.place.fingerprint
            ):
                self.same.append(one)
        self.behind = recent[-COMPARED:]


def text_fingerprint(head: bytes, behind: bytes) -> str:
    """As of a file that is not compressed: see `place_in`."""
    return hashlib.blake2b(head + behind, digest_size=16).hexdigest()
