"""How often the handler's thread polls, and how much is done at a time."""

from __future__ import annotations

import sys

TICK = 0.005
"""Seconds between two looks into the queue while records come."""

SLOW_TICK = 0.05
"""The same while all that there is waits for a receiver."""

HURRY = 0.02
"""Seconds for which the thread keeps polling at each tick after a caller of `flush` has signalled that it waits."""

FIRST_LOOK = 0.0001
"""Seconds until a waiting `flush` checks for the first time; each further wait doubles, up to a tick."""

AT_WORK = 1.0
"""Seconds beyond `linger` that `close` waits for a thread at work: it may be opening a socket."""

THREAD_PATIENCE = 0.25
"""Seconds without a sign of the thread after which a caller does its work."""

IDLE_TICKS = 100
"""Looks into an empty queue after which the thread sleeps until it is woken."""

PEERS = 60.0
"""Seconds that the thread sleeps at most: then it reads the peers' events, which ZeroMQ keeps until then."""

WATCH = 1.0
"""The same while something is not acknowledged: why that is so may have to be reported."""

HELP_RECORDS = 200
"""Records that a caller deals with when it helps."""

HELP_LONG = 8
"""The same while there are long ones."""

HEAR = 0.05
"""Seconds after which the thread takes a short turn in a burst too, and while callers help, who do not hear peers."""

BITE = 100
"""Records that the thread deals with before it lets others have the lock."""

HELP_ABOVE = 8000
"""Records in the queue above which callers help, or four fifths of the high-water mark if that is less, or
all but two."""

BURST_RECORDS = 500
"""Records in one tick that are a burst: the thread leaves the processor to the application until it is over."""

GRACE = 0.3
"""Seconds beyond `linger` after which `close` leaves the socket to the thread."""

THREAD_RETRY = 5.0
"""Seconds until a thread that could not be started is tried again."""

OLD = 60.0
"""Seconds that a record's time may be behind the clock; with an older one a caller looks more closely."""

ALL = sys.maxsize
"""As many as there are."""
