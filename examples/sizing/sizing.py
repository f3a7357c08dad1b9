"""How many nodes, links and disks a design takes, and what it is expected to lose.

    python sizing.py senders=1000 rate=10 size=250 design=lossy
    python sizing.py plan.json node_rate=300000

A plan is a flat JSON object of assumptions, or words `name=value`, or both; `python sizing.py --help` lists them all.
The same plan gives the same answer: what is random comes from `seed`.

The model, and what it leaves out, is in README.md. It has two parts. `levels` is arithmetic: a tree of nodes, each
of which takes as much as `headroom` allows at the peak. `simulate` follows the queues of a node's senders through
outages and peaks, as fluids: between two events every rate is constant, so the result is exact for the model, without
time steps.
"""

from __future__ import annotations

import difflib
import heapq
import json
import math
import random
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DAY = 86_400.0
YEAR = 365 * DAY

Count = Annotated[int, msgspec.Meta(ge=1, le=10**12)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e18)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e18)]
MOST_EVENTS = 1_000_000
"""More outages and peaks than these are not simulated: a minute's work."""


class Plan(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is known, or assumed. The defaults of the nodes' figures are to be replaced by your own measurements."""

    senders: Count = 1000
    """Processes that send."""
    rate: Positive = 10.0
    """Messages a second of each, on average outside the peaks."""
    size: Positive = 250.0
    """Bytes of a message."""
    peak: Annotated[float, msgspec.Meta(ge=1, le=1e6)] = 5.0
    """Times the average rate, in a peak of all senders at once."""
    peak_seconds: Amount = 60.0
    """Length of a peak."""
    peaks_per_day: Amount = 4.0
    """How often, on average."""

    design: Literal["lossy", "at_least_once"] = "lossy"
    """Whether a message that finds no room is dropped, or waits in a spool on disk and is acknowledged."""
    queue: Count = 1000
    """What a sender keeps in memory, `socket_hwm`: messages, or frames between nodes."""
    spool_bytes: Positive = 1e9
    """Bytes on disk in which a sender keeps what is not acknowledged: `spool_bytes` (at_least_once)."""
    window: Count = 64
    """Frames that a sender sends before the first of them is acknowledged: `window` (at_least_once)."""
    transit: Amount = 0.01
    """Seconds' worth of messages that are on their way when a node dies: lost in a lossy design."""

    node_rate: Positive = 400_000.0
    """Single messages a second that a node's chain handles."""
    frame_rate: Positive = 500_000.0
    """Messages a second that a node handles if they arrive in frames: between nodes, and acknowledged ones."""
    frame_bytes: Positive = 65_536.0
    """Bytes of a frame."""
    node_bytes: Positive = 100e6
    """Bytes a second that a node's network and disk handle, in one direction."""
    connections: Count = 1000
    """Senders of a node at most."""
    headroom: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    """Share of a node's capacity that the peak may use."""
    node_memory: Amount = 40e6
    """Bytes of memory of a node without senders."""
    connection_memory: Amount = 35_000.0
    """Bytes of memory for each connection, apart from queued messages."""

    failures: Amount = 12.0
    """Outages of a node in a year, restarts included."""
    outage: Amount = 30.0
    """Seconds from a node's end to its successor, on average (exponentially distributed)."""
    disk_failures: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.02
    """Share of the disks that fails in a year."""
    repair_days: Amount = 1.0
    """Days until a failed disk's copies exist again."""

    days: Amount = 30.0
    """Days that messages are kept."""
    replicas: Count = 1
    """Copies of each."""
    compression: Annotated[float, msgspec.Meta(ge=1)] = 1.0
    """Times smaller on disk."""

    simulated_days: Annotated[float, msgspec.Meta(gt=0, le=36_500)] = 3650.0
    """Days of a node's life that are simulated: many outages, so that their average means something."""
    seed: int = 1
    """Another one gives other random peaks and outages."""


@dataclass(frozen=True, slots=True)
class Level:
    """One row of the tree: nodes that have the same distance to the senders.

    Attributes:
        nodes: how many.
        children: senders of each: processes, or nodes of the level before.
        rate: messages a second of each child, outside peaks.
        capacity: messages a second that each node handles.
        queue: messages that each child keeps while the node is away.
        limit: what made it this many nodes: "senders", "messages" or "bytes".
    """

    nodes: int
    children: float
    rate: float
    capacity: float
    queue: float
    limit: str

    @property
    def links(self) -> int:
        """Connections to this level: one for each child."""
        return round(self.nodes * self.children)


@dataclass(frozen=True, slots=True)
class Flow:
    """What became of the messages of one sender, or of many that behave alike.

    Attributes:
        offered: messages.
        lost: of these, for want of room, or in transit when a node died.
        backlog: messages that waited at once, at most.
    """

    offered: float
    lost: float
    backlog: float

    @property
    def share(self) -> float:
        """Lost messages as a share of those offered."""
        return self.lost / self.offered if self.offered else 0.0


def levels(plan: Plan) -> list[Level]:
    """The tree, from the senders' first nodes to those that store.

    A level above another needs no more nodes than its traffic takes. A tree brings connections together, but each of
    its levels handles all messages: it ends where the traffic, not the connections, decides how many nodes there are.
    These are then partitions, by sender.
    """
    total = plan.senders * plan.rate
    children: float = plan.senders
    capacity, queue = plan.node_rate, float(plan.queue)
    if plan.design == "at_least_once":
        capacity, queue = plan.frame_rate, plan.spool_bytes / plan.size
    found: list[Level] = []
    while True:
        needs = {
            "senders": children / plan.connections,
            "messages": total * plan.peak / (capacity * plan.headroom),
            "bytes": total * plan.peak * plan.size / (plan.node_bytes * plan.headroom),
        }
        limit = max(needs, key=lambda name: needs[name])
        nodes = max(1, math.ceil(needs[limit] - 1e-9))
        if found and nodes >= found[-1].nodes:
            return found
        found.append(Level(nodes, children / nodes, total / children, capacity, queue, limit))
        if nodes == 1:
            return found
        children = nodes
        capacity = plan.frame_rate
        if plan.design == "lossy":
            queue = plan.queue * max(1.0, plan.frame_bytes / plan.size)


def simulate(
    rate: float,
    capacity: float,
    queue: float,
    seconds: float,
    *,
    peaks: Iterable[tuple[float, float, float]] = (),
    outages: Iterable[tuple[float, float]] = (),
    transit: float = 0.0,
) -> Flow:
    """Follow the queue of one sender of a node.

    Args:
        rate: messages a second that it offers.
        capacity: messages a second that the node takes from it.
        queue: messages that wait at most.
        seconds: how long.
        peaks: (begin, end, factor) in seconds: what the rate is multiplied by.
        outages: (begin, end) in seconds: when the node takes nothing.
        transit: messages that are lost when an outage begins.
    """
    changes: list[tuple[float, float, int, float]] = []
    for begin, end, factor in peaks:
        changes += [(begin, factor, 0, 0.0), (end, 1 / factor, 0, 0.0)]
    for begin, end in outages:
        changes += [(begin, 1.0, 1, transit), (end, 1.0, -1, 0.0)]
    heapq.heapify(changes)
    now = offered = lost = backlog = highest = 0.0
    factor, down = 1.0, 0
    while now < seconds:
        until = min(changes[0][0], seconds) if changes else seconds
        gained = (rate * factor - (0.0 if down else capacity)) * (until - now)
        offered += rate * factor * (until - now)
        lost += max(0.0, backlog + gained - queue)
        backlog = min(queue, max(0.0, backlog + gained))
        highest = max(highest, backlog)
        now = until
        while changes and changes[0][0] <= now:
            _, times, downs, in_transit = heapq.heappop(changes)
            factor *= times
            if not down and downs > 0:
                lost += in_transit
            down += downs
    return Flow(offered, min(lost, offered), highest)


def expected(plan: Plan, level: Level) -> Flow:
    """What one child of a level loses, by simulated peaks and outages.

    Raises:
        SystemExit: there are more of these than can be simulated.
    """
    seconds = plan.simulated_days * DAY
    if (plan.failures / 365 + plan.peaks_per_day) * plan.simulated_days > MOST_EVENTS:
        _fail(f"more than {MOST_EVENTS:,} outages and peaks: choose fewer simulated_days")
    chance = random.Random(plan.seed)  # noqa: S311 - nothing here is secret
    share = 1 / max(1.0, level.children)
    return simulate(
        level.rate,
        level.capacity * share,
        level.queue,
        seconds,
        peaks=list(_peaks(plan, seconds, chance)),
        outages=list(_outages(plan, seconds, chance)),
        transit=plan.transit * level.rate if plan.design == "lossy" else 0.0,
    )


def _peaks(plan: Plan, seconds: float, chance: random.Random) -> Iterator[tuple[float, float, float]]:
    """Peaks at random times, none of which begins before the last has ended."""
    now = 0.0
    while plan.peaks_per_day and plan.peak > 1:
        now += chance.expovariate(plan.peaks_per_day / DAY)
        if now >= seconds:
            return
        yield now, now + plan.peak_seconds, plan.peak
        now += plan.peak_seconds


def _outages(plan: Plan, seconds: float, chance: random.Random) -> Iterator[tuple[float, float]]:
    """Outages at random times and of random lengths, one after another."""
    now = 0.0
    while plan.failures and plan.outage:
        now += chance.expovariate(plan.failures / YEAR)
        if now >= seconds:
            return
        end = now + chance.expovariate(1 / plan.outage)
        yield now, end
        now = end


def stored_share_lost(plan: Plan) -> float:
    """Share of stored messages that a year of disk failures takes: all copies fail within one repair."""
    return plan.disk_failures * (plan.disk_failures * plan.repair_days / 365) ** (plan.replicas - 1)


def report(plan: Plan) -> Iterator[str]:
    """The answer, line by line."""
    tree = levels(plan)
    total = plan.senders * plan.rate
    daily = (total * DAY + total * (plan.peak - 1) * plan.peaks_per_day * plan.peak_seconds) * plan.size
    yield (
        f"{plan.senders:,} senders, {total:,.0f} messages/s, {units(total * plan.size)}/s;"
        f" in peaks {total * plan.peak:,.0f} messages/s, {units(total * plan.peak * plan.size)}/s"
    )
    lost = 0.0
    for number, level in enumerate(tree, start=1):
        flow = expected(plan, level)
        lost += flow.share
        through = total * plan.peak * plan.size / level.nodes
        memory = plan.node_memory + level.children * plan.connection_memory
        waiting = level.children * _window(plan, number == 1)
        yield (
            f"level {number}: {counted(level.nodes, 'node')}, because of {level.limit};"
            f" {counted(level.links, 'link')}, {math.ceil(level.children):,} to a node"
        )
        yield (
            f"  a node in a peak: {units(through)}/s in; memory {units(memory)}, and up to {units(waiting)} more"
            " if its chain stands still"
        )
        yield (
            f"  a sender to it keeps up to {units(flow.backlog * plan.size)}, has room for"
            f" {seconds_text(level.queue / level.rate)}, and loses {flow.share:.2g} of its messages"
        )
    yield f"links: {sum(level.links for level in tree):,}"
    disk = daily * plan.days * plan.replicas / plan.compression
    yield (
        f"disk: {units(daily)} a day; {units(disk)} for {plan.days:g} days in"
        f" {counted(plan.replicas, 'copy', 'copies')}, {units(disk / tree[-1].nodes)} on each storing node"
    )
    yield f"expected loss on the way: {lost:.2g} of all messages ({lost * total * DAY:,.1f} a day)"
    yield f"expected loss of what is stored: {stored_share_lost(plan):.2g} a year"


def _window(plan: Plan, from_processes: bool) -> float:
    """Bytes that a node holds for each of its senders if its chain stands still."""
    if plan.design == "at_least_once":
        return plan.window * plan.frame_bytes
    return plan.queue * (plan.size if from_processes else plan.frame_bytes)


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def units(amount: float) -> str:
    """Bytes, as people read them."""
    power = min(6, int(math.log10(amount) / 3)) if amount >= 1 else 0
    return f"{amount / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB')[power]}"


def seconds_text(seconds: float) -> str:
    """Seconds, minutes, hours or days."""
    for unit, size in (("d", DAY), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def read_plan(words: list[str]) -> Plan:
    """A plan from files and `name=value` words; later ones replace earlier ones.

    Raises:
        SystemExit: with a sentence, and status 2.
    """
    given: dict[str, object] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.removeprefix("--").partition("=")
        if word.startswith("--"):  # --rate 10k is written, too
            name = name.replace("-", "_")
            value = value if equals else next(rest, "")
        elif not equals:
            given.update(_from_file(word))
            continue
        given[name] = value
    for name in given:
        if name not in Plan.__struct_fields__:
            near = difflib.get_close_matches(name, Plan.__struct_fields__, 1)
            _fail(f"{name}: there is no such assumption" + (f"; did you mean {near[0]}?" if near else ""))
    for name, found in given.items():
        if isinstance(found, str) and name != "design":
            given[name] = amount(name, found)
    try:
        return msgspec.convert(given, Plan)
    except msgspec.ValidationError as error:
        what, _, name = str(error).partition(" - at `$.")
        if "enum" in what:
            what += " (lossy or at_least_once)"
        _fail(f"{name.rstrip('`')}: {what[:1].lower()}{what[1:]}")


_MULTIPLES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_MULTIPLES |= {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
_TIMES = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": DAY, "y": YEAR}
_AMOUNT = re.compile(
    r"(-?[0-9.]+(?:[eE][+-]?[0-9]+)?) ?([kKMGT]i?)?(B?)(/(?:ms|s|min|h|d|y)|ms|s|min|h|d|y|%)?"
)


def _kind(name: str) -> tuple[str, str]:
    """What an assumption counts, and examples."""
    if name in ("rate", "node_rate", "frame_rate"):
        return "rate", "10, 10k, 10k/s or 600/min (messages)"
    if name in ("size", "spool_bytes", "frame_bytes", "node_bytes", "node_memory", "connection_memory"):
        return "bytes", "250, 64KiB, 1GB, or 100MB/s for node_bytes"
    if name in ("peak_seconds", "transit", "outage"):
        return "seconds", "30, 500ms, 10min or 2h"
    if name in ("days", "repair_days", "simulated_days"):
        return "days", "30, 12h, 30d or 1y"
    return "count", "100, 10k or 1M; 50% where it is a share"


def amount(name: str, text: str) -> float | int:
    """The number that a text with units means for an assumption: `10k/s`, `64KiB`, `2h`.

    Raises:
        SystemExit: with a sentence, and status 2.
    """
    kind, allowed = _kind(name)
    found = _AMOUNT.fullmatch(text.strip())
    number = (
        float(found[1]) if found and re.search("[0-9]", found[1]) and found[1].count(".") < 2 else math.nan
    )
    multiple, is_bytes, unit = (found[2] or "", bool(found[3]), found[4] or "") if found else ("", False, "")
    fits = {
        "rate": not is_bytes and (not unit or unit[0] == "/"),
        "bytes": unit == "" or (unit == "/s" and name == "node_bytes"),
        "seconds": not is_bytes and (not unit or unit in _TIMES),
        "days": not is_bytes and (not unit or unit in _TIMES),
        "count": not is_bytes and unit in ("", "%"),
    }
    if not math.isfinite(number) or not fits[kind]:
        what = text or "nothing"
        _fail(f"{name}: {what} is no such amount; write it as {allowed}")
    number *= _MULTIPLES[multiple]
    if kind == "rate":
        number /= _TIMES[unit[1:] or "s"]
    elif unit == "%":
        number /= 100
    elif unit in _TIMES:
        number *= _TIMES[unit] / (DAY if kind == "days" else 1.0)
    return int(number) if number == int(number) else number


def _from_file(path: str) -> dict[str, object]:
    """The assumptions of a file."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=str)
    except OSError as error:
        _fail(f"{path}: {error.strerror}; write name=value, or the name of a JSON file")
    except ValueError as error:
        _fail(f"{path} is not JSON: {error}")
    if not isinstance(found, dict):
        _fail(f"{path} must contain a JSON object of assumptions")
    return found


def _fail(text: str) -> NoReturn:
    """End with a sentence, and the status of a mistake of the user's."""
    print(f"sizing: {text}", file=sys.stderr)
    raise SystemExit(2)


def assumptions() -> Iterator[str]:
    """Every assumption with its default."""
    yield "usage: sizing.py [PLAN.json] [name=value ...]"
    yield "for example: sizing.py senders=10k rate=600/min size=1KiB outage=2min node_bytes=1GB/s headroom=50%"
    yield "assumptions, and their defaults (what they mean: README.md):"
    for field in msgspec.structs.fields(Plan):
        yield f"  {field.name}={field.default}"


def main(words: list[str]) -> None:
    """Print the answer to a plan."""
    lines = assumptions() if {"-h", "--help"} & {*words} else report(read_plan(words))
    for line in lines:
        print(line)


if __name__ == "__main__":
    main(sys.argv[1:])
