"""Reports of messages that could not be handled: their content, their rate, and stderr as the last resort.

A report is a plain dict with the original's field names (Message::Passing::Exception::Decoding and
::Encoding: `class`, `exception`, `packed_data`, `stringified_data`), when and where it happened, and the message in a
form that can be sent again. A report is small and cheap to make, however large the message: see
`message_passing.abbreviation`.
"""

from __future__ import annotations

import binascii
import json
import select
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from message_passing.abbreviation import (
    abbreviate_bytes,
    abbreviate_json,
    abbreviate_text,
    beginning,
    bounded_repr,
    class_name,
)
from message_passing.clock import iso_now
from message_passing.errors import MessageError, MessagePassingError
from message_passing.escaping import ascii_json, escape_breaks, escape_json
from message_passing.stderr_line import make_way

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DATA_LIMIT = 1024
"""How much of the offending message, and of the error's text, a report carries by default: bytes, or characters if it
is not bytes."""

MOST_DATA = 16 * 1024 * 1024
"""The largest such limit that may be set."""

_MOST_READABLE = 65536
"""The most bytes that are shown as text of what is not text: `packed_data_base64` has all of them."""

_NAME_LIMIT = 256
"""The most characters of a report's other texts."""

REPORT_BURST = 100
"""Reports that a component may make at once; then `PER_SECOND`. Separately for messages and everything else."""

PER_SECOND = 10.0
"""Reports a second of one component in the long run. What is not reported is counted, and the next report says so."""


class ReportLimit:
    """Rate limit of a component's reports: a token bucket.

    Attributes:
        suppressed: failed messages not reported since the last report; anything that is not a message counts as one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with a full bucket.

        Args:
            clock: seconds, monotonic.
        """
        self.suppressed = 0
        self._clock = clock
        self._tokens = float(REPORT_BURST)
        self._filled = clock()

    def admits(self, messages: int) -> bool:
        """Whether a report of so many messages may be made now; if not, they are counted as suppressed."""
        now = self._clock()
        self._tokens = min(REPORT_BURST, self._tokens + (now - self._filled) * PER_SECOND)
        self._filled = now
        if self._tokens < 1:
            self.suppressed += messages or 1
            return False
        self._tokens -= 1
        return True

    def take_suppressed(self) -> int:
        """How many were suppressed since the last call."""
        count, self.suppressed = self.suppressed, 0
        return count


def report(
    component: str,
    error: BaseException,
    messages: Sequence[Any],
    *,
    count: int | None = None,
    suppressed: int = 0,
    limit: int = DATA_LIMIT,
    attempts: int = 0,
) -> dict[str, Any]:
    """Describe a failure, in fields that any encoder can write: less than 40 KB of JSON, usually about 200 bytes.

    That is the size at the default limit; each byte shown beyond it adds less than 20 bytes of JSON.

    Args:
        component: what failed: its name in the chain.
        error: why.
        messages: what it failed on; the first one is shown.
        count: how many there are, if `messages` does not have all of them.
        suppressed: how many failed before it without a report.
        limit: how much of the message is shown: bytes, or characters if it is not bytes.
        attempts: of a dead letter, how often it was tried.
    """
    described: dict[str, Any] = {
        "time": iso_now(),
        "class": abbreviate_text(_class_of(error), _NAME_LIMIT),
        "exception": _text_of(error) or abbreviate_text(type(error).__name__, _NAME_LIMIT),
        "component": abbreviate_text(component, _NAME_LIMIT),
    }
    if not isinstance(error, MessagePassingError) and (place := _innermost(error)):
        described["at"] = place
    if messages:
        described |= _data_of(messages[0], limit)
    count = len(messages) if count is None else count
    if count > 1:
        described["count"] = count
    if suppressed:
        described["suppressed"] = suppressed
    if attempts:
        described["attempts"] = attempts
    return described


def is_dead_letter(described: dict[str, Any]) -> bool:
    """Whether a report is one: it has the whole message, and says how often that was tried."""
    return "attempts" in described


def _class_of(error: BaseException) -> str:
    """The original's name of the error, if it has one; a derived class has its own."""
    cls = type(error)
    own = cls.__dict__.get("original") if issubclass(cls, MessageError) else None
    return own if isinstance(own, str) and own else class_name(cls)


def _data_of(message: Any, limit: int) -> dict[str, Any]:
    """The fields that show a message.

    `packed_data` is text, or bytes in UTF-8, unchanged; for other bytes it is what can be read of them, and
    `packed_data_base64` has the bytes themselves. `stringified_data` is anything else: as JSON, or in Python's
    notation where JSON cannot express it. `truncated` is set where that is not all of it.
    """
    cls = type(message)  # `isinstance` would run code of the message
    if issubclass(cls, (bytes, bytearray, memoryview)):
        head, more = beginning(message, limit)
        shown: dict[str, Any] = {}
        if not _is_utf8(head):
            shown["packed_data_base64"] = binascii.b2a_base64(head, newline=False).decode()
            limit = min(limit, _MOST_READABLE)
        shown["packed_data"] = abbreviate_bytes(message, limit)
        return {**shown, "truncated": True} if more else shown
    if issubclass(cls, str) and _has_utf8(str.__getitem__(message, slice(limit))):
        shown = {"packed_data": abbreviate_text(message, limit)}
        return {**shown, "truncated": True} if str.__len__(message) > limit else shown
    if written := abbreviate_json(message, limit):
        text, truncated = escape_json(written[0]), written[1]
    else:
        text = bounded_repr(message, limit)
        truncated = len(text) > limit
    return {"stringified_data": text, "truncated": True} if truncated else {"stringified_data": text}


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _has_utf8(text: str) -> bool:
    """Whether it can be written as UTF-8: lone surrogates, as in file names that are not UTF-8, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def last_resort(described: Any) -> None:
    """Write to stderr, never raising: the error chain itself has failed, or there is none.

    Args:
        described: a report, or anything else given to an error chain.
    """
    try:
        make_way()
        sys.stderr.write(f"{ascii_json(_one_line_of(described))}\n")
        sys.stderr.flush()
    except Exception:  # noqa: BLE001, S110 - stderr is closed or full: there is nobody left to tell
        pass


def _one_line_of(described: Any) -> str:
    """As JSON; text and bytes as they are, as an error chain's encoder and its output would."""
    if isinstance(described, (bytes, bytearray, memoryview)):
        return escape_breaks(bytes(described)).decode("utf-8", "backslashreplace")
    try:
        return json.dumps(described, default=str)
    except Exception:  # noqa: BLE001 - it holds itself, or has keys that JSON does not know
        return json.dumps({"stringified_data": bounded_repr(described, DATA_LIMIT)})


def has_room(stream: TextIO, seconds: float) -> bool:
    """Whether a stream accepts some lines within so many seconds: a full pipe would block."""
    poll = select.poll()
    try:
        poll.register(stream.fileno(), select.POLLOUT)
    except (AttributeError, OSError, ValueError):
        return True  # it is not a file of the system
    return bool(poll.poll(1000 * seconds))


class LastResort:
    """The default error chain: it writes to standard error."""

    __slots__ = ()

    def consume(self, message: Any) -> None:
        """Write a report, or anything else, as a line of JSON."""
        last_resort(message)


LAST_RESORT = LastResort()
"""The shared instance."""


def _text_of(error: BaseException) -> str:
    """The error's text, without building what would be cut off anyway."""
    args, own = error.args, type(error).__str__
    if own is KeyError.__str__ and len(args) == 1:
        return bounded_repr(args[0], DATA_LIMIT)
    if own is BaseException.__str__ or (own is KeyError.__str__):
        if len(args) == 1 and isinstance(args[0], str):
            return abbreviate_text(args[0], DATA_LIMIT)
        return bounded_repr(args[0] if len(args) == 1 else args, DATA_LIMIT) if args else ""
    if own is OSError.__str__ and error.filename is not None:  # type: ignore[attr-defined]
        name = bounded_repr(error.filename, DATA_LIMIT)  # type: ignore[attr-defined]
        return f"[Errno {error.errno}] {error.strerror}: {name}"  # type: ignore[attr-defined]
    try:
        return abbreviate_text(str(error), DATA_LIMIT)
    except Exception:  # noqa: BLE001 - it is a stranger's, and says nothing then
        return ""


def _innermost(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return abbreviate_text(f"{code.co_filename}:{trace.tb_lineno} in {code.co_name}", _NAME_LIMIT)
