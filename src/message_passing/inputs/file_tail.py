"""Messages from the ends of growing files (Message::Passing::Input::FileTail).

The original starts `tail -F` for this; here files are polled.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from message_passing.clock import monotonic
from message_passing.errors import Fault, OpenError, OptionError
from message_passing.inputs._discovery import FilePatterns, is_pattern
from message_passing.inputs._followed import CutLine
from message_passing.inputs._followed_files import FollowedFiles
from message_passing.inputs._keeping import POSITION_INTERVAL, Keeping
from message_passing.inputs._known_files import MOST_GONE
from message_passing.inputs._line_queue import LineQueue, LineRuns, texts_of_lines
from message_passing.inputs._ordered import OrderedDeliveries
from message_passing.inputs._position import FileMark, PositionFile, SavedPlace
from message_passing.inputs._reading import READ_BATCH, LineInput
from message_passing.options import option
from message_passing.resolving import full_host_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from message_passing.inputs._discovery import FoundFile
    from message_passing.inputs._followed_file import FollowedFile
from message_passing.inputs._line_queue import LineRun

_TURNS = 64
"""How many files are looked at before other tasks run."""


class FileTailInput(LineInput):
    r"""Follows files as they grow, one message a line, as `tail -F` does.

    A message is an object: `filename`, `message` (the line, without its line end), `hostname`, `epochtime`
    (seconds, when it was read) and `type`, which is `log_line`. Bytes that are invalid in the file's encoding are
    escaped in `message` (`\xff`); `raw` passes on the bytes of a line, in UTF-8 if `encoding` names another one. A
    byte-order mark is not part of the first line.

    `filename` may be a pattern, or a list of paths and patterns (`/var/log/*.log`, `/srv/**/*.log`). Files that match
    later are found, and read from their beginning. All are polled by one task, a chunk of each in turn. A file that
    several names lead to is read once, under one of them; `**` looks into each folder once, whatever symbolic links
    lead there, and into no hidden one. Bytes of a name that are no UTF-8 are escaped in `filename`. A file that was
    removed, or was renamed to what no pattern matches, is closed `forget_after` seconds after the last line in it.

    A file that is renamed is read to its end before the new one of that name is read from its beginning.
    A file that gets shorter is read from its beginning, and so is one that was truncated and has grown beyond the
    current position: the last 256 bytes before it differ then. What was written between the last poll and a
    truncation is lost without a trace, unless it has been copied to a rotated name beside it (`log.1`), as by
    logrotate's `copytruncate`, where it is then read: rename the file instead.

    A file that does not exist, or may not be read, is reported once and waited for; one that comes and goes between
    two polls is not seen. One that cannot be read any further (a stale file handle of NFS) is opened again, by its
    name or one of rotation: if that is still the same file, reading continues where it was, and otherwise from the
    beginning, with a report. Positions are remembered from one run to the next only with `position_file`.

    With `position_file`, nothing is left out: positions move when the chain has settled what was read (`File` has
    written it, a `ZeroMQ` output of type DEALER has had it acknowledged), and a new run begins there, also after a
    crash, when what was not settled comes again. What the chain loses is delivered again. If a file was renamed, or
    copied and emptied, meanwhile, it is found in its folder by its contents; it and what else rotation put there
    since (`log.1`, `log-20261126`; not what is compressed or followed by a name of its own) is read
    before the new file. A last line without newline waits for the next run. If the file is found nowhere, nor in a
    compressed file that is read, that is reported.

    Without it, a last line waits for its newline until the input is stopped.

    With `format`, what Kubernetes or Docker add to a container's lines is taken off: a message also has `stream`,
    `time` (when it was written) and, from Docker, `attrs`. A long line, which they write in parts, is joined again,
    each stream's for itself; if its next part does not come within `join_timeout`, or if it has more than `max_line`
    bytes, it is cut and marked `truncated`. A position never passes a part of a line that is not complete. What is no
    such line is passed on whole, and reported once for each file.

    Compressed files (`.gz`, `.bz2`, `.zst`, which needs the extra `zstd` before Python 3.14) that a name or a pattern
    finds are read once, from the beginning, one at a time, when they have not changed for two seconds. What was read
    before it was compressed does not come again: that is known by the text, and by its time, which compressing keeps.
    If it does not, files of less than 512 bytes come twice. A damaged file, or one that is cut off, is reported with
    the place, and what comes before that is read. Names that end like others (`.xz`, `.zip`) are left out.

    A line that is too long (`max_line`) is cut, and the message has the field `truncated`, which is true; with `raw`,
    which has no room for such a mark, it is skipped and counted as failed. Either is reported.
    """

    name = "FileTail"
    exclusive_paths = ("position_file",)
    example = MappingProxyType({"filename": "/var/log/*.log", "exclude": ["*debug*"]})

    filename: str | list[str] = option(
        path=True,
        description="Path of the file to follow, a pattern (`*`, `?`, `[a-z]`, `**` for any folders), or a list of "
        "these. A file that is named need not exist yet.",
    )
    exclude: list[str] = option(
        path=True,
        default_factory=list,
        description="Patterns of files that a pattern in `filename` is not to find: of a path, or of a file's name.",
    )
    raw: bool = option(default=False, description="Messages are the lines themselves, as bytes.")
    start: Literal["end", "beginning"] = option(
        default="end",
        description="Where to start in a file that already exists. One that appears later is read from "
        "the beginning.",
    )
    position_file: str = option(
        path=True,
        default="",
        min_length=1,
        description="Path of a file that keeps the positions, moved when what was read is settled, and saved once a "
        "second. `start` counts when there is none yet. Only one input can use it; beside it, there is a `.lock`. "
        "After a kill, a file that was renamed within a second of being found is not known any more, and its rest is "
        "read only if the new name matches.",
    )
    interval: float = option(default=0.25, description="Polling interval for new data, in seconds.", gt=0)
    find_interval: float = option(
        default=2.0,
        description="Interval between two searches for files that match a pattern, in seconds.",
        gt=0,
    )
    max_files: int = option(
        default=10_000,
        description="The most files that patterns find: further ones are reported, and read once others are gone. "
        "Of so many that are gone the position is kept.",
        ge=1,
        le=100_000,
    )
    max_open_files: int = option(
        default=256,
        description="The most files that are open at a time: others are opened when they have changed.",
        ge=1,
    )
    forget_after: float = option(
        default=60.0,
        description="Seconds after which a file is closed that was removed, or renamed to what no pattern matches, "
        "and to which nothing is written any more.",
        ge=0,
    )

    format: Literal["lines", "cri", "docker"] = option(
        default="lines",
        description="What is in the files. `cri` (Kubernetes) and `docker` (its driver `json-file`): the lines of "
        "containers, whose parts are joined; messages have `stream` and `time` too.",
    )
    join_timeout: float = option(
        default=5.0,
        description="Seconds that the next part of a container's line may take: then what there is of it is passed "
        "on, marked `truncated`.",
        gt=0,
    )

    def on_init(self) -> None:
        """Prepare; no file is opened yet.

        Raises:
            OptionError: there is no name, or one of them is the position file.
        """
        super().on_init()
        names = [self.filename] if isinstance(self.filename, str) else self.filename
        if not names or not all(names):
            raise OptionError(
                Fault(f"{self.label}: option 'filename' must be a path, or a list of some", "filename")
            )
        self._named = [name for name in dict.fromkeys(names) if not is_pattern(name)]
        patterns = [str(Path(name).absolute()) for name in dict.fromkeys(names) if is_pattern(name)]
        if self.format != "lines" and self.encoding.lower().replace("_", "-") not in ("", "utf-8", "utf8"):
            text = f"{self.label}: option 'encoding': files of the format {self.format!r} are always utf-8"
            raise OptionError(Fault(text, "encoding"))
        if self.position_file and os.path.realpath(self.position_file) in map(os.path.realpath, self._named):
            text = f"{self.label}: option 'position_file' is the file that is followed: name another"
            raise OptionError(Fault(text, "position_file"))
        own = [self.position_file, f"{self.position_file}.lock"] if self.position_file else []
        self._patterns = FilePatterns(patterns, self.exclude, own)
        self._files = FollowedFiles(
            self, self._named, self._patterns, most=self.max_files, most_open=self.max_open_files
        )
        self._queue = LineQueue()
        self._marks: list[FileMark] = []  # reached with these
        self._reached: dict[tuple[int, int], SavedPlace] = {}
        self._gone: dict[str, SavedPlace] = {}  # of removed files, by fingerprint: they may be compressed
        self._deliveries: OrderedDeliveries | None = None
        self._position_file: PositionFile | None = None
        self._keeping: Keeping[tuple[SavedPlace, ...]] | None = None
        self._changes = 0  # of what is reached
        if self.position_file:
            self.acknowledges = True
            one = self._named[0] if len(names) == len(self._named) == 1 else ""
            self._position_file = PositionFile(self.position_file, one)
            self._deliveries = OrderedDeliveries(self, self._messages_of, self._on_reached)
            self._keeping = Keeping(
                self._to_save,
                self._position_file.save_all,
                interval=POSITION_INTERVAL,
                what=f"the position of {self.filename} in {self.position_file!r}",
                otherwise="would read what is read now once more",
                tell=lambda text: self.report(OpenError(text)),
                version=lambda: self._changes if self._reached or self._patterns else None,
            )

    def on_open(self) -> None:
        """Open the files that exist.

        Raises:
            OpenError: one is a directory, or something else that is no file; or the position file cannot be used.
        """
        file = self._position_file
        saved: Sequence[SavedPlace] = ()
        if file:
            saved = file.open_all()
            self._reached = {one.place.identity: one for one in saved if not one.gone}
            self._gone = {one.place.fingerprint: one for one in saved if one.gone}
        full, found = full_host_name()
        self._hostname = socket.gethostname() if full.startswith("localhost") else full
        if not found:
            self.report(
                OpenError(f"the full name of this machine was not found in time: `hostname` is {full!r}")
            )
        is_first = not (file and file.exists)
        try:
            self._files.open(saved, at_end=self.start == "end", is_first=is_first)
        except OpenError:
            self._files.close()
            if file:
                file.close()
            raise
        if not len(self._files):
            self.report(OpenError(f"no file matches {self.filename} yet; it is tried again"))
        self._find_at = monotonic() + self.find_interval
        if self._keeping and self._deliveries:
            for one in self._files:
                self._collect(one)
            self._tell_marks(self._deliveries)
            if is_first:  # so that a run that is killed soon has recorded which files there were
                self._keeping.save_now()

    def on_close(self) -> None:
        """Close the files, and save the positions up to which everything is settled."""
        self._files.close()
        if self._keeping and self._position_file:
            self._keeping.save_now(last=True)
            self._position_file.close()

    async def run(self) -> None:
        """Read what there is, and poll for more."""
        with self._keeping.running() if self._keeping else nullcontext():
            await self._follow()

    async def _follow(self) -> None:
        finding: asyncio.Task[list[FoundFile]] | None = None
        try:
            while True:
                if self._patterns and not finding and monotonic() >= self._find_at:
                    finding = asyncio.create_task(asyncio.to_thread(self._patterns.find))
                if finding and finding.done():
                    self._files.adopt(finding.result())
                    finding, self._find_at = None, monotonic() + self.find_interval
                await self._look()
                await asyncio.sleep(0 if self._files.has_more() else self.interval)
        finally:
            if finding:
                finding.cancel()

    async def _look(self) -> None:
        """Let each file have its turn."""
        for turn, file in enumerate(self._files.due(self.interval), 1):
            self._files.look(file)
            self._collect(file)
            if self._queue.count >= READ_BATCH:
                await self.pass_on()
            elif not turn % _TURNS:
                await asyncio.sleep(0)
        for file in self._files.leave_gone(self.forget_after):
            self._collect(file)
        await self.pass_on()

    def _collect(self, file: FollowedFile) -> None:
        """Take what was read of a file."""
        if file.marks:
            filename = str(Path(file.filename).absolute())
            self._marks += [FileMark(filename, *mark) for mark in file.marks]
            file.marks = []
        lines, container_lines = file.take_lines(), file.take_container_lines()
        if not lines and not container_lines:
            return
        fields = file.fields
        if not fields and not self.raw:
            name = os.fsencode(file.filename).decode(
                errors="backslashreplace"
            )  # as an invalid byte of a line
            fields = {"filename": name, "hostname": self._hostname, "type": "log_line"}
            file.fields = fields
        if container_lines:
            for line in container_lines:
                self._queue.add({**fields, **line.fields}, [line.text])
            return
        if not file.has_cut:
            self._queue.add(fields, lines)
            return
        file.has_cut = False
        for is_cut, some in groupby(lines, lambda line: isinstance(line, CutLine)):
            self._queue.add({**fields, "truncated": True} if is_cut else fields, list(some))

    async def pass_on(self) -> None:
        """See `LineInput`; with a position file, deliver, and mark the positions."""
        deliveries = self._deliveries
        while self._queue.count:
            runs = self._queue.take(READ_BATCH)
            if deliveries:
                batch = LineRuns(runs)
                await deliveries.deliver(batch, batch.size)
            else:
                self.emit(self._messages(runs))
                await self.drain()
            await asyncio.sleep(0)
        if deliveries:
            self._tell_marks(deliveries)
            await deliveries.catch_up()
        else:
            self._marks.clear()

    def stopped(self) -> None:
        """See `LineInput`. With a position file, incomplete lines are left for the next run."""
        if self._deliveries is None:
            for file in self._files:
                file.read_rest()
                self._collect(file)
        while self._queue.count:
            runs = self._queue.take(READ_BATCH)
            if self._deliveries:
                batch = LineRuns(runs)
                self._deliveries.deliver_last(batch, batch.size)
            else:
                self.emit(self._messages(runs))
        if self._deliveries:
            self._tell_marks(self._deliveries)

    def _messages(self, runs: Sequence[LineRun]) -> list[Any]:
        """Objects with the original's fields, or lines if `raw`. As there, CR LF ends a line too."""
        if self.raw:
            return [line.removesuffix(b"\r") for _, lines in runs for line in lines]
        now = time.time()
        return [
            {**fields, "message": text, "epochtime": now}
            for fields, lines in runs
            for text in texts_of_lines(lines)
        ]

    def _tell_marks(self, deliveries: OrderedDeliveries) -> None:
        marks, self._marks = self._marks, []
        for mark in marks:
            deliveries.mark(mark)

    def _on_reached(self, mark: FileMark) -> None:
        """Everything up to there is settled."""
        self._changes += 1
        if mark.place:
            saved = self._reached.pop(mark.identity, None)
            if saved and (saved.place.born != mark.place.born or saved.place.position > mark.place.position):
                self._keep_gone(saved)  # another file has its number
            self._reached[mark.identity] = SavedPlace(mark.filename, mark.place)
            most = 2 * self.max_files + len(self._named)
            if len(self._reached) > most:
                unread = [
                    one for one, at in self._reached.items() if not self._files.is_followed(one, at.filename)
                ]
                for identity in unread[: len(self._reached) - most + most // 10]:
                    del self._reached[identity]
        elif self._patterns:  # otherwise, that there was a file at all must not be forgotten
            saved = self._reached.get(mark.identity)
            if saved and saved.filename == mark.filename:  # and no other file has its number now
                del self._reached[mark.identity]
                self._keep_gone(saved)

    def _keep_gone(self, saved: SavedPlace) -> None:
        """It was removed: perhaps compressed."""
        if self._patterns.finds_compressed:
            self._gone.pop(saved.place.fingerprint, None)
            self._gone[saved.place.fingerprint] = SavedPlace(saved.filename, saved.place, gone=True)
            while len(self._gone) > MOST_GONE:
                del self._gone[next(iter(self._gone))]

    def _to_save(self) -> tuple[SavedPlace, ...]:
        return *self._gone.values(), *self._reached.values()

    def info(self) -> Mapping[str, Any]:
        """The files; with a position file: the last position, and the number of unsettled messages."""
        found = dict(super().info())
        if self._patterns or len(self._named) > 1:
            found |= {"files": len(self._files), "open_files": self._files.open_count}
            found |= {"refused_files": self._files.refused, "forgotten_positions": self._files.forgotten}
        if self._deliveries:
            reached = self._deliveries.reached
            found["position"] = reached.place.position if reached and reached.place else 0
            found["unsettled"] = self._deliveries.unsettled()
            found["redelivered"] = self._deliveries.redelivered
        return found

    def problems(self) -> list[str]:
        """The chain loses messages, positions cannot be saved, or there are too many files."""
        stalls = "the chain lost messages, which are delivered again; until then, nothing more is read"
        refused = f"{self._files.refused} files are not read: `max_files` are already"
        return [
            *([self._keeping.trouble] if self._keeping and self._keeping.trouble else []),
            *([stalls] if self._deliveries and self._deliveries.stalls() else []),
            *([refused] if self._files.refused else []),
        ]

    def progress(self) -> tuple[int, int] | None:
        """How far it has caught up with the files that are open; None once it has."""
        found = [one for file in self._files if (one := file.progress())]
        done, size = sum(done for done, _ in found), sum(size for _, size in found)
        return (done, size) if done < size else None

    def _messages_of(self, items: Sequence[LineRun]) -> list[Any]:
        """Messages of a batch, or of what was lost of it."""
        return self._messages(items.runs if isinstance(items, LineRuns) else items)
