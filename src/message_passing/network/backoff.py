"""Exponential back-off: how long to wait before a request is retried."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple


class RetryLater(Exception):  # noqa: N818 - it is what to do
    """A peer has not accepted a request, and may accept it later.

    Attributes:
        after: the seconds for which it asked not to be retried, if it did.
    """

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


def pause_after(attempt: int, first: float, longest: float, *, at_least: float = 0.0) -> float:
    """Seconds to wait after this many failed attempts: about twice as long each time, with a random part.

    Half of it is random, so that many senders do not all retry at once ("equal jitter").

    Args:
        attempt: the number of failed attempts, from 1.
        first: seconds after the first one.
        longest: the most seconds.
        at_least: the delay that the peer asked for, honoured up to `longest`.
    """
    full = min(longest, first * 2.0 ** min(attempt - 1, 60))
    return max(full / 2 + random.random() * full / 2, min(at_least, longest))  # noqa: S311 - nobody must not guess it


class RetryPolicy(NamedTuple):
    """When a failed attempt is repeated, and when it is given up.

    Attributes:
        first: approximate seconds after the first attempt.
        longest: the most seconds between two attempts.
        attempts: how many there may be; 0 for no limit.
        give_up_after: seconds, since the first one began, after which there is none; 0 for no limit.
    """

    first: float
    longest: float
    attempts: int
    give_up_after: float

    def pause(self, attempt: int, age: float, *, at_least: float = 0.0) -> float | None:
        """Seconds until the next attempt; None if there is none.

        Args:
            attempt: the number of failed attempts, from 1.
            age: seconds since the first one began.
            at_least: see `pause_after`.
        """
        pause = pause_after(attempt, self.first, self.longest, at_least=at_least)
        late = self.give_up_after and age + pause > self.give_up_after
        return None if late or attempt == self.attempts else pause


def seconds_of(retry_after: str | None) -> float:
    """The delay of an HTTP Retry-After header: seconds, or a date (RFC 9110, 10.2.3); 0 for anything else."""
    if not retry_after:
        return 0.0
    try:
        return max(0.0, float(retry_after) if retry_after.strip().isdigit() else _until(retry_after))
    except (ValueError, TypeError):
        return 0.0


def _until(date: str) -> float:
    return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
