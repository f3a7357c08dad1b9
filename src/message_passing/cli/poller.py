"""Polling several running nodes, each in its own thread, so that a hanging one does not delay the others."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from message_passing.console.client import NodeClient, discover
from message_passing.errors import OpenError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from message_passing.conditions import Condition

_SENDERS = 5
"""How many senders are shown."""

_CHOSEN_FROM = 1000
"""Among how many senders those are found that are asked for by a condition."""

_LOOK_ROUND = 2.0
"""Seconds between two searches for further nodes."""

_END = 0.5
"""Seconds that ending may take."""

_FORGOTTEN = 300.0
"""Seconds after which a node that was found, and has gone, is no longer shown."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The status of one node.

    Attributes:
        target: as it was named.
        state: the last `GET /state`; None before there was one.
        senders: the last `GET /senders`, those that are shown.
        gone: why it does not answer; empty while it does.
        since: when it last answered, in seconds since 1970.
        times: how often it was polled.
    """

    target: str
    state: Any = None
    senders: Any = None
    gone: str = ""
    since: float = 0.0
    times: int = 0


class Poller:
    """Polls several nodes.

    Attributes:
        order: the order of senders.
        wake: a descriptor that can be read when there is something new.
    """

    def __init__(
        self,
        targets: Sequence[str],
        token: str | None,
        interval: float,
        order: str,
        where: Condition | None = None,
    ) -> None:
        """Choose the nodes.

        Args:
            targets: the nodes; none for all that are found.
            token: their `--http_token`.
            interval: seconds between two requests.
            order: of senders.
            where: which components and senders of a node are of interest.

        Raises:
            OpenError: a target is malformed.
        """
        self.order = order
        self.wake, self._say = os.pipe()
        os.set_blocking(self._say, False)
        self._interval, self._where = interval, where
        self._ended = threading.Event()
        self._news = threading.Condition()
        self._watches: dict[str, _Watch] = {}
        self._finds = not targets
        self._looked_round = threading.Event()
        self._threads: list[threading.Thread] = []
        self._given = [NodeClient(target, token, timeout=max(2.0, interval)) for target in targets]

    def __enter__(self) -> Self:
        """Begin."""
        for node in self._given:
            self._add(node)
        if self._finds:
            self._start(self._look_round)
        else:
            self._looked_round.set()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop. A thread that waits for a hanging node is abandoned until the process ends."""
        self._ended.set()
        for watch in list(self._watches.values()):
            watch.soon.set()
        deadline = time.monotonic() + _END
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        if not any(thread.is_alive() for thread in self._threads):
            os.close(self.wake)
            os.close(self._say)

    def statuses(self) -> list[NodeStatus]:
        """The current status, in the order of their names."""
        return [watch.status for watch in list(self._watches.values())]

    def all_statuses(self, times: int) -> list[NodeStatus]:
        """The status, once each node has been polled so often."""
        self._looked_round.wait()
        with self._news:
            self._news.wait_for(lambda: all(one.times >= times or one.gone for one in self.statuses()))
        return self.statuses()

    def wait_for_more(self) -> None:
        """Wait for the next answers of all nodes."""
        before = {one.target: one.times for one in self.statuses()}
        with self._news:
            self._news.wait_for(
                lambda: all(one.times > before.get(one.target, 0) for one in self.statuses()),
                timeout=self._interval,
            )
        if not before:
            self._ended.wait(self._interval)

    def reorder(self, order: str) -> None:
        """Request the senders in another order, now."""
        self.order = order
        for watch in list(self._watches.values()):
            watch.soon.set()

    def _add(self, node: NodeClient) -> None:
        watch = _Watch(node)
        self._watches[node.target] = watch
        self._start(lambda: self._ask_again_and_again(watch))

    def _start(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _look_round(self) -> None:
        while True:
            for node in discover(timeout=max(2.0, self._interval)):
                known = self._watches.get(node.target)
                if known is None or known.forgotten:
                    self._add(node)
            self._looked_round.set()
            if self._ended.wait(_LOOK_ROUND):
                return

    def _ask_again_and_again(self, watch: _Watch) -> None:
        while not self._ended.is_set():
            watch.ask(self.order, self._where)
            with self._news:
                self._news.notify_all()
            with contextlib.suppress(BlockingIOError):  # it is signalled already
                os.write(self._say, b".")
            if self._finds and watch.status.gone and time.time() - watch.status.since > _FORGOTTEN:
                watch.forgotten = True
                del self._watches[watch.status.target]
                return
            watch.soon.wait(self._interval)
            watch.soon.clear()


class _Watch:
    """One node, and its last answer."""

    def __init__(self, node: NodeClient) -> None:
        self.status = NodeStatus(node.target)
        self.soon = threading.Event()
        self.forgotten = False
        self._node = node

    def ask(self, order: str, where: Condition | None) -> None:
        """Poll it."""
        before = self.status
        try:
            state = self._node.get("/state")
            senders = None
            if state["senders"] is not None:
                senders = self._node.get("/senders", sort=order, limit=_CHOSEN_FROM if where else _SENDERS)
            if where:
                state["components"] = [one for one in state["components"] if where.holds(_with_sums(one))]
            if where and senders:
                senders["senders"] = [one for one in senders["senders"] if where.holds(one)][:_SENDERS]
        except OpenError as error:
            self._lose(str(error).removeprefix(f"{before.target}: "))
        except Exception as error:  # noqa: BLE001 - one node's fault must neither end this thread nor hold up the others
            self._lose(f"{type(error).__name__}: {error}")
        else:
            self.status = NodeStatus(before.target, state, senders, "", time.time(), before.times + 1)

    def _lose(self, why: str) -> None:
        self.status = replace(self.status, gone=why, times=self.status.times + 1)


def _with_sums(component: dict[str, Any]) -> dict[str, Any]:
    """A component's state as a condition sees it: what it dropped, and all that it lost, as numbers."""
    dropped = sum(component["dropped"].values())
    return {**component, "dropped": dropped, "lost": dropped + component["failed"]}
