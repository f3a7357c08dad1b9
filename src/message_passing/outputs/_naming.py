"""Names of files with fields of the message in them: a field never leads to another folder, whatever it holds."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from message_passing.outputs._rotation import ROTATED

if TYPE_CHECKING:
    from message_passing.text_template import TextTemplate

NO_VALUE = "_"
"""Stands for a field that is missing, null or empty."""

LONGEST_VALUES = 180
"""The most bytes that the fields of a name have together: it may have 255 (NAME_MAX), with what is added to it."""

_SHORTEST = 24
_DIGEST = 12
_PLAIN = re.compile(r"[A-Za-z0-9_:@+][A-Za-z0-9_:@+.-]*")
_ENDS = ("Z", ".gz", ".zst", ".tmp")
_LIKE_ROTATED = re.compile(ROTATED.pattern + r"\Z", re.ASCII)
_ESCAPED = re.compile(r"^[.-]|[%/\\~]")


class FileNames:
    """Where each message is to be written."""

    def __init__(self, template: TextTemplate) -> None:
        """Divide the bytes of a name among the fields.

        Args:
            template: the path, with fields.
        """
        self._template = template
        self._longest = max(_SHORTEST, LONGEST_VALUES // max(1, len(template.fields)))

    def path_of(self, message: Any) -> str:
        """The path for a message; never that of a rotated file, which would be removed with these."""
        path = self._template.value(message, self._part)
        return path + NO_VALUE if path.endswith(_ENDS) and _LIKE_ROTATED.search(path) else path

    def _part(self, text: str) -> str:
        return name_part(text, self._longest)


def name_part(text: str, longest: int) -> str:
    """What stands for a value in a name: never empty, no `.` or `..`, and without anything that ends or hides a name.

    A slash, a backslash, `%`, `~`, what cannot be printed, and a dot or hyphen at the beginning are percent-encoded
    (RFC 3986, section 2.1), so that two values never share a name. What is longer than allowed ends with `~` and a
    hash of the whole value instead.

    Args:
        text: anything.
        longest: the most bytes of the result.
    """
    if len(text) <= longest and _PLAIN.fullmatch(text):
        return text
    if not text:
        return NO_VALUE
    part = text[:longest]
    part = _ESCAPED.sub(lambda found: _encoded(found[0]), part)
    if not part.isprintable():
        part = "".join([one if one.isprintable() else _encoded(one) for one in part])
    data = part.encode()
    if len(text) <= longest and len(data) <= longest:
        return part
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return data[: longest - _DIGEST - 1].decode(errors="ignore") + "~" + digest


def _encoded(character: str) -> str:
    return "".join([f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass")])
