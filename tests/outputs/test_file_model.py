"""Random writing, rotation, renaming, truncation, removal and full disks against a model of `File`."""

from __future__ import annotations

import gzip
import json
import os
import random
import resource
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.codecs.json import JSONEncoder
from message_passing.delivery import Delivery, Outcome
from message_passing.inputs.null import NullInput
from message_passing.outputs._rotation import ROTATED
from message_passing.outputs.file import FileOutput
from message_passing.testing import TestOutput, wait_for
from message_passing.zstandard import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS = 40

HOSTS = ("a", "b", "c", "d", "e")


def lines_of(path: Path) -> list[bytes]:
    """The lines of a file, unpacked; one that was cut off before its newline, too."""
    data = path.read_bytes()
    return {".gz": gzip.decompress, ".zst": zstd.decompress}.get(path.suffix, bytes)(data).splitlines()


def number_of(line: bytes) -> int | None:
    """Which message it is; None if it is a part of one."""
    try:
        return int(json.loads(line)["n"])
    except (ValueError, TypeError, KeyError):
        return None


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Within the block, no file of this process grows beyond so many bytes: as on a full disk (setrlimit(2))."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Model:
    """A folder of logs, an output that writes them, and what others do to them meanwhile."""

    def __init__(self, folder: Path, seed: int, **given: Any) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        self.folder, self.away = folder / "logs", folder / "away"
        self.folder.mkdir()
        self.away.mkdir()
        self.given = given
        self.number = self.moved = self.passed = 0
        self.sent: dict[int, bytes] = {}
        self.outcomes: dict[int, Outcome] = {}
        self.erased: set[int] = set()
        self.erasable: set[int] = set()  # what was sent while its file had no name
        self.nameless = False
        self.done: list[str] = []
        self.errors = TestOutput()

    def start(self) -> None:
        """Begin a run."""
        name = str(self.folder / self.given.get("name", "out.log"))
        options = {key: value for key, value in self.given.items() if key not in ("name", "ways")}
        self.output = FileOutput(filename=name, error=self.errors, **options)
        self.encoder = JSONEncoder(output_to=self.output, error=self.errors)
        self.encoder.open()
        self.output.open()

    def end(self) -> None:
        """End it, in order."""
        wait_for(lambda: self.output.held() == 0)
        self.encoder.close()
        counted = self.output.snapshot()
        assert counted["received"] == counted["passed"] + counted["failed"]
        self.passed += counted["passed"]

    def files(self) -> list[Path]:
        """Those that are being written."""
        return [one for one in self.folder.iterdir() if not ROTATED.search(one.name)]

    def write(self) -> None:
        """A batch, of a few senders."""
        batch, numbers = [], []
        for _ in range(self.chance.randrange(1, 30)):
            self.number += 1
            one = {
                "host": self.chance.choice(HOSTS),
                "n": self.number,
                "x": "x" * self.chance.randrange(80),
            }
            self.sent[self.number] = json.dumps(one, separators=(",", ":")).encode()
            batch.append(one)
            numbers.append(self.number)
        if self.nameless:
            self.erasable.update(numbers)
        with Delivery(partial(self.settled, numbers), NullInput()):
            self.encoder.consume_many(batch)

    def settled(self, numbers: list[int], outcome: Outcome) -> None:
        """What became of a batch."""
        for number in numbers:
            assert number not in self.outcomes, "it is settled once"
            self.outcomes[number] = outcome

    def erase(self, path: Path) -> None:
        """What is in a file will be gone."""
        self.erased.update(number for line in lines_of(path) if (number := number_of(line)) is not None)

    def step(self) -> None:
        """One random thing."""
        what = self.chance.choice(["write", "write", "write", *self.given.get("ways", WAYS)])
        self.done.append(what)
        files = self.files()
        path = self.chance.choice(files) if files else None
        if what == "write" or path is None:
            self.write()
        elif what == "full":
            with room_for(max(one.stat().st_size for one in files) + self.chance.randrange(300)):
                self.write()
        elif what == "rename":
            self.moved += 1
            path.rename(self.away / f"{self.moved}.{path.name}")
            if self.chance.random() < 0.5:
                self.write()
            self.output.reopen()
        elif what == "truncate":
            wait_for(lambda: self.output.held() == 0)
            self.erase(path)
            os.truncate(path, 0)
        elif what == "delete":
            wait_for(lambda: self.output.held() == 0)
            self.erase(path)
            path.unlink()
            self.nameless = True
            if self.chance.random() < 0.5:
                self.write()
            self.output.reopen()
            self.nameless = False
        elif what == "restart":
            self.end()
            self.start()

    def open_files(self) -> int:
        """Files in the folder of which this process has descriptors."""
        found = 0
        for descriptor in Path("/proc/self/fd").iterdir():
            try:
                target = str(descriptor.readlink())
            except FileNotFoundError:
                continue  # that of this listing
            found += target.startswith((f"{self.folder}/", f"{self.away}/")) and not ROTATED.search(target)
        return found

    def found(self) -> Counter[int]:
        """The messages in all files; in each of them, those of a sender are in order, and nothing is invented."""
        numbers: Counter[int] = Counter()
        for path in (*self.folder.iterdir(), *self.away.iterdir()):
            assert path.suffix != ".tmp", "what was left half compressed is removed"
            here = []
            for line in lines_of(path):
                number = number_of(line)
                if number is None:  # it was cut off by a full disk
                    assert not line or any(one.startswith(line) for one in self.sent.values()), line
                else:
                    assert line == self.sent[number]
                    here.append(number)
            assert here == sorted(here), path
            numbers.update(here)
        return numbers

    def run(self) -> None:
        """So many steps; after each, no more files are open than allowed."""
        given, synced = self.given.get("open_files", 100), "fsync" in self.given
        most = given if "name" in self.given and not synced else 2 * given if synced else 1
        self.start()
        for _ in range(PARTS):
            self.step()
            assert self.open_files() <= most, self.done
        self.end()
        if self.output._finisher:  # what was left to do is done by the next run
            self.start()
            for path in self.files():
                self.output._finisher.add(str(path))
            self.end()


WAYS = ["full", "rename", "truncate", "delete", "restart"]

OPTIONS: dict[str, dict[str, Any]] = {
    "one": {},
    "synced": {"fsync": "batch", "open_files": 2},
    "large": {"rotate_bytes": 1500, "compress": "gzip"},
    "old": {"rotate_seconds": 0.002, "compress": "zstd", "fsync": "batch", "open_files": 2},
    "few open": {"name": "{host}.log", "open_files": 2},
    "few open and synced": {"name": "{host}.log", "open_files": 2, "rotate_bytes": 800, "fsync": "batch"},
    "few kept": {
        "name": "{host}.log",
        "rotate_bytes": 600,
        "keep_files": 2,
        "compress": "gzip",
        "ways": ["full", "restart"],
    },
}


@pytest.mark.parametrize("options", OPTIONS)
def test_nothing_acknowledged_is_missing_or_doubled(tmp_path: Path, options: str) -> None:
    """From a printed seed: what passed is in the files, once, but for what somebody else or retention has removed."""
    seed = int(os.environ.get("FILE_SEED", "0")) or int.from_bytes(os.urandom(4))
    print("FILE_SEED:", seed)  # noqa: T201 - shown where it fails
    model = Model(tmp_path, seed, **OPTIONS[options])
    model.run()
    found = model.found()
    assert not [number for number, count in found.items() if count > 1], model.done
    assert model.outcomes.keys() == model.sent.keys()
    kept = {number for number, outcome in model.outcomes.items() if outcome is Outcome.DELIVERED}
    missing = kept - found.keys() - model.erased - model.erasable
    if "keep_files" not in OPTIONS[options]:
        assert not missing, model.done
        if not model.erasable:
            assert model.passed == len(found.keys() | model.erased), model.done
        return
    by_host: defaultdict[str, list[int]] = defaultdict(list)
    for number, line in model.sent.items():
        if number in kept:
            by_host[json.loads(line)["host"]].append(number)
    for host, numbers in by_host.items():
        there = [number in found for number in numbers]
        assert there == sorted(there), "only the oldest were removed"
        assert len([one for one in model.folder.iterdir() if one.name.startswith(f"{host}.log.")]) <= 2


KILLED = """
import os, sys
from functools import partial
from message_passing.delivery import Delivery, Outcome
from message_passing.inputs.null import NullInput
from message_passing.outputs.file import FileOutput

def settled(first, outcome):
    assert outcome is Outcome.DELIVERED
    os.write(1, b"%d\\n" % first)

number, path, fsync = int(sys.argv[1]), sys.argv[2], sys.argv[3]
with FileOutput(filename=path, rotate_bytes=20000, compress="gzip", fsync=fsync) as output:
    while True:
        with Delivery(partial(settled, number), NullInput()):
            output.consume_many([b'{"n":%d}' % n for n in range(number, number + 100)])
        number += 100
"""
"""Writes a hundred lines at a time, and says which have been acknowledged."""


def test_killed_while_it_rotates_and_compresses(tmp_path: Path) -> None:
    """What a killed process had acknowledged is there, once, and nothing else than lines; the next run tidies up."""
    path, first, acknowledged = tmp_path / "out", 0, set[int]()
    for life, fsync in enumerate(("never", "batch", "never")):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(first), str(path), fsync], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout
            for _ in range(40 + 37 * life):
                acknowledged.add(int(process.stdout.readline()))
            process.kill()
            # What it had still said before is acknowledged too; the last line may be a part of one.
            acknowledged.update(int(one) for one in process.stdout.read().split(b"\n")[:-1])
        first = max(acknowledged) + 1_000_000
    with FileOutput(filename=str(path), rotate_bytes=20_000, compress="gzip", error=TestOutput()) as output:
        assert output._finisher
    assert not output.error.messages
    found: Counter[int] = Counter()
    for one in tmp_path.iterdir():
        assert one.suffix != ".tmp"
        numbers = [number_of(line) for line in lines_of(one)]
        assert numbers.count(None) <= 1, "a batch that was being written"
        found.update(number for number in numbers if number is not None)
    assert set(found.values()) == {1}
    assert {number + n for number in acknowledged for n in range(100)} <= found.keys()
    assert len(acknowledged) >= 3 * 40
