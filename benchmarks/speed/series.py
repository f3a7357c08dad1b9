"""All measurements, each in turns, round by round; the results are plain data for a file of JSON."""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import zmq
from handlers.__main__ import machine
from speed.contenders import CONTENDERS, JSON, LOOP, RAW, READING, C, Contender, ours, several_filters
from speed.hop import hops
from speed.latency import WATCH, latency
from speed.machine import absent, library_version, offers, processor
from speed.measures import Stage, once
from speed.samples import Sample, filtered, log_lines, sized_lines
from speed.slowlog import Tagger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from message_passing import Filter

Rounds = list[dict[str, Any]]
SIZES = [64, 256, 1024, 4096, 16384, 65536, 262_144, 1 << 20]
CONNECTIONS = [1, 10, 100, 1000]
FILTERS = [1, 2, 3, 5, 10]
WORKERS = [1, 2, 3]
RATES = {1: 20.0, 1000: 10.0, 50_000: 10.0}
LEAST_READING = 9
BURNER = ["--filter", "+slowlog:Burner"]


@dataclass
class Plan:
    """What is measured, on one stage.

    Attributes:
        stage: where.
        count: lines of the throughput's fast contenders.
        rounds: of the throughput; the series over sizes and the like have at most three.
        quick: everything once and short.
    """

    stage: Stage
    count: int
    rounds: int
    quick: bool = False
    samples: dict[tuple[str, int], Sample] = field(default_factory=dict)

    def hop(self) -> dict[str, Any]:
        """Acknowledged hops, and the spool."""
        return hops(self.stage, self.lines(self.count), self.rounds, quick=self.quick)

    def run(self) -> dict[str, Any]:
        """Measure everything."""
        results: dict[str, Any] = {"about": self._about(), "absent": absent()}
        steps: list[tuple[str, Callable[[], Any]]] = [
            ("throughput", lambda: self.throughput(results["absent"])),
            ("reading", self.reading),
            ("sizes", self.sizes),
            ("connections", self.connections),
            ("filters", self.filters),
            ("latency", self.latency),
            ("hop", self.hop),
            ("workers", self.workers),
        ]
        for name, step in steps:
            began = time.monotonic()
            results[name] = step()
            print(f"{name} done in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        results["about"]["load after"] = round(os.getloadavg()[0], 2)
        return results

    def _about(self) -> dict[str, Any]:
        return {
            "machine": machine(),
            "processor": processor(),
            "kernel": platform.release(),
            "libzmq": library_version(),
            "libzmq of pyzmq": zmq.zmq_version(),
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "count": self.count,
            "rounds": self.rounds,
            "quick": self.quick,
            "line": round(self.lines(self.count).size / self.count - 1),
            "load before": round(os.getloadavg()[0], 2),
        }

    def lines(self, count: int) -> Sample:
        """The first log lines, so many of them."""
        if ("lines", 0) not in self.samples:
            self.samples["lines", 0] = log_lines(self.stage.folder, self.count)
        return self._kept("lines", count, lambda: self.samples["lines", 0].head(count))

    def filtered(self, count: int, one: Filter) -> Sample:
        """What a filter makes of them."""
        name = type(one).__name__
        return self._kept(name, count, lambda: filtered(self.lines(count), one.filter, name))

    def _kept(self, name: str, count: int, make: Callable[[], Sample]) -> Sample:
        if (name, count) not in self.samples:
            self.samples[name, count] = make()
        return self.samples[name, count]

    def _one(self, contender: Contender, most: int) -> dict[str, Any]:
        count = min(contender.count // 50 if self.quick else contender.count, most)
        sent = self.lines(count)
        expected = self.filtered(count, contender.applied) if contender.applied else sent
        found = once(
            self.stage, contender.command, sent, expected, compared=contender.compared, frame=contender.frame
        )
        return {**found, "count": count}

    def throughput(self, left_out: Iterable[str]) -> dict[str, Rounds]:
        """Every contender; the first round warms the machine up and is thrown away."""
        return self._turns(
            {name: one for name, one in CONTENDERS.items() if name not in left_out}, self.rounds
        )

    def reading(self) -> dict[str, Any]:
        """Filters that read few fields, beside those that need whole messages, in nine rounds at least."""
        rounds = self.rounds if self.quick else max(self.rounds, LEAST_READING)
        load = os.getloadavg()[0]
        return {
            "throughput": self._turns(READING, rounds),
            "about": {
                "date": time.strftime("%Y-%m-%d", time.gmtime()),
                "count": self.count,
                "rounds": rounds,
                "load before": round(load, 2),
                "load after": round(os.getloadavg()[0], 2),
            },
        }

    def _turns(self, contenders: dict[str, Contender], rounds: int) -> dict[str, Rounds]:
        results: dict[str, Rounds] = {name: [] for name in contenders}
        for number in range(0 if self.quick else -1, rounds):
            for name, contender in contenders.items():
                found = self._one(contender, self.count)
                if number >= 0:
                    results[name].append(found)
        return results

    def _series(
        self, cases: dict[str, dict[str, Callable[[], dict[str, Any]]]]
    ) -> dict[str, dict[str, Rounds]]:
        results: dict[str, dict[str, Rounds]] = {
            name: {at: [] for at in some} for name, some in cases.items()
        }
        for _ in range(min(self.rounds, 3)):
            for name, some in cases.items():
                for at, measure in some.items():
                    results[name][at].append(measure())
        return results

    def sizes(self) -> dict[str, dict[str, Rounds]]:
        """Throughput by the size of a message, for as many bytes each."""
        volume = self.count * 256
        cases: dict[str, dict[str, Callable[[], dict[str, Any]]]] = {C: {}, LOOP: {}, RAW: {}, JSON: {}}
        for size in SIZES:
            count = max(1, min(self.count, volume // size))
            sample = sized_lines(self.stage.folder, size, count)
            for name, some in cases.items():
                some[str(size)] = partial(once, self.stage, CONTENDERS[name].command, sample, sample)
        return self._series(cases)

    def connections(self) -> dict[str, dict[str, Rounds]]:
        """Throughput by the number of sockets that send."""
        sample = self.lines(self.count)
        return self._series(
            {
                name: {
                    str(number): partial(
                        once,
                        self.stage,
                        CONTENDERS[name].command,
                        sample,
                        sample,
                        compared="lines",
                        connections=number,
                    )
                    for number in CONNECTIONS
                }
                for name in (C, LOOP, JSON)
            }
        )

    def filters(self) -> dict[str, dict[str, Rounds]]:
        """Throughput by the number of a user's filters in the chain."""
        count = max(self.count // 4, 1)
        sent, expected = self.lines(count), self.filtered(count, Tagger())
        name = "ours, JSON, so many of a user's filters"
        return self._series(
            {
                name: {
                    str(number): partial(once, self.stage, partial(several_filters, number), sent, expected)
                    for number in FILTERS
                }
            }
        )

    def workers(self) -> dict[str, dict[str, Rounds]]:
        """Throughput by the number of workers, with a filter that works for 50 microseconds a message."""
        if not offers("--workers"):
            return {}
        sample = self.lines(max(self.count // 20, 1))
        words = {n: [*BURNER, *(["--workers", str(n)] if n > 1 else [])] for n in WORKERS}
        cases: dict[str, Callable[[], dict[str, Any]]] = {
            str(n): partial(once, self.stage, ours(*words[n]), sample, sample, compared="lines")
            for n in WORKERS
        }
        return self._series({"ours, JSON, a filter of 50 µs": cases})

    def latency(self) -> dict[str, dict[str, dict[str, Any]]]:
        """From sending to the file, by rate, once."""
        commands = {
            WATCH: None,
            **{name: CONTENDERS[name].command for name in (C, LOOP, JSON)},
        }
        results: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in commands}
        for rate, seconds in RATES.items():
            for name, command in commands.items():
                for_so_long = 1.0 if self.quick else seconds
                results[name][str(rate)] = latency(
                    self.stage, command, self.lines(self.count), rate, for_so_long
                )
        return results
