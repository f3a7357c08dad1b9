"""Random writing, rotation, truncation, removal and restarts against a model: nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import random
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.inputs import _compressed_file
from message_passing.inputs.file_tail import FileTailInput
from message_passing.testing import TestOutput, capture

if TYPE_CHECKING:
    from pathlib import Path

PARTS = 24


class Model:
    """A folder of logs, programs that write and rotate them, and an input that follows them."""

    def __init__(self, folder: Path, seed: int, **given: Any) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        self.folder = folder
        self.number = 0
        self.written: list[bytes] = []
        self.unfinished: dict[str, bytes] = {}
        self.read: Counter[bytes] = Counter()
        self.has_crashed = False
        self.done: list[str] = []
        self.given = given
        self.component: FileTailInput | None = None

    def start(self) -> None:
        """Begin a run."""
        pattern = str(self.folder / self.given.get("pattern", "*.log"))
        self.component = FileTailInput(
            filename=pattern,
            raw=True,
            start="beginning",
            position_file=str(self.folder / "positions"),
            max_open_files=self.given.get("most_open", 256),
            forget_after=1000.0,
            error=TestOutput(),
        )
        self.arrived = capture(self.component)
        self.component.open()

    async def look(self, rounds: int = 1000) -> None:
        """Let it find and read, at most so many rounds; and save what it has reached, as it does each second.

        A file that is renamed, and its reader killed, within a second of being found, is unknown to the next one.
        """
        assert self.component
        self.component._files.adopt(self.component._patterns.find())
        self.component._files._sweep_at = 0
        for _ in range(rounds):
            await self.component._look()
            if not self.component._files.has_more():
                break
        if self.component._keeping:
            self.component._keeping.save_now()

    def end(self, *, crash: bool) -> None:
        """End a run, in order or as a kill does: what it had read and not saved is read again."""
        assert self.component
        if crash:
            self.has_crashed = True
            self.component._files.close()
            assert self.component._position_file
            self.component._position_file.close()
        else:
            self.component.stopped()
            self.component.close()
        self.read += Counter(self.arrived.messages)
        self.component = None

    def write(self, name: str, count: int) -> None:
        """Some lines, the last one perhaps without its end yet."""
        data = self.unfinished.pop(name, b"")
        line = data
        if data:
            data = b"\n"
            self.written.append(line)
        for _ in range(count):
            self.number += 1
            line = b"%s %d %s" % (name.encode(), self.number, b"x" * self.chance.randrange(300))
            self.written.append(line)
            data += line + b"\n"
        if self.chance.random() < 0.2:
            self.number += 1
            self.unfinished[name] = b"%s %d unfinished" % (name.encode(), self.number)
            data += self.unfinished[name]
        with (self.folder / name).open("ab") as file:
            file.write(data)

    def finish(self, name: str) -> None:
        """End the last line."""
        if line := self.unfinished.pop(name, b""):
            self.written.append(line)
            with (self.folder / name).open("ab") as file:
                file.write(b"\n")

    def shift(self, name: str) -> None:
        """Rename what was rotated before."""
        for number in range(len(list(self.folder.glob(f"{name}.*"))), 0, -1):
            for end in ("", ".gz"):
                with contextlib.suppress(FileNotFoundError):
                    (self.folder / f"{name}.{number}{end}").rename(self.folder / f"{name}.{number + 1}{end}")

    def rotate(self, name: str) -> None:
        """By renaming."""
        self.finish(name)
        self.shift(name)
        (self.folder / name).rename(self.folder / f"{name}.1")

    def copy_and_truncate(self, name: str) -> None:
        """By copying."""
        self.finish(name)
        self.shift(name)
        shutil.copy(self.folder / name, self.folder / f"{name}.1")
        os.truncate(self.folder / name, 0)

    def compress(self, name: str) -> None:
        """As gzip(1) does, what was rotated."""
        for path in self.folder.glob(f"{name}.*"):
            if path.suffix != ".gz":
                packed, found = path.with_name(f"{path.name}.gz"), path.stat()
                packed.write_bytes(gzip.compress(path.read_bytes()))
                os.utime(packed, ns=(found.st_atime_ns, found.st_mtime_ns))
                path.unlink()

    async def truncate(self, name: str) -> None:
        """If it has more than a few bytes, which would prove nothing."""
        await self.look()  # what is neither read nor copied before is lost, as is documented
        if (self.folder / name).stat().st_size > 300:
            self.copy_and_truncate(name)
            await self.look()

    async def remove(self, name: str) -> None:
        """When all of it has been read."""
        await self.look()
        self.finish(name)
        await self.look()
        (self.folder / name).unlink()
        await self.look()

    async def step(self) -> None:
        """One random thing."""
        name = f"{self.chance.choice('abc')}.log"
        there = (self.folder / name).exists()
        what = self.chance.choice(self.given["ways"])
        self.done.append(f"{what} {name}")
        if what == "write" or not there:
            self.write(name, self.chance.randrange(1, 40))
            if not there:
                await (
                    self.look()
                )  # a name that comes and goes before it is found is not seen, as is documented
        elif what == "rotate":
            self.rotate(name)
        elif what == "truncate":
            await self.truncate(name)
        elif what == "compress":
            await self.look()  # what no pattern finds must have been read, and what has few bytes
            self.compress(name)
        elif what == "remove":
            await self.remove(name)
        elif what == "look":
            await self.look(self.chance.randrange(1, 3))
        elif what in ("restart", "crash"):
            self.end(crash=what == "crash")
            if self.chance.random() < 0.5:
                self.write(name, 3)
            self.start()

    async def run(self, steps: int) -> None:
        """So many, and then all is read."""
        self.start()
        for _ in range(steps):
            await self.step()
            if self.chance.random() < 0.3:
                await self.look(1)
        for name in tuple(self.unfinished):
            self.finish(name)
        for _ in range(5):
            await self.look()
        self.end(crash=False)


WAYS = {
    "renamed": ["write", "write", "write", "rotate", "look"],
    "restarted": ["write", "write", "rotate", "look", "restart"],
    "crashed": ["write", "write", "rotate", "look", "restart", "crash"],
    "truncated": ["write", "write", "truncate", "look", "restart"],
    "compressed": ["write", "write", "rotate", "compress", "look", "restart"],
    "removed": ["write", "write", "remove", "rotate", "look", "restart"],
}


@pytest.mark.parametrize("most_open", [256, 2])
@pytest.mark.parametrize("pattern", ["*.log", "*.log*"])
@pytest.mark.parametrize("ways", WAYS)
def test_nothing_is_lost_or_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ways: str, pattern: str, most_open: int
) -> None:
    """From a printed seed: each line that was written is read, once unless the reader was killed."""
    seed = int(os.environ.get("FILE_TAIL_SEED", "0")) or int.from_bytes(os.urandom(4))
    print("FILE_TAIL_SEED:", seed)  # noqa: T201 - shown where it fails
    monkeypatch.setattr(_compressed_file, "SETTLED", 0.0)
    model = Model(tmp_path, seed, ways=WAYS[ways], pattern=pattern, most_open=most_open)
    asyncio.run(model.run(PARTS))
    lost = [line for line in model.written if line not in model.read]
    assert not lost, (lost[:5], model.done)
    foreign = [line for line in model.read if line not in model.written]
    assert not foreign, (foreign[:5], model.done)
    if not model.has_crashed:
        doubled = [line for line, count in model.read.items() if count > 1]
        assert not doubled, (doubled[:5], model.done)
