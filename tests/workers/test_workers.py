"""`--workers N`: the same messages, the same errors and counters, and mistakes told once."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from commands import STDIN_TO_STDOUT, finished
from message_passing import run_message_server
from message_passing.cli.run.run_command import MessagePassing
from message_passing.testing import free_port, wait_for
from message_passing.workers.pool import Pool
from message_passing.workers.pooled_chain import PooledChain
from nodes import lines, node, part, wait_for_port
from support import TIME

COUNT = 5000

MINE = '''
import datetime, os, sys
from message_passing import Decoder, Filter, Input, Output, option
from message_passing.errors import OpenError

class Every(Filter):
    """Passes on what it gets."""
    def filter(self, message):
        return message

class Who(Filter):
    """Says which process it was."""
    def filter(self, message):
        return {**message, "process": os.getpid()}

class Odd(Filter):
    """Passes odd numbers on, and cannot bear sevens."""
    def filter(self, message):
        if message["n"] % 7 == 0:
            raise ValueError("a seven")
        return message if message["n"] % 2 else None

class Twice(Every):
    """Makes two of one."""
    def write_many(self, messages):
        self.emit([one for message in messages for one in (message, message)])

class Locked(Every):
    """Cannot be opened."""
    def on_open(self):
        raise OpenError("the database is locked")

class Leaves(Every):
    """Ends its process when it is opened."""
    def on_open(self):
        os._exit(3)

class Fails(Every):
    """Has a fault."""
    def on_open(self):
        raise RuntimeError("a fault of mine")

class Objects(Input):
    """Emits objects that JSON does not know, and one that no other process can have."""
    async def run(self):
        self.emit([(1, 2), {3}, datetime.date(2026, 1, 2), None.__class__, lambda: 1, {"n": 0}])
        await self.drain()

class Shown(Output):
    """Prints what it gets."""
    def write(self, message):
        os.write(1, (repr(message) + "\\n").encode())
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the command runs, with components of ours."""
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def numbered(count: int = COUNT) -> bytes:
    """That many messages, a line each."""
    return b"".join(b'{"n":%d}\n' % n for n in range(count))


def folders_left() -> set[Path]:
    """The folders of sockets that there are."""
    return set(Path(os.environ.get("TMPDIR", "/tmp")).glob("message-passing-*/results"))  # noqa: S108


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_same_messages_as_without_workers(folder: Path, workers: int) -> None:
    """Every one of them, once, from as many processes; nothing is left behind."""
    before = folders_left()
    words = [*STDIN_TO_STDOUT, "--filter", "+mine:Who", "--workers", str(workers)]
    done = finished(*words, given=numbered(), cwd=folder)
    assert (done.status, done.err) == (0, "")
    messages = [json.loads(line) for line in done.out.splitlines()]
    assert sorted(message["n"] for message in messages) == list(range(COUNT))
    assert len({message["process"] for message in messages}) == workers
    assert folders_left() <= before


def test_one_worker_keeps_the_order() -> None:
    """There is nobody to overtake it."""
    assert finished(*STDIN_TO_STDOUT, "--workers", "1", given=numbered()) == (0, numbered(), "")


def test_zero_workers_are_none(folder: Path) -> None:
    """Everything happens in the one process, as without the option."""
    words = [*STDIN_TO_STDOUT, "--filter", "+mine:Who", "--workers", "0"]
    with node(*words, cwd=folder) as started:
        started.write(b'{"n":1}\n')
        assert started.process.stdout
        assert json.loads(started.process.stdout.readline())["process"] == started.process.pid


def test_what_is_filtered_and_what_fails(folder: Path) -> None:
    """Reports go where they go without workers, and the counters at the end are the same."""
    words = [*STDIN_TO_STDOUT, "--filter", "+mine:Odd"]
    alone = finished(*words, given=numbered(100) + b"nonsense\n", cwd=folder)
    together = finished(*words, "--workers", "2", given=numbered(100) + b"nonsense\n", cwd=folder)
    assert together.status == alone.status == 0
    assert Counter(together.out.splitlines()) == Counter(alone.out.splitlines())
    found = [Counter(re.sub(TIME, "", line) for line in done.told) for done in (together, alone)]
    assert found[0] == found[1]
    assert "message-passing: filter (Odd) lost 15 messages: 15 failed" in together.told


def test_another_error_chain(folder: Path) -> None:
    """A file of reports, written by the parent alone."""
    words = [*STDIN_TO_STDOUT, *part("error", "File", filename="errors"), "--workers", "2"]
    done = finished(*words, given=b"nonsense\n" * 50, cwd=folder)
    assert (done.status, done.out) == (0, b"")
    assert done.told == ["message-passing: decoder (JSON) lost 50 messages: 50 failed"]
    reports = [json.loads(line) for line in lines(folder / "errors")]
    assert [report["packed_data"] for report in reports] == ["nonsense"] * 50


def test_an_error_chain_that_binds() -> None:
    """There is only one address, and only one process that needs it."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    words = [*STDIN_TO_STDOUT, *part("error", "ZeroMQ", socket_bind=endpoint), "--workers", "3"]
    done = finished(*words, given=numbered(10))
    assert (done.status, done.err) == (0, "")


def test_a_filter_that_makes_several_of_one(folder: Path) -> None:
    """All of them arrive."""
    words = [*STDIN_TO_STDOUT, "--filter", "+mine:Twice", "--workers", "2"]
    done = finished(*words, given=numbered(), cwd=folder)
    assert Counter(done.out.splitlines()) == Counter(numbered().splitlines() * 2)


def test_a_filter_that_holds_messages() -> None:
    """What a worker's Delay still has at the end is delivered."""
    words = [*STDIN_TO_STDOUT, *part("filter", "Delay", delay_for=60), "--workers", "2"]
    done = finished(*words, given=numbered())
    assert (done.status, done.err) == (0, "")
    assert Counter(done.out.splitlines()) == Counter(numbered().splitlines())


def test_objects_are_on_the_other_side_what_they_were(folder: Path) -> None:
    """Tuples, sets and dates too; one that no process can send to another has failed."""
    words = ["--input", "+mine:Objects", "--decoder", "Null", "--encoder", "Null"]
    done = finished(*words, "--output", "+mine:Shown", "--workers", "1", cwd=folder)
    expected = ["(1, 2)", "{3}", "datetime.date(2026, 1, 2)", "<class 'NoneType'>", "{'n': 0}"]
    assert done.out.decode().splitlines() == expected
    report = json.loads(done.told[0])
    assert report["exception"].startswith("an object of type function cannot be sent to another process: ")
    assert done.told[1:] == ["message-passing: workers (Pool) lost 1 message: 1 failed"]


def test_a_config_file_of_the_flat_form(folder: Path) -> None:
    """It may say `workers` too; of stacked filters each worker has all."""
    config = {"input": "STDIN", "output": "STDOUT", "filter": "+mine:Who", "workers": 2}
    (folder / "flat.json").write_text(json.dumps(config))
    done = finished("--configfile", "flat.json", given=numbered(500), cwd=folder)
    assert (done.status, done.err) == (0, "")
    assert len({json.loads(line)["process"] for line in done.out.splitlines()}) == 2


def test_the_named_form_says_what_to_do_instead(folder: Path) -> None:
    """It has no one middle to share."""
    (folder / "named.json").write_text(
        '{"inputs": {"a": {"class": "STDIN", "output_to": "b"}}, "outputs": {"b": {"class": "STDOUT"}}}'
    )
    done = finished("--configfile", "named.json", "--workers", "2", cwd=folder)
    assert (done.status, done.out) == (2, b"")
    problem = "only for the flat form; chains of any shape share work as examples/distributor shows"
    assert done.told == [f"message-passing: --workers: {problem}"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--filter", "+mine:Hwo"], "--filter: module 'mine' has no 'Hwo' (did you mean 'Who'?)"),
        (["--filter_options", "a=1"], "--filter_options.a: Null filter has no option 'a'"),
        (["--workers", "-1"], "--workers: option 'workers'"),
        (["--workers", "many"], "--workers: option 'workers'"),
        (["--filter", "+mine:Locked"], "worker pool: Locked filter: the database is locked"),
        (["--filter", "+mine:Leaves"], "worker pool: worker "),
        (["--output_options", "x=1"], "--output_options.x: STDOUT output has no option 'x'"),
    ],
)
def test_a_mistake_is_told_once(folder: Path, words: list[str], problem: str) -> None:
    """Not once for each worker; the status is 2."""
    done = finished(*STDIN_TO_STDOUT, "--workers", "3", *words, cwd=folder)
    assert (done.status, done.out, len(done.told)) == (2, b"", 1)
    assert done.told[0].startswith(f"message-passing: {problem}")


def test_a_fault_of_a_component_is_told_with_its_line(folder: Path) -> None:
    """Once, and with the status of a single process."""
    done = finished(*STDIN_TO_STDOUT, "--workers", "3", "--filter", "+mine:Fails", cwd=folder)
    assert (done.status, len(done.told)) == (2, 1)
    assert "on_open() of 'filter' (mine.Fails) raised RuntimeError: a fault of mine at " in done.told[0]
    assert re.search(r"mine\.py:\d+$", done.told[0])


def test_over_zeromq_on_both_sides(folder: Path) -> None:
    """Publisher, command with workers, receiver: everything arrives, at whatever pace."""
    taken, given = free_port(), free_port()
    middle = [
        *part("input", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{taken}", socket_type="PULL"),
        *part("output", "ZeroMQ", connect=f"tcp://127.0.0.1:{given}", socket_type="PUSH"),
        *("--filter", "+mine:Who", "--workers", "2"),
    ]
    last = [
        *part("input", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{given}", socket_type="PULL"),
        *part("output", "File", filename="arrived"),
    ]
    first = [
        "--input",
        "STDIN",
        *part("output", "ZeroMQ", connect=f"tcp://127.0.0.1:{taken}", socket_type="PUSH"),
    ]
    with node(*last, cwd=folder) as receiver, node(*middle, cwd=folder) as workers:
        wait_for_port(given)
        wait_for_port(taken)
        assert finished(*first, given=numbered(50_000)) == (0, b"", "")
        wait_for(lambda: len(lines(folder / "arrived")) >= 50_000, timeout=30)
        assert workers.stop() == (0, b"", b"")
        assert receiver.stop() == (0, b"", b"")
    arrived = sorted(json.loads(line)["n"] for line in lines(folder / "arrived"))
    assert arrived == list(range(50_000))


def test_the_counters_can_be_asked_for_in_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums over the workers, by the parts' names."""
    monkeypatch.chdir(folder)
    (folder / "given").write_bytes(numbered(100) + b"nonsense\n")
    words = [
        *part("input", "+counted:Given", filename="given"),
        *part("output", "File", filename="out"),
        *part("error", "File", filename="errors"),
        *("--filter", "+mine:Odd"),
    ]
    (folder / "counted.py").write_text(
        "from pathlib import Path\nfrom message_passing import Input, option\n"
        "class Given(Input):\n"
        "    filename: str = option(description='.')\n"
        "    async def run(self):\n"
        "        self.emit(Path(self.filename).read_bytes().splitlines())\n"
        "        await self.drain()\n"
    )
    chain = PooledChain(MessagePassing.read(words).chosen, 2)
    run_message_server(chain)
    pool: Any = chain.components["workers"]
    assert isinstance(pool, Pool)
    assert pool.snapshot() == {
        "received": 101, "passed": 101, "filtered": 0, "dropped": {}, "failed": 0, "held": 0,
    }  # fmt: skip
    counted = pool.counters()
    assert counted["decoder"] == {
        "received": 101, "passed": 100, "filtered": 0, "dropped": {}, "failed": 1, "held": 0,
    }  # fmt: skip
    assert counted["filter"] == {
        "received": 100, "passed": 43, "filtered": 42, "dropped": {}, "failed": 15, "held": 0,
    }  # fmt: skip
    assert counted["encoder"]["passed"] == counted["output"]["passed"] == 43
