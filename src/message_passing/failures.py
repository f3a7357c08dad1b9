"""What is said of a message that could not be handled, and how it is said when nothing else can.

A report is a plain dict with the original's field names (Message::Passing::Exception::Decoding and
::Encoding: `class`, `exception`, `packed_data`, `stringified_data`), and where it happened.
"""

from __future__ import annotations

import json
import reprlib
import sys
import traceback
from typing import TYPE_CHECKING, Any

from message_passing.errors import MessagePassingError
from message_passing.escaping import ascii_json

if TYPE_CHECKING:
    from collections.abc import Sequence

DATA_LIMIT = 1024
"""How much of the offending message a report carries, in characters."""

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = DATA_LIMIT
_repr.maxdict = _repr.maxlist = _repr.maxtuple = _repr.maxset = 50


def report(component: str, error: BaseException, messages: Sequence[Any]) -> dict[str, Any]:
    """Describe a failure, in fields that any encoder can write.

    Args:
        component: what failed, as its label says.
        error: why.
        messages: what it failed on; the first one is shown, cut at `DATA_LIMIT`.
    """
    described: dict[str, Any] = {
        "class": _class_name(type(error)),
        "exception": str(error) or type(error).__name__,
        "component": component,
    }
    if not isinstance(error, MessagePassingError) and (place := _innermost(error)):
        described["at"] = place
    if messages:
        first = messages[0]
        if isinstance(first, (bytes, bytearray, memoryview)):
            described["packed_data"] = _cut_bytes(bytes(first[: DATA_LIMIT + 1]), len(first))
        elif isinstance(first, str):
            described["packed_data"] = _cut_text(first)
        else:
            described["stringified_data"] = _repr.repr(first)
        if len(messages) > 1:
            described["count"] = len(messages)
    return described


def last_resort(described: dict[str, Any]) -> None:
    """Say it on stderr, whatever happens: the error chain itself has failed, or there is none."""
    try:
        text = ascii_json(json.dumps(described, default=str))
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except Exception:  # noqa: BLE001, S110 - stderr is closed or full: there is nobody left to tell
        pass


def _class_name(cls: type) -> str:
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _innermost(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""


def _cut_bytes(head: bytes, size: int) -> str:
    text = head[:DATA_LIMIT].decode("utf-8", "backslashreplace")
    return text if size <= DATA_LIMIT else f"{text}... ({size - DATA_LIMIT} bytes more)"


def _cut_text(text: str) -> str:
    kept = text[:DATA_LIMIT].encode("utf-8", "backslashreplace").decode()
    return kept if len(text) <= DATA_LIMIT else f"{kept}... ({len(text) - DATA_LIMIT} characters more)"
