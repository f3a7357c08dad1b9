"""Text of any encoding as UTF-8, and the byte-order mark that may stand before it (The Unicode Standard, 23.8)."""

from __future__ import annotations

import codecs
from encodings.aliases import aliases

from message_passing.errors import did_you_mean

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, which is how it begins
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LONGEST_MARK = 4

_WITHOUT_ORDER = {"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": "utf-8"}
"""The byte order assumed without a mark: that of Windows, where such files come from."""

_NOT_OF_FILES = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
"""Text encodings of Python that no log file uses; some could not be decoded incrementally in bounded memory."""


def wrong_encoding(name: str) -> str:
    """The error in the name of an encoding, as the end of a sentence; empty if there is none."""
    if _is_of_text(name):
        return ""
    try:
        codecs.lookup(name)
    except (LookupError, ValueError):
        known = (one.replace("_", "-") for one in {*aliases, *aliases.values()} if _is_of_text(one))
        hint = (
            did_you_mean(name, known)
            or ": there are utf-8, utf-16, latin-1, cp1252 and others that Python supports"
        )
        return f"there is no encoding {name!r}{hint}"
    return f"no file is written in {name!r}: give the encoding of its text"


def _is_of_text(name: str) -> bool:
    """Whether it is an encoding that Python supports on this system, and that a file may use."""
    try:
        if _canonical(name) in _NOT_OF_FILES:
            return False
        bytes(4).decode(name, "replace")  # LookupError: it is a codec, but not of text
        codecs.getincrementaldecoder(name)
    except (LookupError, ValueError):
        return False
    return True


def _canonical(name: str) -> str:
    return codecs.lookup(name).name.replace("_", "-")


class Transcoder:
    r"""Converts input to UTF-8, piece by piece; what cannot be decoded is escaped (`\xff`).

    UTF-8 itself is passed unchanged and unchecked. A byte-order mark at the beginning is removed.

    Attributes:
        notice: what a user should know of the encoding, as the end of a sentence, until it has been reported.
    """

    def __init__(self, encoding: str) -> None:
        """Start before the first byte.

        Args:
            encoding: its name, for which `wrong_encoding` finds no error; empty to use a byte-order mark, or
                UTF-8 without one.
        """
        self._given = _canonical(encoding) if encoding else None
        self.begin()

    def begin(self) -> None:
        """Start reading a file at its beginning."""
        self.notice = ""
        self._head: bytes | None = b""  # what may yet become a byte-order mark
        self._decoder: codecs.IncrementalDecoder | None = None
        self._looked_for_zeros = False
        self._name = "utf-8"

    def begin_within(self, head: bytes) -> int:
        """Start reading a file after its beginning.

        Args:
            head: its first bytes, up to four.

        Returns:
            The size of the encoding's smallest unit in bytes: reading must start at a multiple of it.
        """
        self.begin()
        name = self._settle(head)[0]
        return 2 if name.startswith("utf-16") else 4 if name.startswith("utf-32") else 1

    def decode(self, data: bytes, *, final: bool = False) -> bytes:
        """Convert more of the file.

        Args:
            data: what was read.
            final: there is no more of it: an incomplete character is escaped.
        """
        if self._head is not None:
            self._head += data
            begins = len(self._head) < _LONGEST_MARK and any(
                mark.startswith(self._head) for mark, _ in _MARKS
            )
            if begins and not final:
                return b""
            data = self._settle(self._head)[1]
        if self._decoder:
            return self._decoder.decode(data, final).encode("utf-8", "backslashreplace")
        if not self._looked_for_zeros and 0 in data:
            self._look_for_zeros(data)
        return data

    def newline(self) -> bytes:
        """How a line ends in what is read, as far as the encoding is known."""
        return "\n".encode(self._name)

    @property
    def waits(self) -> bool:
        """Whether it has an incomplete character and waits for the rest."""
        return bool(self._head or (self._decoder and self._decoder.getstate()[0]))

    def _settle(self, head: bytes) -> tuple[str, bytes]:
        """Determine the encoding: its name, and `head` without a mark."""
        self._head = None
        mark, marked = next(((mark, name) for mark, name in _MARKS if head.startswith(mark)), (b"", ""))
        name = self._given or marked or "utf-8"
        if marked.startswith(name) or marked == _WITHOUT_ORDER.get(name):
            name, head = marked, head[len(mark) :]
        elif marked:
            self.notice = (
                f"begins with the byte-order mark of {marked}, and is read as {name}: see `encoding`"
            )
        name = self._name = _WITHOUT_ORDER.get(name, name)
        if name != "utf-8":
            self._decoder = codecs.getincrementaldecoder(name)("backslashreplace")
        return name, head

    def _look_for_zeros(self, data: bytes) -> None:
        """Set `notice` if every other byte is zero: UTF-16 without a mark, which nothing else would reveal."""
        self._looked_for_zeros = True
        sample = data[:4096]
        even, odd = sample[::2].count(0), sample[1::2].count(0)
        most, least = max(even, odd), min(even, odd)
        if most > len(sample) // 5 and least < most // 4:
            name = "utf-16-le" if odd > even else "utf-16-be"
            self.notice = f"looks like {name}, and is read as utf-8: give `encoding` its name"
