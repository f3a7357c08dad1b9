"""Lines of containers' log files: what Kubernetes (CRI) and Docker add to each is parsed, and its parts are joined.

CRI: `TIME STREAM TAGS TEXT`, where the first tag is `P` for a part that another follows, else `F` (the design
proposal of Kubernetes "CRI: Log management for container stdout/stderr streams"). Docker's driver `json-file`: an
object with `log`, `stream`, `time` and perhaps `attrs`, whose `log` ends with a newline unless another part follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

_STREAMS = {b"stdout": "stdout", b"stderr": "stderr"}

_EARLIER = -1
"""The start of a line whose beginning is in the file before."""


class ContainerLine(NamedTuple):
    """What a container wrote.

    Attributes:
        fields: `stream` and `time`, `attrs` if there are any, and `truncated` if something of it is missing; empty if
            the line is not of the format.
        text: it, without its line end.
    """

    fields: dict[str, Any]
    text: bytes


class _Docker(msgspec.Struct):
    log: str
    stream: str = ""
    time: str = ""
    attrs: dict[str, Any] | None = None


@dataclass(slots=True)
class _Unfinished:
    """A line of which parts have come: where its first part begins in the file, and when the last one came."""

    fields: dict[str, Any]
    text: bytearray
    start: int
    last: float
    is_cut: bool = False


def cri_part(line: bytes) -> tuple[dict[str, Any], bytes, bool] | None:
    """The fields of a CRI line, its text, and whether another part follows; None if it is no such line."""
    parts = line.split(b" ", 3)
    if len(parts) < 3 or not parts[0][:1].isdigit():
        return None
    tag = parts[2].partition(b":")[0]
    stream = _STREAMS.get(parts[1])
    if stream is None or tag not in (b"P", b"F"):
        return None
    fields = {"stream": stream, "time": parts[0].decode("utf-8", "backslashreplace")}
    return fields, parts[3] if len(parts) > 3 else b"", tag == b"P"


_decode_docker = msgspec.json.Decoder(_Docker).decode


def docker_part(line: bytes) -> tuple[dict[str, Any], bytes, bool] | None:
    """Like `cri_part`, of a line by Docker."""
    try:
        found = _decode_docker(line)
    except (msgspec.DecodeError, UnicodeError):
        return None
    fields: dict[str, Any] = {"stream": found.stream, "time": found.time}
    if found.attrs:
        fields["attrs"] = found.attrs
    text = found.log.encode("utf-8", "backslashreplace")
    return fields, text.removesuffix(b"\n"), not text.endswith(b"\n")


_PARTS: dict[str, Callable[[bytes], tuple[dict[str, Any], bytes, bool] | None]] = {
    "cri": cri_part,
    "docker": docker_part,
}


class ContainerLines:
    """Joins the parts of lines, each stream's for itself. It knows no clock and no file."""

    def __init__(self, form: str, most: int, seconds: float) -> None:
        """None yet.

        Args:
            form: `cri` or `docker`.
            most: the most bytes of a line: a longer one is cut.
            seconds: how long the next part of a line may take: then it is passed on as it is.
        """
        self._parse, self._most, self._seconds = _PARTS[form], most, seconds
        self._unfinished: dict[str, _Unfinished] = {}

    def add(self, line: bytes, start: int, now: float) -> ContainerLine | None:
        """A line of the file; what a container wrote, if that is complete with it.

        Args:
            line: it.
            start: its position in the file.
            now: a monotonic time in seconds.
        """
        part = self._parse(line)
        if part is None:
            return ContainerLine({}, line)
        fields, text, goes_on = part
        stream = fields["stream"]
        before = self._unfinished.get(stream)
        if before is None:
            if not goes_on and len(text) <= self._most:
                return ContainerLine(fields, text)
            before = self._unfinished[stream] = _Unfinished(fields, bytearray(), start, now)
        before.last = now
        if before.is_cut:
            before.start = start
        elif len(before.text) + len(text) > self._most:
            before.is_cut = True
            before.text += text[: self._most - len(before.text)]
        else:
            before.text += text
        return None if goes_on else self._end(stream)

    def begins_at(self, end: int) -> int | None:
        """Where reading must begin to have the parts of unfinished lines again: at the latest, at `end`.

        None: in the file before.
        """
        first = min([end, *(one.start for one in self._unfinished.values())])
        return None if first == _EARLIER else first

    def next_file(self) -> None:
        """What follows is in another file."""
        for one in self._unfinished.values():
            one.start = _EARLIER

    def overdue(self, now: float) -> list[ContainerLine]:
        """Lines whose next part has not come in time: each is passed on, and what may yet come is another one."""
        late = [stream for stream, one in self._unfinished.items() if now - one.last >= self._seconds]
        return [self._end(stream, is_cut=True) for stream in late]

    def end_all(self) -> list[ContainerLine]:
        """Lines whose next part will not come."""
        return [self._end(stream, is_cut=True) for stream in tuple(self._unfinished)]

    @property
    def waits(self) -> bool:
        """Whether there are unfinished lines."""
        return bool(self._unfinished)

    def _end(self, stream: str, *, is_cut: bool = False) -> ContainerLine:
        ended = self._unfinished.pop(stream)
        cut = {"truncated": True} if is_cut or ended.is_cut else {}
        return ContainerLine({**ended.fields, **cut}, bytes(ended.text))
