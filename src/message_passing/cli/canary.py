"""The last steps of `message-passing doctor`: whether the receiving node saw the canary, and what it has lost."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Self

from message_passing.console.client import discover
from message_passing.errors import OpenError
from message_passing.escaping import one_line
from message_passing.metrics import lost_words
from message_passing.network.diagnosis import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from message_passing.console.client import NodeClient
    from message_passing.console.stream import Stream

_EVERYWHERE = ("*", "0.0.0.0", "[::]", "::")  # noqa: S104 - compared with, not bound

_BEGUN_WITHIN = 3.0
"""Seconds within which a node sends its first line: it sends one every second."""

_LONGEST_TITLE, _MOST_REASONS = 500, 8
"""The most characters of a node's texts, and the most reasons for its losses, that are shown."""

_COUNTED_WITHIN, _POLL_INTERVAL = 2.0, 0.1
"""Seconds within which a node updates its counters, and between two polls."""


def _takes(component: Any, endpoint: str, kind: str = "input") -> bool:
    """Whether this is the input or output of a node on this machine that is bound at `endpoint`."""
    if component["kind"] != kind:
        return False
    if kind == "output" and endpoint in component["endpoints"]:
        return True
    host, _, port = endpoint.rpartition(":")
    for bound in component["endpoints"]:
        bound_host, _, bound_port = bound.rpartition(":")
        if bound_port == port and (bound_host == host or bound_host.removeprefix("tcp://") in _EVERYWHERE):
            return True
    return False


def _bound_at(endpoint: str, kind: str, timeout: float) -> tuple[NodeClient, Any, Any] | None:
    """The node on this machine that has a component of this kind bound there, its state, and that component's."""
    for node in discover(timeout=timeout):
        try:
            state = node.get("/state")
        except OpenError:
            continue
        for component in state["components"]:
            if _takes(component, endpoint, kind):
                return node, state, component
    return None


def sender_at(endpoint: str, timeout: float) -> tuple[Any, Any] | None:
    """The state of the node on this machine that sends there, and that of its output; None if none is known."""
    found = _bound_at(endpoint, "output", timeout)
    return found[1:] if found else None


def losses_of(state: Any, output: Any) -> Step:
    """What a sending node's output has lost, by its own count, and what its senders have lost on their way to it."""
    title, label = (one_line(text, _LONGEST_TITLE) for text in (state["title"], output["label"]))
    who = f"{title}, process {state['pid']}: its {label}"
    reasons = {**output["dropped"], "failed": output["failed"]}
    total, why = lost_words(reasons, output.get("possibly_lost", {}))
    problems = [one_line(str(text), _LONGEST_TITLE) for text in output.get("problems", ())]
    if not total and not problems:
        return Step("losses", f"{who} has sent {output['passed']}, and lost none")
    text = f"{who} has sent {output['passed']}, and lost {total or 'none'}" + (f": {why}" if why else "")
    advice = problems[0] if problems else f"see `message-passing top {state['pid']}`, while it is running"
    return Step("losses", one_line(text, _LONGEST_TITLE), advice)


class CanaryTracker:
    """Tracks a canary message at a node's input and output."""

    def __init__(self, node: NodeClient, state: Any, source: Any) -> None:
        """Record the state beforehand.

        Args:
            node: the node.
            state: its state now.
            source: the component that is bound at the endpoint.
        """
        self._node = node
        self._source = source
        self._before = state
        self._came = False
        self._streams: dict[str, Stream] = {}
        self._seen: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []

    @classmethod
    def of(cls, node: NodeClient, endpoint: str) -> Self:
        """A tracker for a node that is said to listen at an endpoint.

        Raises:
            OpenError: it does not answer, or has no such input.
        """
        state = node.get("/state")
        inputs = [one for one in state["components"] if one["kind"] == "input" and one["endpoints"]]
        # It may be known there by another address, so its only input with an endpoint is taken for it.
        fitting = [one for one in inputs if _takes(one, endpoint)] or (inputs if len(inputs) == 1 else [])
        if not fitting:
            has = ", ".join(where for one in inputs for where in one["endpoints"]) or "no ZeroMQ input"
            told = one_line(has, _LONGEST_TITLE)
            raise OpenError(f"the node {node} does not listen at {endpoint}: it has {told}")
        return cls(node, state, fitting[0])

    @classmethod
    def found(cls, endpoint: str, timeout: float) -> Self | None:
        """A tracker for the node on this machine that listens at an endpoint; None if none is known.

        Args:
            endpoint: where it listens.
            timeout: seconds that a node may take to answer: one that has just started still has to import its
                console.
        """
        found = _bound_at(endpoint, "input", timeout)
        return cls(*found) if found else None

    def watch(self, name: str) -> None:
        """Start to watch for a message with this text, after the input and at the first output."""
        watching = []
        for place in ("", self._source["id"]):
            begun, seen = threading.Event(), threading.Event()
            self._seen[place] = seen
            try:
                stream = self._node.stream("/tail", search=name, at=place or None)
            except OpenError:  # it has ceased to answer: nothing is seen there
                continue
            self._streams[place] = stream
            watching.append(begun)
            thread = threading.Thread(target=_look_out, args=(stream, begun, seen), daemon=True)
            self._threads.append(thread)
            thread.start()
        for begun in watching:
            begun.wait(_BEGUN_WITHIN)

    def steps(self, timeout: float, *, expected: bool) -> Iterator[Step]:
        """The results.

        Args:
            timeout: how long it may take, in seconds.
            expected: whether a canary was sent.
        """
        title, label = (
            one_line(text, _LONGEST_TITLE) for text in (self._before["title"], self._source["label"])
        )
        yield Step("node", f"{title}, process {self._before['pid']}, listens there as its {label}")
        if expected:
            yield self._arrival(timeout)
        yield self._counted()

    def _arrival(self, timeout: float) -> Step:
        deadline = time.monotonic() + timeout
        through = self._seen[""].wait(max(0, deadline - time.monotonic()))
        came = self._came = self._seen[self._source["id"]].is_set() or through
        self._node.close()
        for stream in self._streams.values():
            stream.interrupt()
        for thread in self._threads:
            thread.join()
        if through:
            return Step("arrival", "the canary has come through the node to its output")
        if came:
            advice = (
                f"see what its filters remove and where messages wait: `message-passing top {self._node}`"
            )
            return Step("arrival", "the canary reached the node, but not its output", advice)
        label = one_line(self._source["label"], 100)
        advice = f"see `message-passing top {self._node}`: it may be overloaded, or {label} full"
        return Step("arrival", f"the canary was not seen in the node within {timeout:g} seconds", advice)

    def _now(self) -> tuple[Any, Any]:
        """The node's state and its input's, once the counters have been updated: they are every second."""
        deadline = time.monotonic() + _COUNTED_WITHIN
        while True:
            state = self._node.get("/state")
            source = next(
                (one for one in state["components"] if one["id"] == self._source["id"]), self._source
            )
            fresh = not self._came or source["received"] > self._source["received"]
            if fresh or time.monotonic() > deadline:
                return state, source
            time.sleep(_POLL_INTERVAL)

    def _counted(self) -> Step:
        state, source = self._now()
        dropped: dict[str, int] = {}
        failed = 0
        for one in state["components"]:
            if not one["errors"]:
                failed += one["failed"]
                for reason, count in one["dropped"].items():
                    dropped[reason] = dropped.get(reason, 0) + count
        reasons = [f"{count} dropped ({one_line(reason, 100)})" for reason, count in sorted(dropped.items())]
        lost = ", ".join(reasons[:_MOST_REASONS])
        if len(reasons) > _MOST_REASONS:
            lost += f" and {len(reasons) - _MOST_REASONS} more reasons"
        parts = [f"it has received {source['received']} in all", lost or "dropped none", f"{failed} failed"]
        if lost_on_the_way := (state["senders"] or {}).get("lost", 0):
            parts.append(f"{lost_on_the_way} did not arrive from their senders")
        if (last := state["errors"]["last"]) is not None:
            found = one_line(f"{last['component']}: {last['error']}", _LONGEST_TITLE)
            parts.append(f"its last error: {found}")
        return Step("counted", "; ".join(parts), self._lost_since(state) if self._came else "")

    def _lost_since(self, state: Any) -> str:
        """What to do if the node has lost messages since the canary was sent: that may be one of them."""
        before = {one["id"]: _lost(one) for one in self._before["components"]}
        since = {one["id"]: _lost(one) - before.get(one["id"], 0) for one in state["components"]}
        found = [f"{one_line(name, 100)} has lost {count}" for name, count in since.items() if count > 0]
        if not found:
            return ""
        told = ", ".join(found[:_MOST_REASONS])
        return f"since the canary was sent, {told}, which it may be one of: see `message-passing top {self._node}`"


def _lost(component: Any) -> int:
    """What a component has lost, by its counters in a state, error chains excepted."""
    return 0 if component["errors"] else sum(component["dropped"].values()) + component["failed"]


def _look_out(stream: Stream, begun: threading.Event, seen: threading.Event) -> None:
    """Wait until it is seen. The first line, whatever it is, shows that the node is watching."""
    with stream:
        try:
            for told in stream:
                begun.set()
                if "message" in told:
                    seen.set()
                    return
        except OpenError:  # it says nothing any more: so it has not seen it
            return
