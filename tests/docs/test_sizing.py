"""The sizing example: its model beside real nodes, its arithmetic, and its errors."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from examples.sizing import sizing

from documents import ROOT, Block, blocks
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.testing import free_port, wait_for
from nodes import OURS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROGRAM = ROOT / "examples" / "sizing" / "sizing.py"
PAGE = ROOT / "docs" / "guide-scale.md"
MARGIN = 0.15
"""What README.md says: the share by which a real run and the model may differ."""

SLOW = """
import time
from message_passing import Filter

class Slow(Filter):
    def filter(self, message):
        time.sleep(0.01)
        return message
"""
SYSTEM_BUFFERS = 3_500_000
"""Bytes that the system buffers for a connection on loopback, in both sockets: seen, and up to the system."""


@contextmanager
def receiving(endpoint: str, path: Path, *more: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A node that writes what it receives to a file."""
    given = json.dumps({"socket_bind": endpoint, "socket_type": "PULL", **options})
    words = ["--input", "ZeroMQ", "--input_options", given, "--output", "File", "--output_options"]
    with subprocess.Popen([*OURS, *words, f"filename={path}", *more], cwd=path.parent) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(path: Path) -> int:
    """How many messages were written."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def settled(value: Callable[[], int]) -> int:
    """A count that has not changed for a second."""
    last, since = value(), time.monotonic()

    def quiet() -> bool:
        nonlocal last, since
        if (now := value()) != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > 1

    wait_for(quiet, 20)
    return last


class Senders:
    """Outputs that each offer so many messages a second, in this thread, and what they have offered."""

    def __init__(self, outputs: list[ZeroMQOutput], rate: float, text: bytes = b"") -> None:
        self.outputs, self.rate, self.offered = outputs, rate, 0
        self.message = b'{"text":"%s"}' % text
        for output in outputs:
            output.consume(self.message)
        self.began = time.monotonic()

    def now(self) -> float:
        """Seconds since they began."""
        return time.monotonic() - self.began

    def send_until(self, done: Callable[[], bool]) -> float:
        """Offer what is due again and again; when it was done."""
        while not done():
            while self.offered < self.now() * self.rate:
                for output in self.outputs:
                    output.consume(self.message)
                self.offered += 1
            time.sleep(0.002)  # the pace of the senders
        return self.now()


def test_an_outage_loses_what_the_model_says(tmp_path: Path) -> None:
    """Four senders go on while their node is killed and comes back: what finds no room is lost, and little else."""
    rate, queue, count = 400.0, 200, 4
    endpoint, path = f"tcp://127.0.0.1:{free_port()}", tmp_path / "out"
    with ExitStack() as stack:
        outputs = [
            ZeroMQOutput(connect=endpoint, socket_type="PUSH", socket_hwm=queue, linger=10_000)
            for _ in range(count)
        ]
        for output in outputs:
            stack.enter_context(output)
        node = stack.enter_context(receiving(endpoint, path))
        senders = Senders(outputs, rate)
        wait_for(lambda: lines(path) == count, 20)
        senders.began = time.monotonic()
        senders.send_until(lambda: senders.now() > 0.5)
        node.kill()
        down, before = senders.now(), lines(path)
        senders.send_until(lambda: senders.now() > down + 1)
        stack.enter_context(receiving(endpoint, path))
        up = senders.send_until(lambda: lines(path) > before)
        total = senders.send_until(lambda: senders.now() > up + 0.5)
        arrived = settled(lambda: lines(path))
        lost = count * (senders.offered + 1) - arrived
    model = sizing.simulate(rate, 1e6, queue, total, outages=[(down, up)])
    assert lost == pytest.approx(model.lost * count, rel=MARGIN)


def test_a_node_that_is_too_slow_loses_what_the_model_says(tmp_path: Path) -> None:
    """It is offered several times what its chain takes: the queues fill, and then the rest is lost."""
    rate, queue, size = 400.0, 20, 50_000
    (tmp_path / "slow.py").write_text(SLOW)
    endpoint, path = f"tcp://127.0.0.1:{free_port()}", tmp_path / "out"
    with ExitStack() as stack:
        output = ZeroMQOutput(connect=endpoint, socket_type="PUSH", socket_hwm=queue, linger=0)
        stack.enter_context(output)
        stack.enter_context(receiving(endpoint, path, "--filter", "+slow:Slow", socket_hwm=queue))
        senders = Senders([output], rate, b"x" * size)
        wait_for(lambda: lines(path) == 1, 20)
        senders.began = time.monotonic()
        total = senders.send_until(lambda: senders.now() > 3)
        capacity = lines(path) / total
        lost = sum(output.snapshot()["dropped"].values())
    model = sizing.simulate(rate, capacity, 2 * queue + SYSTEM_BUFFERS / size, total)
    assert lost == pytest.approx(model.lost, rel=MARGIN)


def test_a_spool_is_as_large_as_the_model_says(tmp_path: Path) -> None:
    """A receiver is away for 20,000 messages: nothing is lost, and they take their size on disk."""
    number, size, spool = 20_000, 250, tmp_path / "spool"
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with ZeroMQOutput(connect=endpoint, socket_type="DEALER", spool=str(spool), linger=0) as output:
        for _ in range(number // 1000):
            output.consume_many([b'{"a":"%s"}' % (b"x" * (size - 9))] * 1000)
        assert output.snapshot()["held"] == number
    used = sum(file.stat().st_size for file in spool.iterdir())
    model = sizing.simulate(1000, 1e6, 1e9, number / 1000, outages=[(0, 1e9)])
    assert model.lost == 0
    assert used == pytest.approx(model.backlog * size, rel=MARGIN)


@pytest.mark.parametrize(
    ("given", "nodes", "limit"),
    [
        ({}, [1], "senders"),
        ({"senders": 1_000_000, "rate": 1}, [1000, 25], "senders"),
        ({"senders": 10, "rate": 200_000, "peak": 1}, [10], "messages"),
        ({"senders": 10, "rate": 10, "size": 5e6, "peak": 1}, [10], "bytes"),
        ({"senders": 100_000, "rate": 0.1}, [100, 1], "senders"),
        (
            {"senders": 10, "rate": 200_000, "peak": 1, "node_bytes": 1e9, "design": "at_least_once"},
            [8],
            "messages",
        ),
    ],
)
def test_nodes_of_each_level(given: dict[str, Any], nodes: list[int], limit: str) -> None:
    """Counted by hand: each limit decides somewhere, and a tree ends where traffic does."""
    found = sizing.levels(sizing.Plan(**given))
    assert ([level.nodes for level in found], found[0].limit) == (nodes, limit)
    for level in found:
        assert level.children * level.rate <= level.capacity


def test_the_flow_of_a_queue_by_hand() -> None:
    """10 a second, 20 seconds without a node, room for 150: 50 lost, and what was in transit."""
    flow = sizing.simulate(10, 100, 150, 100, outages=[(20, 40)], transit=3)
    assert flow == sizing.Flow(1000, 53, 150)
    peak = sizing.simulate(10, 20, 1e9, 100, peaks=[(10, 20, 5.0)])
    assert peak.lost == 0
    assert peak.offered == pytest.approx(1400)
    assert peak.backlog == pytest.approx(300)


def test_nothing_is_lost_where_there_is_room_and_all_where_there_is_none() -> None:
    """The two ends of the scale; and a plan's answer is the same each time."""
    plan = sizing.Plan(design="at_least_once", failures=1000)
    assert sizing.expected(plan, sizing.levels(plan)[0]).lost == 0
    assert sizing.simulate(10, 0, 0, 5).share == 1
    assert [*sizing.report(plan)] == [*sizing.report(plan)]


def test_failures_and_copies() -> None:
    """More outages lose more; a second copy makes the loss of a disk a rare one."""
    few, many = (sizing.Plan(failures=count, outage=300) for count in (5, 50))
    tree = sizing.levels(few)
    assert 5 < sizing.expected(many, tree[0]).lost / sizing.expected(few, tree[0]).lost < 20
    assert math.isclose(sizing.stored_share_lost(sizing.Plan(replicas=2)), 0.02 * 0.02 / 365)


@pytest.mark.parametrize(
    ("word", "amount"),
    [
        ("rate=10k/s", 10_000),
        ("rate=600/min", 10),
        ("rate=0.5", 0.5),
        ("senders=1M", 1_000_000),
        ("size=64KiB", 65_536),
        ("node_bytes=1GB/s", 1_000_000_000),
        ("outage=2min", 120),
        ("transit=500ms", 0.5),
        ("simulated_days=1y", 365),
        ("repair_days=12h", 0.5),
        ("headroom=50%", 0.5),
        ("seed=-3", -3),
        ("failures=1e3", 1000),
    ],
)
def test_amounts_have_units(word: str, amount: float) -> None:
    """As one writes them, with `=` or as an option."""
    name, _, text = word.partition("=")
    for words in ([word], [f"--{word}"], [f"--{name.replace('_', '-')}", text]):
        assert getattr(sizing.read_plan(words), name) == amount


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("sender=1", "sender: there is no such assumption; did you mean senders?"),
        ("senders=0", "senders: expected `int` >= 1"),
        ("rate=NaN", "rate: NaN is no such amount; write it as 10, 10k, 10k/s or 600/min (messages)"),
        ("rate=10kB", "rate: 10kB is no such amount; write it as 10, 10k, 10k/s"),
        ("size=1GB/s", "size: 1GB/s is no such amount; write it as 250, 64KiB, 1GB"),
        ("outage=1e999h", "outage: 1e999h is no such amount; write it as 30, 500ms, 10min or 2h"),
        ("--rate", "rate: nothing is no such amount"),
        ("--rat=5", "rat: there is no such assumption; did you mean rate?"),
        ("design=best", "design: invalid enum value 'best' (lossy or at_least_once)"),
        ("plan.json", "plan.json: No such file or directory; write name=value, or the name of a JSON file"),
        ("list.json", "list.json must contain a JSON object of assumptions"),
        ("text.json", "text.json is not JSON: "),
        ("failures=1e18", "more than 1,000,000 outages and peaks: choose fewer simulated_days"),
    ],
)
def test_mistakes(word: str, said: str, tmp_path: Path) -> None:
    """Each is one sentence that says where, with status 2."""
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "text.json").write_text("senders: 5")
    done = subprocess.run(
        [sys.executable, PROGRAM, word], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"sizing: {said}")


def test_a_plan_in_a_file(tmp_path: Path) -> None:
    """Words replace what the file says."""
    (tmp_path / "plan.json").write_text('{"senders": 5, "rate": 3}')
    assert sizing.read_plan([str(tmp_path / "plan.json"), "rate=7"]) == sizing.Plan(senders=5, rate=7)


def test_every_assumption_is_explained() -> None:
    """README.md has a row for each, with its default."""
    text = PROGRAM.with_name("README.md").read_text(encoding="utf-8")
    for field in msgspec.structs.fields(sizing.Plan):
        default = field.default if isinstance(field.default, str) else f"{field.default:,}"
        assert f"| `{field.name}` | {default} |" in text


@pytest.mark.parametrize(
    "block", [one for one in blocks(PAGE) if one.language == "console"], ids=lambda block: block.place
)
def test_the_page_shows_what_the_program_prints(block: Block) -> None:
    """Its figures are those of the model, as it is."""
    command, _, shown = block.text.partition("\n")
    words = command.removeprefix("$ python examples/sizing/sizing.py ").split()
    assert [*sizing.report(sizing.read_plan(words))] == shown.splitlines()
