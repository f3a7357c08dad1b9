"""The counters in Prometheus' text format, with its names and units (prometheus.io/docs/practices/naming)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.errors import needs_extra
from message_passing.version import __version__

with needs_extra("console"):
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from message_passing.console.watcher import ServerWatcher

_COUNTERS = {
    "received": "Messages that were given to the component, or taken from outside by an input.",
    "passed": "Messages that were handed on; of an output, those that left.",
    "filtered": "Messages that a filter was asked to remove.",
    "failed": "Messages that could not be handled.",
}

_SENDERS = {
    "received": "Messages of stamped senders that arrived.",
    "lost": "Messages that senders sent and that have not arrived.",
    "duplicated": "Messages that arrived more than once.",
    "late": "Messages that arrived after a later one.",
    "perhaps_lost": "Messages that are lost, or arrived too late to tell.",
    "ambiguous": "Messages that are duplicates or follow a restart; their senders' losses are an estimate.",
}


class _Collector:
    """Asks a watcher at each scrape."""

    def __init__(self, watcher: ServerWatcher) -> None:
        self._watcher = watcher

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        yield from self._node()
        yield from self._counters()
        yield from self._senders()
        yield from self._console()

    def _node(self) -> Iterator[Metric]:
        watcher = self._watcher
        usage = watcher.meter.read()
        yield InfoMetricFamily(
            "message_passing_build", "The version that runs.", value={"version": __version__}
        )
        # The names that every client library uses for its own process.
        yield CounterMetricFamily(
            "process_cpu_seconds", "Processor time, user and system, in seconds.", value=usage["cpu_seconds"]
        )
        yield GaugeMetricFamily(
            "process_resident_memory_bytes", "Resident memory in bytes.", value=usage["memory"]
        )
        yield GaugeMetricFamily("process_open_fds", "Open file descriptors.", value=usage["descriptors"])
        yield GaugeMetricFamily(
            "process_start_time_seconds", "When the node started, since 1970.", value=watcher.started
        )
        yield GaugeMetricFamily(
            "message_passing_lag_seconds",
            "How long the chain took to answer; +Inf while it does not.",
            value=float("inf") if watcher.lag is None else watcher.lag,
        )
        yield CounterMetricFamily(
            "message_passing_errors", "Failures that were reported.", value=watcher.reports.count
        )

    def _counters(self) -> Iterator[Metric]:
        watcher = self._watcher
        labels = ["component", "kind"]
        families = {
            name: CounterMetricFamily(f"message_passing_messages_{name}", text, labels=labels)
            for name, text in _COUNTERS.items()
        }
        dropped = CounterMetricFamily(
            "message_passing_messages_dropped",
            "Messages that were lost, by reason.",
            labels=[*labels, "reason"],
        )
        possibly = CounterMetricFamily(
            "message_passing_messages_possibly_lost",
            "Messages besides these that may have been lost, at most, by reason.",
            labels=[*labels, "reason"],
        )
        held = GaugeMetricFamily("message_passing_messages_held", "Messages that wait.", labels=labels)
        capacity = GaugeMetricFamily(
            "message_passing_messages_capacity", "Messages that may wait at most.", labels=labels
        )
        full = GaugeMetricFamily(
            "message_passing_messages_full",
            "1 while a queue drops messages for want of room, and for 10 s after; else 0.",
            labels=labels,
        )
        for place in watcher.layout.places:
            values = [place.id, place.component.kind]
            snapshot = watcher.snapshots[place.id]
            for name, family in families.items():
                family.add_metric(values, snapshot[name])  # type: ignore[literal-required] # its counters' names
            for reason, count in snapshot["dropped"].items():
                dropped.add_metric([*values, reason], count)
            for reason, count in place.component.possibly_lost().items():
                possibly.add_metric([*values, reason], count)
            held.add_metric(values, snapshot["held"])
            full.add_metric(values, watcher.server.losses.is_full(place.component))
            if (most := place.component.info().get("capacity")) is not None:
                capacity.add_metric(values, most)
        yield from families.values()
        yield from (dropped, possibly, held, capacity, full)

    def _senders(self) -> Iterator[Metric]:
        if (sums := self._watcher.books.totals()) is None:
            return
        for name, text in _SENDERS.items():
            yield CounterMetricFamily(f"message_passing_senders_{name}", text, value=sums.get(name, 0))
        yield GaugeMetricFamily(
            "message_passing_senders", "Senders whose books are kept.", value=sums["senders"]
        )
        yield GaugeMetricFamily(
            "message_passing_senders_silent", "Senders that have been silent for long.", value=sums["silent"]
        )

    def _console(self) -> Iterator[Metric]:
        log = self._watcher.log
        refused = CounterMetricFamily(
            "message_passing_console_refused",
            "Requests and connections that the console did not serve, by reason.",
            labels=["reason"],
        )
        for reason, count in dict(log.refused).items():
            refused.add_metric([reason], count)
        yield refused
        yield CounterMetricFamily(
            "message_passing_console_missed",
            "Messages that live tails did not show, because they came too fast or were not read.",
            value=log.missed,
        )
        yield GaugeMetricFamily("message_passing_console_watchers", "Live tails.", value=log.watchers)


class Exposition:
    """A node's `/metrics`."""

    def __init__(self, watcher: ServerWatcher) -> None:
        """Prepare it."""
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Collector(watcher))

    def text(self) -> bytes:
        """What a scrape is answered."""
        return generate_latest(self._registry)
