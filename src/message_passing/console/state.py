"""A node's state as one JSON object: what `GET /state` gives, and what `top` and the page show."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

from message_passing.console.verdict import condition, slowest, verdict
from message_passing.errors import PeerError
from message_passing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.console.topology import ComponentView
    from message_passing.console.watcher import ServerWatcher

_NOTES = 3
"""How many of the last things that were to be said about peers are shown."""


def state(watcher: ServerWatcher, title: str) -> dict[str, Any]:
    """Everything but the single senders, messages and failures.

    Args:
        watcher: who watches the node.
        title: what the command is called.
    """
    shares = watcher.shares()
    last = watcher.reports.last(1)
    found: dict[str, Any] = {
        "title": title,
        "version": __version__,
        "host": socket.gethostname(),
        "pid": watcher.pid,
        "started": watcher.started,
        "time": time.time(),
        "ready": watcher.server.running,
        "stopping": watcher.server.stopping,
        "process": watcher.meter.read(),
        "lag": watcher.lag,
        "shown_at": shown_at.id if (shown_at := watcher.layout.shown_at()) else None,
        "components": [_component(watcher, place, shares) for place in watcher.layout.places],
        "drawings": watcher.layout.drawings,
        "senders": watcher.books.totals(),
        "ledger": str(watcher.server.losses.ledger) if watcher.server.losses.ledger else None,
        "workers": [worker for pool in watcher.layout.pools for worker in pool.described_workers()],
        "console": watcher.log.described(),
        "errors": {"count": watcher.reports.count, "last": last[0] if last else None},
    }
    slow = slowest(found["components"])
    return {**found, "slowest": slow["id"] if slow else None, "verdict": verdict(found)}


def _component(watcher: ServerWatcher, place: ComponentView, shares: Mapping[str, float]) -> dict[str, Any]:
    info = place.component.info()
    step, took = watcher.history.rates(place.id), watcher.history.took
    found = {
        "id": place.id,
        "label": place.component.label,
        "kind": "workers" if place.component in watcher.layout.pools else place.component.kind,
        "errors": place.errors,
        "in_workers": place.in_workers,
        "outputs": place.outputs,
        **watcher.snapshots[place.id],
        "capacity": info.get("capacity"),
        "full": watcher.server.losses.is_full(place.component),
        "disconnected": info.get("disconnected", {}),
        "pauses": info.get("pauses", 0),
        "in_rate": step.received / took,
        "out_rate": step.passed / took,
        "lost_rate": step.lost / took,
        "busy": shares.get(place.id),
        "possibly_lost": dict(place.component.possibly_lost()),
        "endpoints": info.get("endpoints", ()),
        "notes": _notes(watcher, place.component.chain_name),
    }
    return {**found, "condition": condition(found)}


def _notes(watcher: ServerWatcher, name: str) -> list[str]:
    """What was said last about a component's peers: refused keys and the like."""
    prefix = f"{PeerError.__name__}: "
    found: dict[str, None] = {}
    for one in watcher.reports.last():
        if one["component"] == name and one["error"].startswith(prefix):
            found.setdefault(one["error"].removeprefix(prefix))
    return list(found)[:_NOTES]
