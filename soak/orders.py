"""Orders in files, a line each, that an acknowledged hop ships; and the audit of what has arrived."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_LINE = re.compile(rb'\{"s":(\d+),"n":(\d+),"text":"x*"\}')
_TICK = 0.01


class Orders:
    """A file that grows, a line each order, at a rate: what is in it has been accepted."""

    def __init__(self, path: Path, number: int, rate: int = 2000, text: int = 200) -> None:
        self.path, self.number = path, number
        self.count = 0
        self._rate, self._text = rate, b"x" * text
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        path.touch()

    def write(self, count: int) -> None:
        """So many at once."""
        first, self.count = self.count, self.count + count
        lines = [
            b'{"s":%d,"n":%d,"text":"%s"}\n' % (self.number, n, self._text) for n in range(first, self.count)
        ]
        with self.path.open("ab") as file:
            file.write(b"".join(lines))

    def _run(self) -> None:
        began, done = time.monotonic(), 0
        while not self._stopped.wait(_TICK):
            due = int((time.monotonic() - began) * self._rate) - done
            self.write(due)
            done += due

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """No more orders."""
        self._stopped.set()
        self._thread.join()


def new_lines(paths: Iterable[Path], offsets: dict[Path, int]) -> Iterator[bytes]:
    """What has been written to files since the last time, but for a line that is not whole yet.

    Args:
        paths: the files, which need not exist yet.
        offsets: how far each has been read: kept up to date here.
    """
    for path in paths:
        if not path.exists():
            continue
        start = offsets.get(path, 0)
        with path.open("rb") as file:
            file.seek(start)
            block, newline, _ = file.read().rpartition(b"\n")
        offsets[path] = start + len(block) + len(newline)
        yield from block.split(b"\n") if newline else ()


@dataclass
class Audit:
    """What has arrived in files, read as they grow.

    Attributes:
        reached: by sender, the number below which all has arrived.
        beyond: by sender, what has arrived before one with a lower number.
        duplicates: what had arrived before.
        disordered: first arrivals that came after a later one.
        torn: lines that are not whole: a killed node may leave one.
        strange: other lines.
    """

    paths: list[Path]
    reached: dict[int, int] = field(default_factory=dict)
    beyond: dict[int, set[int]] = field(default_factory=dict)
    duplicates: int = 0
    disordered: int = 0
    torn: int = 0
    strange: list[bytes] = field(default_factory=list)
    _offsets: dict[Path, int] = field(default_factory=dict)

    def read(self) -> Audit:
        """Take what has been written since the last time, but for a line that is not whole yet."""
        for line in new_lines(self.paths, self._offsets):
            self._take(line)
        return self

    def _take(self, line: bytes) -> None:
        found = _LINE.fullmatch(line)
        if found is None:
            self.torn += _is_torn(line)
            if not _is_torn(line):
                self.strange.append(line)
            return
        sender, number = int(found[1]), int(found[2])
        reached, beyond = self.reached.get(sender, 0), self.beyond.setdefault(sender, set())
        if number < reached or number in beyond:
            self.duplicates += 1
        elif number > reached:
            beyond.add(number)
        else:
            self.disordered += bool(beyond)
            reached += 1
            while reached in beyond:
                beyond.discard(reached)
                reached += 1
        self.reached[sender] = reached

    def again(self) -> None:
        """Read the files from their beginnings: what was there may not be there any more."""
        self.reached.clear()
        self.beyond.clear()
        self._offsets.clear()
        self.duplicates = self.disordered = self.torn = 0
        self.strange.clear()

    def total(self) -> int:
        """How many have arrived, without those that a lower number is missing of."""
        self.read()
        return sum(self.reached.values())


def _is_torn(line: bytes) -> bool:
    """Whether this is the beginning of an order, which a killed node may have left."""
    head, mark, text = re.sub(rb"\d+", b"0", line).partition(b'"text":"')
    whole = b'{"s":0,"n":0,"text":"'
    return whole.startswith(head + mark) and not text.strip(b"x").strip(b'"')
