"""A clock that can be set, in one process: Python imports this at its start when the folder is on PYTHONPATH.

The machine's own clock is everybody's, and no namespace has one of its own. So `time.time`, `time.time_ns` and
`time.clock_gettime` are replaced by functions that add the seconds that are written in the file FAULT_CLOCK. What
reads the clock in C, `datetime.now` for one, is not deceived; what is monotonic stays so, as it does when a real
clock is set.
"""

from __future__ import annotations

import os
import time

_file = os.open(os.environ["FAULT_CLOCK"], os.O_RDONLY)
_real, _real_ns = time.time, time.time_ns


def _offset() -> float:
    return float(os.pread(_file, 100, 0) or 0)


def _time() -> float:
    return _real() + _offset()


def _time_ns() -> int:
    return _real_ns() + int(_offset() * 1e9)


def _clock_gettime(clock: int) -> float:
    return _real_clock(clock) + (_offset() if clock == time.CLOCK_REALTIME else 0)


_real_clock = time.clock_gettime
time.time, time.time_ns, time.clock_gettime = _time, _time_ns, _clock_gettime
