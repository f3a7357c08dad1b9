"""One message as JSON text: how it is read and written, and what is said of a text or an object that cannot be."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from message_passing.errors import DecodingError, EncodingError
from message_passing.jsonable import sanitize, to_jsonable

decode_one = msgspec.json.Decoder().decode
"""The value of a text, at full speed: see `decode_text`."""

encode_lines = msgspec.json.Encoder(enc_hook=to_jsonable).encode_lines
"""Lines of objects, at full speed."""

encode_one = msgspec.json.Encoder(enc_hook=to_jsonable).encode
"""The text of an object, at full speed: see `encode_text`."""

NULL_REFUSED = "JSON null is not a message: it would be taken for one that was dropped"

UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeError)
"""What is raised for a text that is not JSON, not UTF-8, or nested too deeply."""

UNWRITABLE = (TypeError, ValueError, RecursionError, OverflowError, NotImplementedError)
"""What is raised for an object that has to be sanitized first, or has no JSON form."""

_PLACE = re.compile(r"\(byte (\d+)\)\Z")


def decode_text(message: Any) -> Any:
    """The value of one JSON text.

    Raises:
        DecodingError: it is not JSON, not UTF-8, nested too deeply, or null.
    """
    try:
        value = decode_one(message)
    except UNREADABLE as error:
        raise malformed(error, message) from error
    if value is None:
        raise DecodingError(NULL_REFUSED)
    return value


def malformed(error: Exception, text: Any) -> DecodingError:
    """The error for a text that is not JSON, for this reason."""
    made = DecodingError(
        f"malformed JSON: {str(error).removeprefix('JSON is malformed: ')}{_hint(error, text)}"
    )
    made.__cause__ = error
    return made


def _hint(error: Exception, text: Any) -> str:
    """A hint where the text has single quotes instead of JSON's double quotes."""
    place = _PLACE.search(str(error))
    if place:
        octets = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else memoryview(text)
        if bytes(octets[int(place[1]) :][:1]) == b"'":
            return ": JSON takes double quotes, not single ones"
    return ""


def encode_text(message: Any) -> bytes:
    """The text of one message, without a line break.

    Raises:
        EncodingError: it contains something that has no JSON form, or contains itself.
    """
    try:
        return encode_one(message)
    except UNWRITABLE:
        pass
    try:
        return json.dumps(sanitize(message), ensure_ascii=False, separators=(",", ":")).encode()
    except RecursionError as error:
        raise EncodingError("nested too deeply, or contains itself") from error
    except (TypeError, ValueError) as error:
        raise EncodingError(str(error)) from error
