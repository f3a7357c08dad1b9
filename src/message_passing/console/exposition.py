"""The counters in Prometheus' text format, with its names and units (prometheus.io/docs/practices/naming)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.errors import needs_extra
from message_passing.version import __version__

with needs_extra("console"):
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        InfoMetricFamily,
    )

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric

    from message_passing.console.watcher import ServerWatcher

_COUNTERS = {
    "received": "Messages that the component received; of an input, from outside.",
    "passed": "Messages passed on to the next component; of an output, those that were sent or written.",
    "filtered": "Messages that a filter removed on purpose.",
    "failed": "Messages that could not be handled.",
}

_OF_PEERS = {
    "received_bytes": ("message_passing_received_bytes", "Bytes of the messages that were received."),
    "sent_bytes": ("message_passing_sent_bytes", "Bytes of the messages that were handed to the network."),
    "pauses": ("message_passing_pauses", "Times that all senders were paused, because too much was waiting."),
}
"""Counters that components with a socket have, by their name in `Component.info`."""

_OF_STORES = {
    "spooled": (
        "message_passing_spool_messages",
        "Messages in a spool that no receiver has acknowledged yet.",
    ),
    "spooled_bytes": ("message_passing_spool_bytes", "Bytes of the messages in a spool."),
    "lag": (
        "message_passing_lag_messages",
        "Messages of a stream that its consumer has not acknowledged, a frame being one.",
    ),
}
"""Gauges that outputs with a spool, and inputs that read a stream, have, by their name in `Component.info`."""

_SENDERS = {
    "received": "Messages that arrived from senders that stamp theirs.",
    "duplicated": "Messages that arrived more than once.",
    "late": "Messages that arrived after a later one.",
    "perhaps_lost": "Messages that were lost, or arrived too late to be counted.",
    "ambiguous": "Messages that are duplicates or follow a restart; their senders' losses are an estimate.",
}


class Exposition:
    """A node's `/metrics`: asks its watcher at each scrape."""

    def __init__(self, watcher: ServerWatcher) -> None:
        """Prepare it."""
        self._watcher = watcher
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self, encode: Callable[[CollectorRegistry], bytes]) -> bytes:
        """What a scrape is answered.

        Args:
            encode: in which format: one of prometheus_client's `generate_latest`.
        """
        return encode(self._registry)

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        yield from self._node()
        yield from self._times()
        yield from self._counters()
        yield from self._peers()
        yield from self._routes()
        yield from self._aggregates()
        yield from self._shares()
        yield from self._workers()
        yield from self._senders()
        yield from self._console()

    def _node(self) -> Iterator[Metric]:
        watcher = self._watcher
        usage = watcher.meter.read()
        yield InfoMetricFamily(
            "message_passing_build", "The version that is running.", value={"version": __version__}
        )
        # The names that every client library uses for its own process.
        yield CounterMetricFamily(
            "process_cpu_seconds", "CPU time, user and system, in seconds.", value=usage["cpu_seconds"]
        )
        yield GaugeMetricFamily(
            "process_resident_memory_bytes", "Resident memory in bytes.", value=usage["memory"]
        )
        yield GaugeMetricFamily("process_open_fds", "Open file descriptors.", value=usage["descriptors"])
        yield GaugeMetricFamily(
            "process_start_time_seconds", "When the node started, since 1970.", value=watcher.started
        )
        yield GaugeMetricFamily(
            "message_passing_loop_delay_seconds",
            "How long the event loop took to respond; +Inf while it does not.",
            value=float("inf") if watcher.loop_delay is None else watcher.loop_delay,
        )
        running = watcher.server.running and not watcher.server.stopping
        yield GaugeMetricFamily("message_passing_ready", "1 while the chain runs; else 0.", value=running)
        yield CounterMetricFamily(
            "message_passing_errors", "Errors that were reported.", value=watcher.reports.count
        )

    def _times(self) -> Iterator[Metric]:
        watcher = self._watcher
        if (last := watcher.activity.last_message) is not None:
            yield GaugeMetricFamily(
                "message_passing_last_message_timestamp_seconds",
                "When an input last received a message, since 1970, to a second.",
                value=last,
            )
        if (newest := watcher.ages.newest()) is not None:
            yield GaugeMetricFamily(
                "message_passing_newest_message_timestamp_seconds",
                "The newest message's own time, since 1970, sampled from one message per input and second.",
                value=newest,
            )
        yield HistogramMetricFamily(
            "message_passing_delivery_latency_seconds",
            "From a message's own time until it arrived: one message per input and second; 0 if its clock is ahead.",
            buckets=watcher.ages.cumulative(),
            sum_value=watcher.ages.total,
        )

    def _peers(self) -> Iterator[Metric]:
        """What components with a socket tell of it."""
        labels = ["component", "kind"]
        peers = GaugeMetricFamily(
            "message_passing_peers",
            "Peers that are connected and have completed the handshake.",
            labels=labels,
        )
        refused = CounterMetricFamily(
            "message_passing_peers_refused",
            "Handshakes that failed, refused by either side, by reason.",
            labels=[*labels, "reason"],
        )
        disconnected = CounterMetricFamily(
            "message_passing_peers_disconnected",
            "Peers that were disconnected because of what they sent, by reason.",
            labels=[*labels, "reason"],
        )
        problems = GaugeMetricFamily(
            "message_passing_problems",
            "How many problems keep a component from working.",
            labels=labels,
        )
        counters = {
            key: CounterMetricFamily(name, text, labels=labels) for key, (name, text) in _OF_PEERS.items()
        }
        stores = {
            key: GaugeMetricFamily(name, text, labels=labels) for key, (name, text) in _OF_STORES.items()
        }
        for place in self._watcher.layout.places:
            values, info = [place.id, place.component.kind], place.component.info()
            problems.add_metric(values, len(place.component.problems()))
            if "peers" in info:
                peers.add_metric(values, info["peers"])
            for key, family in counters.items():
                if key in info:
                    family.add_metric(values, info[key])
            for key, gauge in stores.items():
                if info.get(key) is not None:
                    gauge.add_metric(values, info[key])
            for family, name in ((refused, "refused"), (disconnected, "disconnected")):
                for reason, count in info.get(name, {}).items():
                    family.add_metric([*values, reason], count)
        yield from (peers, refused, disconnected, problems, *counters.values())
        yield from (family for family in stores.values() if family.samples)  # absent where there is none

    def _routes(self) -> Iterator[Metric]:
        text = "Messages by the route that they took; of those that took none, `to` is empty."
        labels = ["component", "kind", "route", "to"]
        routed = CounterMetricFamily("message_passing_messages_routed", text, labels=labels)
        for place in self._watcher.layout.places:
            for number, one in enumerate(place.component.info().get("routes", ()), 1):
                way = [str(number) if one["when"] else "else", ", ".join(one["to"])]
                routed.add_metric([place.id, place.component.kind, *way], one["matched"])
        yield from [routed] * bool(routed.samples)

    def _aggregates(self) -> Iterator[Metric]:
        """What filters have counted in the last window."""
        family = GaugeMetricFamily(
            "message_passing_aggregate",
            "What the filter Aggregate has counted in its last window, by key and field.",
            labels=["component", "key", "field"],
        )
        for place in self._watcher.layout.places:
            for key, values in place.component.info().get("aggregates", ()):
                for name, value in values.items():
                    family.add_metric([place.id, key, name], value)
        if family.samples:
            yield family

    def _shares(self) -> Iterator[Metric]:
        shares = GaugeMetricFamily(
            "message_passing_utilization_ratio",
            "A component's share of the chain's time, or of the workers'; only while it is sampled.",
            labels=["component", "kind"],
        )
        kinds = {place.id: place.component.kind for place in self._watcher.layout.places}
        for name, share in self._watcher.shares().items():
            shares.add_metric([name, kinds[name]], share)
        yield shares
        yield GaugeMetricFamily(
            "message_passing_chain_utilization_ratio",
            "The share of one core that the chain's thread uses, or would use if it had the core to itself.",
            value=self._watcher.chain_utilization,
        )

    def _workers(self) -> Iterator[Metric]:
        workers = [one for pool in self._watcher.layout.pools for one in pool.described_workers()]
        if workers:
            yield GaugeMetricFamily("message_passing_workers", "Workers.", value=len(workers))
            ready = sum(bool(one["ready"]) for one in workers)
            yield GaugeMetricFamily("message_passing_workers_ready", "Workers that are ready.", value=ready)

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
        possibly = GaugeMetricFamily(
            "message_passing_messages_possibly_lost",
            "Further messages that may have been lost, at most, by reason.",
            labels=[*labels, "reason"],
        )
        buffered = GaugeMetricFamily(
            "message_passing_messages_buffered", "Messages that are buffered.", labels=labels
        )
        capacity = GaugeMetricFamily(
            "message_passing_messages_capacity", "Messages that may be buffered at most.", labels=labels
        )
        full = GaugeMetricFamily(
            "message_passing_messages_full",
            "1 while a queue drops messages because it is full, and for 10 s after; else 0.",
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
            buffered.add_metric(values, snapshot["held"])
            full.add_metric(values, watcher.server.losses.is_full(place.component))
            if (most := place.component.info().get("capacity")) is not None:
                capacity.add_metric(values, most)
        yield from families.values()
        yield from (dropped, possibly, buffered, capacity, full)

    def _senders(self) -> Iterator[Metric]:
        if (sums := self._watcher.books.totals()) is None:
            return
        for name, text in _SENDERS.items():
            yield CounterMetricFamily(f"message_passing_senders_{name}", text, value=sums.get(name, 0))
        # What comes late after all is lost no more, so this may fall, which no counter may.
        yield GaugeMetricFamily(
            "message_passing_senders_lost",
            "Messages that senders sent and that have not arrived.",
            value=sums["lost"],
        )
        yield GaugeMetricFamily("message_passing_senders", "Known senders.", value=sums["senders"])
        yield GaugeMetricFamily(
            "message_passing_senders_idle", "Senders that have been idle for a long time.", value=sums["idle"]
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
            "Messages that live tails did not show, because they arrived too fast or were not read.",
            value=log.missed,
        )
        yield GaugeMetricFamily("message_passing_console_watchers", "Live tails.", value=log.watchers)
