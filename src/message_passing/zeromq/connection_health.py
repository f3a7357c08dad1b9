"""Whether the connections of one socket are established, and if not, why: in words, with what to do about it.

ZeroMQ itself does not report mismatched ends: for two incompatible socket types its monitor reports only that a
connection began and ended (CONNECTED or ACCEPTED, then DISCONNECTED, without HANDSHAKE_SUCCEEDED). So the
program that listens where we connect is probed once in a while, on a separate connection (`zmtp_probe`).
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

from message_passing.clock import monotonic
from message_passing.zeromq import monitor_events
from message_passing.zeromq.attempts import Attempts
from message_passing.zeromq.endpoints import host_name
from message_passing.zeromq.misfits import FITTING_TYPES, expected_peer, misfit, other_end
from message_passing.zeromq.zmtp_probe import probe_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.zeromq.monitor import Event
    from message_passing.zeromq.sockets import OpenSocket
    from message_passing.zeromq.zmtp_probe import Greeting

PROBLEM_AFTER = 3.0
"""Seconds for which an endpoint may be unconnected before that is a problem: a restart takes less."""

_SETTLED = 0.5
"""Seconds for which a connection must last before an earlier problem counts as resolved."""

_PROBE_AFTER, _PROBE_AGAIN, _PROBE_TIMEOUT = 0.3, 60.0, 1.0
"""Seconds until a peer that breaks off a handshake is probed, until the next probe, and for each step of one."""

_REMEMBERED = 60.0
"""Seconds for which a mismatched peer counts as a problem of a bound socket, and other strangers are noted."""

_VISITORS = 100
"""The most addresses that are remembered of peers that did not fit."""

_TICK, _PAUSE = 0.1, 1000
"""Seconds between two checks, and the most milliseconds."""


_ADVICE = {
    "refused": "start the {who}, and make sure that it binds this address (socket_bind): one side must",
    "silent": "check that its host is up, and that no firewall blocks this port",
    "unknown": "check its spelling, and whether DNS or /etc/hosts has it (`getent hosts NAME`)",
}


class _Link:
    """One endpoint to connect to."""

    def __init__(self, endpoint: str, now: float) -> None:
        self.endpoint = endpoint
        self.attempts = Attempts()
        self.up_since: float | None = None
        self.down_since: float | None = now
        self.rejection = ""  # the notice that it rejected us
        self.greeting: Greeting | None = None
        self.probed_at: float | None = None

    def note(self, event: Event, now: float) -> None:
        self.attempts.note(event)
        if event.number == monitor_events.EVENT_HANDSHAKE_SUCCEEDED:
            self.up_since, self.rejection = now, ""
        elif event.number == monitor_events.EVENT_CLOSED:  # nothing listens there any more
            self.rejection = ""
        elif event.number == monitor_events.EVENT_DISCONNECTED:
            self.up_since = None
            self.down_since = self.down_since or now

    def look(self, now: float) -> None:
        if self.up_since is not None and now - self.up_since >= _SETTLED:
            self.down_since = self.greeting = self.probed_at = None

    def is_down(self, now: float, seconds: float) -> bool:
        return self.up_since is None and self.down_since is not None and now - self.down_since >= seconds


class ConnectionHealth:
    """A socket's health. Events come from one thread, or under a lock; any thread may read `problems` and `notes`."""

    def __init__(self, opened: OpenSocket, clock: Callable[[], float] = monotonic) -> None:
        """Start without any events.

        Args:
            opened: the socket. Nothing is known about one that a builder created, or about inproc endpoints.
            clock: seconds, monotonic.
        """
        settings = opened.settings
        self._open = opened
        self._clock = clock
        self._opened = now = clock()
        self._ours = settings.socket_type
        self._mechanism = settings.security.mechanism if settings.security else "NULL"
        known = () if settings.builder else settings.endpoints
        plain = [one for one in known if not one.startswith("inproc:")]
        self._links = {one: _Link(one, now) for one in plain if one in settings.connect}
        self._bound = [one for one in plain if one in settings.bind]
        self._met = False
        self._stranger, self._stranger_at = "", 0.0  # why the last mismatched peer does not fit
        self._successes = 0
        # By address: how many handshakes had succeeded when a peer of it first came and did not fit.
        self._visitors: dict[str, int] = {}
        self._visit, self._visit_at = "", -math.inf  # the note about one of them
        self._hasty = ""  # the note that a peer may not fit, while none has connected
        self._busy_since = math.inf  # with a connection; and
        self._alive_since = math.inf  # with one that completed the handshake
        self._probing: threading.Thread | None = None
        self._looked = 0.0
        self._problems: tuple[str, ...] = ()
        self._notes: tuple[str, ...] = ()

    def problems(self) -> list[str]:
        """The present obstacles: a sentence for each endpoint."""
        return list(self._problems)

    def notes(self) -> list[str]:
        """Notes that need not be problems, such as that no peer has connected yet."""
        return list(self._notes)

    def obstacle(self) -> str:
        """Why no peer is connected, as far as is known by now; with several endpoints, the reason for the latest."""
        if self._bound:
            if absent := self._open.absent():
                return f"{', '.join(absent)}: this machine has no such address"
            gone = f"{self._where()}: no peer is connected any more"
            return self._stranger or (gone if self._met else self._nobody())
        now = self._clock()
        down = [
            f"{one.endpoint}: {text}"
            for one in self._links.values()
            if one.is_down(now, 0) and (text := self._why(one))
        ]
        return down[-1] if down else f"{self._where()}: no peer is connected"

    def connected_for(self) -> float:
        """Seconds for which a peer has been connected without a break, as of the last check; 0 if none is."""
        return max(0.0, self._clock() - self._alive_since)

    @property
    def pause(self) -> int | None:
        """Milliseconds until `look` should be called again; None if nothing is expected."""
        if self._bound:
            calm = self._alive_since < math.inf and not self._stranger and not self._visit
            return None if calm else _PAUSE
        return _PAUSE if self._links else None

    # What the monitor reports

    def note(self, event: Event) -> None:
        """Process an event of an endpoint to connect to, or of a peer that was admitted."""
        if self._links:
            self._link_of(event.endpoint).note(event, self._clock())
        elif event.number == monitor_events.EVENT_HANDSHAKE_SUCCEEDED:
            self._met = True
            self._successes += 1

    def rejected(self, endpoint: str, text: str) -> None:
        """Record that a handshake failed for a known reason."""
        if self._links:
            self._link_of(endpoint).rejection = text
        else:
            self._stranger, self._stranger_at = f"{endpoint}: {text}", self._clock()

    def broken_off(self, address: str, *, by_peer: bool, alone: bool) -> None:
        """On a bound socket, record that a connection ended during its handshake for an unknown reason.

        ZeroMQ reports the same of a socket of another type and of a program that does not speak ZMTP at all, such as
        a balancer's health check. One that also comes while others fit keeps nobody out: a note, else a problem.

        Args:
            address: the peer's address.
            by_peer: the peer closed it, as one does that only tests whether the port is open.
            alone: no other peer is connected.
        """
        if not self._bound:
            return
        who = address or (
            "somebody" if any(one.startswith("tcp:") for one in self._bound) else "a process here"
        )
        if by_peer:
            self._hasty = (
                "a peer connected, and disconnected during the handshake: the socket_type may not fit"
            )
            return
        text = f"{self._where()}: {who} connected, but is not a {FITTING_TYPES[self._ours][0]}"
        if self._is_visitor(address, alone):
            self._visit = f"{text}: a health check, another program, or a wrong socket_type"
            self._visit_at = self._clock()
        else:
            self._stranger = f"{text}: {expected_peer(self._ours)} (see its option socket_type)"
            self._stranger_at = self._clock()

    def _is_visitor(self, address: str, alone: bool) -> bool:
        """Whether a peer that does not fit has also come while others did fit, or before they came."""
        first = self._visitors.pop(address, self._successes) if alone else -1
        self._visitors[address] = first
        if len(self._visitors) > _VISITORS:
            del self._visitors[next(iter(self._visitors))]
        return first < self._successes

    def _link_of(self, endpoint: str) -> _Link:
        """The endpoint by ZeroMQ's name for it: the host name as written, or its address once resolved."""
        if found := self._links.get(endpoint):
            return found
        port = endpoint.rpartition(":")[2]
        return next(
            (one for one in self._links.values() if one.endpoint.rpartition(":")[2] == port), self._first()
        )

    def _first(self) -> _Link:
        return next(iter(self._links.values()))

    # What follows from it

    def look(self, *, connections: int, happened: bool = False) -> None:
        """Determine the present problems; to be called now and then.

        Args:
            connections: how many there are, with or without a handshake.
            happened: whether there were events; without any, checks are less frequent.
        """
        now = self._clock()
        if (now - self._looked < _TICK and not happened) or not (self._links or self._bound):
            return
        self._looked = now
        for link in self._links.values():
            link.look(now)
            self._probe(link, now)
        self._busy_since = min(self._busy_since, now) if connections else math.inf
        if self._bound and now - self._busy_since > PROBLEM_AFTER:
            self._met = True  # ZMTP 2 and older, whose handshakes are not reported
        alive = any(one.up_since is not None for one in self._links.values()) or (
            self._met and connections > 0
        )
        self._alive_since = min(self._alive_since, now) if alive else math.inf
        if self._stranger and now - self._stranger_at > _REMEMBERED:
            self._stranger = ""
        if self._visit and now - self._visit_at > _REMEMBERED:
            self._visit = ""
        down = [one for one in self._links.values() if one.is_down(now, PROBLEM_AFTER)]
        found = [f"{one.endpoint}: {text}" for one in down if (text := self._why(one))]
        found += [f"{one}: this machine has no such address" for one in self._open.absent()]
        self._problems = (*found, *([self._stranger] if self._stranger else []))
        alone = self._bound and not self._met and not self._stranger and now - self._opened >= PROBLEM_AFTER
        visit = (self._visit,) if self._visit and not self._stranger else ()
        self._notes = (*visit, *((self._nobody(),) if alone else ()))

    def _where(self) -> str:
        return ", ".join(self._open.endpoints())

    def _nobody(self) -> str:
        who, where = other_end(self._ours), self._where()
        hasty = f" ({self._hasty})" if self._hasty else ""
        rule = f"it must connect to this port, and {expected_peer(self._ours)}"
        return f"{where}: no {who} has connected yet: {rule}{hasty}"

    def _why(self, link: _Link) -> str:
        """The obstacle of an endpoint; empty if it turns out to be none."""
        if link.rejection:
            return link.rejection
        if link.attempts.reached and link.greeting:
            if found := misfit(self._ours, self._mechanism, link.greeting):
                return found
            if link.greeting.is_old:  # they send, and a successful handshake is never reported
                return ""
        obstacle = link.attempts.obstacle
        if not (name := host_name(link.endpoint)) and link.attempts.kind == "unknown":
            return "no socket can be opened for it: check whether this process has file descriptors left (ulimit -n)"
        obstacle = obstacle or ("the host name is being looked up" if name else "not connected")
        advice = _ADVICE.get(link.attempts.kind, "")
        return f"{obstacle}: {advice.format(who=other_end(self._ours))}" if advice else obstacle

    def _probe(self, link: _Link, now: float) -> None:
        """Probe the peer, in a thread, where a connection is established but no handshake completes."""
        if link.rejection or not link.attempts.reached or not link.is_down(now, _PROBE_AFTER):
            return
        if link.probed_at is not None and now - link.probed_at < _PROBE_AGAIN:
            return
        if self._probing and self._probing.is_alive():
            return

        def ask() -> None:
            link.greeting = probe_endpoint(link.endpoint, _PROBE_TIMEOUT)

        self._probing = threading.Thread(target=ask, name="message-passing-probe", daemon=True)
        try:
            self._probing.start()
        except RuntimeError:  # the interpreter is ending, or no thread is available
            self._probing = None
        else:
            link.probed_at = now
