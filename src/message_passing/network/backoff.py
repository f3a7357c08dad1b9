"""How long to wait before a request is tried again."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


class RetryLater(Exception):  # noqa: N818 - it is what to do
    """A peer has not taken a request, and may take it another time.

    Attributes:
        after: seconds that it wants to be left alone, as far as it said so.
    """

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


def pause_after(attempt: int, first: float, longest: float, *, at_least: float = 0.0) -> float:
    """Seconds to wait after so many attempts that failed: about twice as long each time, and for each another time.

    The half of it is left to chance, so that many senders do not all come back at once ("equal jitter").

    Args:
        attempt: how many have failed, from 1 on.
        first: seconds after the first one.
        longest: seconds at most.
        at_least: what the peer asked for, which is obeyed up to `longest`.
    """
    full = min(longest, first * 2.0 ** min(attempt - 1, 60))
    return max(full / 2 + random.random() * full / 2, min(at_least, longest))  # noqa: S311 - nobody must not guess it


def seconds_of(retry_after: str | None) -> float:
    """What an HTTP header Retry-After asks for: seconds, or a date (RFC 9110, 10.2.3); 0 for anything else."""
    if not retry_after:
        return 0.0
    try:
        return max(0.0, float(retry_after) if retry_after.strip().isdigit() else _until(retry_after))
    except (ValueError, TypeError):
        return 0.0


def _until(date: str) -> float:
    return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
