"""A node's state as one JSON object: what `GET /state` gives, and what `top` and the page show."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

from message_passing.component import MOST_PROBLEMS
from message_passing.console.headline import chain_totals, headline, recent_peer_error
from message_passing.console.verdict import condition, slowest, verdict
from message_passing.errors import PeerError
from message_passing.metrics import FAILED_REASON
from message_passing.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.console.topology import ComponentView
    from message_passing.console.watcher import ServerWatcher
    from message_passing.metrics import Snapshot
    from message_passing.node_identity import NodeIdentity

_PEER_ERROR = f"{PeerError.__name__}: "
_NOTES = 3
"""How many of the latest notices about peers are shown."""


def state(watcher: ServerWatcher, node: NodeIdentity) -> dict[str, Any]:
    """Everything except individual senders, messages and failures.

    Args:
        watcher: who watches the node.
        node: what it is.
    """
    shares = watcher.shares()
    last = watcher.reports.last(1)
    now, senders = time.time(), watcher.books.totals()
    newest = watcher.ages.newest()
    components = [_component(watcher, place, shares) for place in watcher.layout.places]
    watcher.activity.note_senders(now, senders["lost"] if senders else None)
    lost = watcher.activity.lost(now)
    found: dict[str, Any] = {
        "title": node.title,
        "name": node.display_name,
        "config": node.config_path or None,
        "version": __version__,
        "host": socket.gethostname(),
        "pid": watcher.pid,
        "started": watcher.started,
        "time": now,
        "ready": watcher.server.running,
        "stopping": watcher.server.stopping,
        "process": watcher.meter.read(),
        "loop_delay": watcher.loop_delay,
        "shown_at": shown_at.id if (shown_at := watcher.layout.shown_at()) else None,
        "newest_age": None if newest is None else now - newest,
        "last_message": watcher.activity.last_message,
        "backlog": sum(one["buffered"] for one in components if not one["errors"]),
        "totals": chain_totals(components, senders["lost"] if senders else None),
        "last_minute": {
            "dropped": sum(count for loss, count in lost.items() if loss.reason != FAILED_REASON),
            "failed": sum(count for loss, count in lost.items() if loss.reason == FAILED_REASON),
            "lost_by_senders": watcher.activity.lost_by_senders(now),
            "peer_error": recent_peer_error(watcher.reports.last(), _PEER_ERROR, now),
        },
        "components": components,
        "drawings": watcher.layout.drawings,
        "senders": senders,
        "ledger": str(watcher.server.losses.ledger) if watcher.server.losses.ledger else None,
        "workers": [worker for pool in watcher.layout.pools for worker in pool.described_workers()],
        "console": watcher.log.described(),
        "errors": {"count": watcher.reports.count, "last": last[0] if last else None},
    }
    slow = slowest(found["components"])
    found["headline"] = headline(found, lost, watcher.ages.behind(now))
    return {**found, "slowest": slow["id"] if slow else None, "verdict": verdict(found)}


def _component(watcher: ServerWatcher, place: ComponentView, shares: Mapping[str, float]) -> dict[str, Any]:
    info = place.component.info()
    step, took = watcher.history.rates(place.id), watcher.history.took
    counted, again = watcher.snapshots[place.id], dict(place.component.metrics.coming_again)
    lost = sum(counted["dropped"].values()) + counted["failed"]
    found = {
        "id": place.id,
        "label": place.component.label,
        "kind": "workers" if place.component in watcher.layout.pools else place.component.kind,
        "errors": place.errors,
        "in_workers": place.in_workers,
        "outputs": place.outputs,
        **_counters(counted),
        "coming_again": again,
        "capacity": info.get("capacity"),
        "full": watcher.server.losses.is_full(place.component),
        "disconnected": info.get("disconnected", {}),
        "pauses": info.get("pauses", 0),
        "in_rate": step.received / took,
        "out_rate": step.passed / took,
        "lost_rate": step.lost / took if lost > sum(again.values()) else 0.0,
        "utilization": shares.get(place.id),
        "possibly_lost": dict(place.component.possibly_lost()),
        "endpoints": info.get("endpoints", ()),
        "peers": info.get("peers"),
        "listens": info.get("listens", False),
        "problems": place.component.problems()[:MOST_PROBLEMS],
        "notes": [*place.component.notes()[:MOST_PROBLEMS], *_notes(watcher, place.component.chain_name)],
    }
    if (lag := info.get("lag")) is not None:
        found["lag"] = lag
    if routes := info.get("routes"):
        found["routes"] = routes
    return {**found, "condition": condition(found)}


def _counters(snapshot: Snapshot) -> dict[str, Any]:
    """A component's counters under the names that operators see."""
    return {"buffered" if name == "held" else name: count for name, count in snapshot.items()}


def _notes(watcher: ServerWatcher, name: str) -> list[str]:
    """The latest notices about a component's peers: refused keys and the like."""
    found: dict[str, None] = {}
    for one in watcher.reports.last():
        if one["component"] == name and one["error"].startswith(_PEER_ERROR):
            found.setdefault(one["error"].removeprefix(_PEER_ERROR))
    return list(found)[:_NOTES]
