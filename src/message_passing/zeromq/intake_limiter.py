"""Bounding the memory that peers can make a receiving socket use, whatever they send.

ZeroMQ's own bounds count whole messages for each peer (ZMQ_RCVHWM) and bytes of a frame (ZMQ_MAXMSGSIZE), and a
multipart message counts as neither until its last frame has arrived (libzmq's `pipe_t::write`). So the process's
memory is watched, and when it grows:

- At `_PAUSE` of the bound no more data is accepted from any peer (`Connections.pause`) until what waits has been
  received. Nothing is lost by that.
- What is in memory when all whole messages have been received belongs to unfinished messages. The traffic
  of each connection since it last delivered a message shows whose they are. Peers over their own limit, or
  the largest ones when the total is too much, are disconnected, which frees it.

ZMQ_RCVHWM would be no way to slow peers down: libzmq 4.3.5 forgets a connection whose messages have all been
received when the mark is lowered, and one that waits for room when it is raised.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import TYPE_CHECKING

from message_passing.zeromq.memory import release_memory
from message_passing.zeromq.received import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.zeromq.connections import Connections
    from message_passing.zeromq.descriptors import Connection
    from message_passing.zeromq.throttled_warnings import ThrottledWarnings

MEMORY_INTERVAL = 0.05
"""Seconds between two checks of the memory while any peer is connected. What comes meanwhile is above the bound."""

_SAMPLING = 1.0
"""Seconds between two samples of all connections' traffic, while there is no alarm."""

_COST, _SHARE, _ALARM_SHARE = 10e-6, 0.02, 0.1
"""The approximate cost of sampling a connection, in seconds, and the share of a core that sampling may use in all."""

_ALARM, _PAUSE = 3 / 8, 5 / 8
"""Fractions of the bound above which each message is examined, and above which nothing more is accepted."""

_RECENT = 2.0
"""Seconds for which a peer that delivered a message is assumed to finish its messages."""

_CALM, _LONG_CALM = 0.5, 5.0
"""Seconds of an alarm without a suspect until the memory is attributed to the process itself; longer where there are
peers whose traffic is unknown, and then only if it does not grow."""

_SETTLING = 0.2
"""Seconds that libzmq may take to end connections and to free their memory."""

_SLACK = 64 << 10
"""Bytes by which an unfinished message may exceed `maxmsgsize` through frame headers and encryption."""

_DRAINS = 2
"""How many times nothing must be left to receive until all that came before counts as delivered."""

UNFINISHED, TOO_MUCH = "unfinished message too big", "too much unfinished"
"""Why peers are disconnected."""


class IntakeLimiter:
    """Watches one receiving socket. For the thread that reads its monitor.

    Attributes:
        disconnected: the number of disconnected peers, by reason.
        pauses: how often intake was paused until what waited had been received.
    """

    def __init__(
        self,
        connections: Connections,
        ask: Callable[[bool], tuple[bool, dict[int, int]]],
        notices: ThrottledWarnings,
        *,
        bound: int,
        maxmsgsize: int,
        memory: Callable[[], int] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            connections: the socket's.
            ask: given whether each message is to be noted from now on, says whether nothing was left to be received
                at some time since it was last asked, and the bytes of what was delivered meanwhile, by descriptor.
            notices: where to report what was done.
            bound: bytes by which the process's memory may grow; 0 for no bound.
            maxmsgsize: bytes of a message; -1 for no limit.
            memory: bytes that the process has in memory now; None where the system does not tell.
            clock: seconds, monotonic.
        """
        self.disconnected: Counter[str] = Counter()
        self.pauses = 0
        self._connections, self._ask, self._notices = connections, ask, notices
        self._bound, self._maxmsgsize = bound, maxmsgsize
        self._memory = memory if bound else None
        self._clock = clock
        self._records: dict[Connection, Record] = {}
        self._baseline = self._memory() if self._memory else 0
        self._tolerated = bound * _ALARM
        self._limit = bound * _PAUSE
        self._alarm = self._paused = self._ever_paused = False
        self._next = self._next_sample = self._since = self._settled = self._released = 0.0
        self._highest = 0
        self._paused_at = self._fair = 0.0
        self._drains = 0  # samples of this alarm or pause at which nothing was left to be received

    @property
    def pace(self) -> int | None:
        """Milliseconds until `tick` should be called again; None for not before a monitor's event."""
        return int(MEMORY_INTERVAL * 1000) if self._memory and self._busy else None

    @property
    def _busy(self) -> bool:
        return self._alarm or self._paused or len(self._connections) > 0

    def tick(self) -> None:
        """Check the memory, and act on it. It may be called at any time, and costs little."""
        if self._memory is None:
            return
        now = self._clock()
        if self._ever_paused:
            self._treat_new()
        if now < self._next or not self._busy:
            return
        self._next = now + MEMORY_INTERVAL
        memory = self._memory()
        self._baseline = min(self._baseline, memory)
        growth = memory - self._baseline
        if growth > self._tolerated and not self._alarm:
            self._begin_alarm(now)
        if growth > self._limit and not self._paused:
            self._pause()
        if now < self._next_sample and (self._alarm or growth <= self._tolerated / 2):
            return
        drained = self._sample(now)
        if self._alarm and now >= self._settled:
            self._judge(now, drained=drained)

    def _begin_alarm(self, now: float) -> None:
        self._alarm, self._since, self._drains, self._next_sample = True, now, 0, now
        self._highest = 0

    def _sample(self, now: float) -> bool:
        """Sample the traffic of all connections; return whether nothing was left to be received meanwhile."""
        share = _ALARM_SHARE if self._alarm else _SHARE
        least = MEMORY_INTERVAL if self._alarm else _SAMPLING
        self._next_sample = now + max(least, len(self._connections) * _COST / share)
        before, self._records = self._records, {}
        reads = {}
        for connection in self._connections:
            record = self._records[connection] = before.get(connection) or Record()
            traffic = self._connections.traffic(connection)
            reads[connection] = traffic.read if traffic else record.read
        drained, delivered = self._ask(self._alarm)
        for connection, record in self._records.items():
            last, record.read = record.read, reads[connection]
            if connection.descriptor in delivered:
                record.deliver(delivered[connection.descriptor], now)
            if drained:  # messages delivered from now on were unfinished at the last sample
                record.mark = last
        self._drains += drained
        return drained

    def _judge(self, now: float, *, drained: bool) -> None:
        """During an alarm: end it, or disconnect the peers that cause it."""
        if not drained or self._drains < _DRAINS:
            if self._paused and self._growth() < self._bound * _ALARM:
                self._resume()
            return
        if now - self._released > _CALM:
            self._released = now
            release_memory()
        growth = self._growth()
        suspects = self._suspects(now)
        oversized = [one for one in self._quiet(suspects, now) if self._too_big(one)]
        if oversized:
            self._disconnect(oversized, UNFINISHED, now)
        elif growth > self._bound * _PAUSE:
            self._reduce(suspects, growth, now)
        else:
            if self._paused:
                self._resume()
            untold = self._untold(now)
            if untold and growth > self._highest:
                self._highest, self._since = growth + self._bound // 64, now
            if growth < self._tolerated / 2:
                self._end_alarm(absorb=False)
            elif not suspects and now - self._since > (_LONG_CALM if untold else _CALM):
                self._end_alarm(absorb=True)

    def _untold(self, now: float) -> list[Connection]:
        """Peers of unknown traffic (ipc) that have delivered nothing for a while."""
        return [one for one, of in self._records.items() if not one.port and now - of.heard > _CALM]

    def _suspects(self, now: float) -> list[Connection]:
        """Peers that may have a large unfinished message, the largest first, except recent deliverers."""
        floor = min(256 << 10, max(4 << 10, self._bound // (64 * max(1, len(self._records)))))
        recent = now - 3 * (self._next_sample - now)
        found = [one for one, of in self._records.items() if of.unfinished >= floor and of.heard < recent]
        return sorted(found, key=lambda one: self._records[one].unfinished, reverse=True)

    def _quiet(self, suspects: list[Connection], now: float) -> list[Connection]:
        """Peers that deliver nothing, though those that ever did had time to continue after a pause."""
        heard = -math.inf if now < self._fair else now - _RECENT
        return [
            one
            for one in suspects
            if self._records[one].heard < heard or self._records[one].heard == -math.inf
        ]

    def _reduce(self, suspects: list[Connection], growth: int, now: float) -> None:
        """Disconnect enough of them, first those that have delivered nothing for a while."""
        quiet = self._quiet(suspects, now)
        untold = self._untold(now)
        if growth > self._bound:
            quiet = quiet or suspects or untold
        times = growth / max(1, sum(self._records[one].unfinished for one in suspects))
        chosen, left = [], growth - self._bound * _ALARM
        for one in quiet:
            if left <= 0:
                break
            chosen.append(one)
            left -= int(times * self._records[one].unfinished)
        if chosen:
            self._disconnect(chosen, TOO_MUCH, now)
        elif suspects or untold:
            # An honest peer delivers again before long, and there is room for a bit more.
            self._limit = min(self._bound, growth + self._bound / 16)
            self._resume()
        else:
            self._end_alarm(absorb=True)

    def _too_big(self, connection: Connection) -> bool:
        unfinished = self._records[connection].unfinished
        return 0 <= self._maxmsgsize < unfinished - _SLACK - self._maxmsgsize // 64

    def _disconnect(self, chosen: list[Connection], reason: str, now: float) -> None:
        if not chosen:
            return
        worst = chosen[0]
        size = self._records[worst].unfinished
        self.disconnected[reason] += self._connections.disconnect(chosen)
        self._settled = now + _SETTLING
        self._since, self._released = now, 0.0
        where = f" at {worst.address}" if worst.address else ""
        limit = f"maxmsgsize {self._maxmsgsize}" if reason == UNFINISHED else f"queue_bytes {self._bound}"
        text = f"disconnected a peer{where} that had sent {size} bytes of an unfinished message"
        so_far = sum(self.disconnected.values())
        self._notices.say(f"intake {reason}", f"{text} (limit: {limit}; peers disconnected so far: {so_far})")

    def _pause(self) -> None:
        self._paused = self._ever_paused = True
        self._paused_at = self._clock()
        self._drains = 0
        self.pauses += 1
        self._connections.pause([*self._connections.listeners, *self._connections])

    def _resume(self) -> None:
        self._paused = False
        now = self._clock()
        self._fair = now + max(_RECENT, 1.5 * (now - self._paused_at))
        self._connections.resume([*self._connections.listeners, *self._connections])

    def _treat_new(self) -> None:
        """Pause or resume new connections: one accepted by a paused listener stays paused until it is resumed."""
        new = [one for one in self._connections if one not in self._records]
        for one in new:
            self._records[one] = Record()
        (self._connections.pause if self._paused else self._connections.resume)(new)

    def _end_alarm(self, *, absorb: bool) -> None:
        """End the alarm; with `absorb`, attribute the present memory to the process itself."""
        if self._paused:
            self._resume()
        self._alarm, self._limit = False, self._bound * _PAUSE
        if absorb:
            release_memory()
            self._baseline += max(0, self._growth())
        self._ask(False)

    def _growth(self) -> int:
        return self._memory() - self._baseline if self._memory else 0
