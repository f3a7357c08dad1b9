"""What is sent, and what must be in the file afterwards."""

from __future__ import annotations

import filecmp
import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from sample import lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

WORDS = "the order of the customer was paid and sent on its way to the shop in the next town, "


@dataclass(frozen=True)
class Sample:
    """A file of lines.

    Attributes:
        path: the file.
        count: how many lines it has.
        size: how many bytes, newlines included.
    """

    path: Path
    count: int
    size: int

    def head(self, count: int) -> Sample:
        """The first so many of its lines, in a file of their own."""
        if count >= self.count:
            return self
        with self.path.open("rb") as file:
            return written(self.path.with_suffix(f".{count}"), islice(file, count))


def written(path: Path, texts: Iterable[bytes]) -> Sample:
    """A file of these lines, each with its newline."""
    count = size = 0
    with path.open("wb") as file:
        for text in texts:
            count += 1
            size += file.write(text)
    return Sample(path, count, size)


def log_lines(folder: Path, count: int) -> Sample:
    """Log lines as an application would send them."""
    return written(folder / "lines", (line + b"\n" for line in lines(count)))


def sized_lines(folder: Path, size: int, count: int) -> Sample:
    """Lines of JSON of exactly so many bytes without the newline, at least 48."""
    text = WORDS * (size // len(WORDS) + 1)

    def texts() -> Iterator[bytes]:
        for number in range(count):
            head = f'{{"number":{number},"message":"'
            yield f'{head}{text[: size - len(head) - 2]}"}}\n'.encode()

    return written(folder / f"lines-of-{size}", texts())


def filtered(sample: Sample, apply: Callable[[dict[str, Any]], Any], name: str) -> Sample:
    """What a filter's function makes of a sample, by way of the standard library's JSON."""

    def texts() -> Iterator[bytes]:
        with sample.path.open("rb") as file:
            for line in file:
                message = apply(json.loads(line))
                if message is not None:
                    yield json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    return written(sample.path.with_suffix(f".{name}"), texts())


def problem(arrived: Path, expected: Sample, compared: str) -> str:
    """What is wrong with a file; nothing if it holds what it should.

    Args:
        arrived: what was written.
        expected: what should have been.
        compared: `bytes`; `lines` in any order; or `objects` in any order, their keys too.
    """
    if filecmp.cmp(arrived, expected.path, shallow=False):
        return ""
    if compared == "bytes":
        return "the file is not what was sent"
    with arrived.open("rb") as one, expected.path.open("rb") as other:
        if compared == "lines":
            same = sorted(one) == sorted(other)
        else:
            same = sorted(map(_canonical, one)) == sorted(map(_canonical, other))
    return "" if same else "the file's lines are not those that were sent"


def _canonical(line: bytes) -> str:
    message: Any = json.loads(line)
    return json.dumps(message, sort_keys=True)
