"""Clocks that keep running while a test freezes or replaces those of the module `time`.

freezegun replaces `time.monotonic` and every module's reference to it, time-machine changes the function itself, and
`unittest.mock.patch` gives the module another. Code that waits for a frozen clock to reach a deadline waits
forever. None of them touches clock_gettime for the system's clocks (clock_gettime(2)), and a `partial` hides
it from tools that search modules.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_has_posix_clocks = hasattr(time, "clock_gettime")

monotonic = (
    partial(time.clock_gettime, time.CLOCK_MONOTONIC) if _has_posix_clocks else partial(time.monotonic)
)
"""Seconds since an arbitrary moment; it never goes back."""

wall = partial(time.clock_gettime, time.CLOCK_REALTIME) if _has_posix_clocks else partial(time.time)
"""Seconds since 1970. It may be set, and time-machine freezes it: only for comparing with times from elsewhere."""


def steady_wall() -> Callable[[], float]:
    """A clock that begins with the right time and is not set with it, so that no age changes by a jump in one run."""
    ahead = wall() - monotonic()
    return lambda: monotonic() + ahead


def split_time(seconds: float) -> tuple[int, int]:
    """Whole seconds since 1970, and microseconds."""
    return divmod(round(seconds * 1_000_000), 1_000_000)


def until_seconds(seconds: int) -> str:
    """The part of an ISO 8601 time in UTC that stays the same for a second."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def iso_time(seconds: float) -> str:
    """A time as in records and reports, ISO 8601 in UTC: `2026-11-25T19:38:37.000250Z`.

    Args:
        seconds: since 1970.
    """
    whole, micros = split_time(seconds)
    return f"{until_seconds(whole)}.{micros:06}Z"


def iso_now() -> str:
    """The time now, as `iso_time` writes it."""
    return iso_time(time.time())
