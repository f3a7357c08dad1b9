"""What is said of a message that could not be handled, how often, and how it is said when nothing else can.

A report is a plain dict with the original's field names (Message::Passing::Exception::Decoding and
::Encoding: `class`, `exception`, `packed_data`, `stringified_data`), and where it happened. However large that is
which it reports, it is small, and making it costs little: see `message_passing.abbreviation`.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from message_passing.abbreviation import abbreviate, abbreviate_bytes, abbreviate_text, class_name
from message_passing.errors import MessagePassingError
from message_passing.escaping import ascii_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DATA_LIMIT = 1024
"""How much of the offending message a report carries, in characters; and of the error's text."""

_NAME_LIMIT = 256
"""Characters of a report's other texts."""

BURST = 100
"""Reports that a component may make at once; then `PER_SECOND`. Twice: of messages, and of everything else."""

PER_SECOND = 10.0
"""Reports a second of one component in the long run. What is not reported is counted, and the next report says so."""


class ReportLimit:
    """How many reports a component may make: a token bucket.

    Attributes:
        suppressed: failed messages that were not reported since the last report; what is no message counts as one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """The bucket is full.

        Args:
            clock: seconds, monotonic.
        """
        self.suppressed = 0
        self._clock = clock
        self._tokens = float(BURST)
        self._filled = clock()

    def admits(self, messages: int) -> bool:
        """Whether a report of so many messages may be made now; if not, they are counted as suppressed."""
        now = self._clock()
        self._tokens = min(BURST, self._tokens + (now - self._filled) * PER_SECOND)
        self._filled = now
        if self._tokens < 1:
            self.suppressed += messages or 1
            return False
        self._tokens -= 1
        return True

    def take_suppressed(self) -> int:
        """How many were suppressed since this was asked last."""
        count, self.suppressed = self.suppressed, 0
        return count


def report(
    component: str,
    error: BaseException,
    messages: Sequence[Any],
    *,
    count: int | None = None,
    suppressed: int = 0,
) -> dict[str, Any]:
    """Describe a failure, in fields that any encoder can write: less than 40 KB of JSON, mostly some 200 bytes.

    Args:
        component: what failed, as its label says.
        error: why.
        messages: what it failed on; the first one is shown, cut at `DATA_LIMIT`.
        count: how many these are, where `messages` has not all of them.
        suppressed: how many failed before it without a report.
    """
    described: dict[str, Any] = {
        "class": abbreviate_text(class_name(type(error)), _NAME_LIMIT),
        "exception": _text_of(error) or abbreviate_text(type(error).__name__, _NAME_LIMIT),
        "component": abbreviate_text(component, _NAME_LIMIT),
    }
    if not isinstance(error, MessagePassingError) and (place := _innermost(error)):
        described["at"] = place
    if messages:
        first = messages[0]
        cls = type(first)  # `isinstance` asks the message too
        if issubclass(cls, (bytes, bytearray, memoryview)):
            described["packed_data"] = abbreviate_bytes(first, DATA_LIMIT)
        elif issubclass(cls, str):
            described["packed_data"] = abbreviate_text(first, DATA_LIMIT)
        else:
            described["stringified_data"] = abbreviate(first, DATA_LIMIT)
        count = len(messages) if count is None else count
        if count > 1:
            described["count"] = count
    if suppressed:
        described["suppressed"] = suppressed
    return described


def last_resort(described: dict[str, Any]) -> None:
    """Say it on stderr, whatever happens: the error chain itself has failed, or there is none."""
    try:
        text = ascii_json(json.dumps(described, default=str))
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except Exception:  # noqa: BLE001, S110 - stderr is closed or full: there is nobody left to tell
        pass


def _text_of(error: BaseException) -> str:
    """What it says, without making of it what would be cut off anyway."""
    args, own = error.args, type(error).__str__
    if own is KeyError.__str__ and len(args) == 1:
        return abbreviate(args[0], DATA_LIMIT)
    if own is BaseException.__str__ or (own is KeyError.__str__):
        if len(args) == 1 and isinstance(args[0], str):
            return abbreviate_text(args[0], DATA_LIMIT)
        return abbreviate(args[0] if len(args) == 1 else args, DATA_LIMIT) if args else ""
    if own is OSError.__str__ and error.filename is not None:  # type: ignore[attr-defined]
        name = abbreviate(error.filename, DATA_LIMIT)  # type: ignore[attr-defined]
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
