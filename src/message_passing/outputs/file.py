"""Messages to a file, one a line (Message::Passing::Output::File)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from message_passing.clock import monotonic
from message_passing.errors import Fault, OpenError, OptionError
from message_passing.file_identity import file_identity
from message_passing.folders import make_folder
from message_passing.options import option
from message_passing.output import running_loop
from message_passing.outputs._channel import opened_channel
from message_passing.outputs._descriptor import DescriptorOutput
from message_passing.outputs._lines import ends_within_a_line
from message_passing.outputs._open_files import OpenFile, OpenFiles
from message_passing.outputs._ownership import ownership_of
from message_passing.outputs._syncing import (
    MOST_UNSYNCED_BYTES,
    UNSYNCED_BYTES,
    Syncing,
    Unsynced,
    sync_error,
)
from message_passing.paths import load_own
from message_passing.secure_files import SHORTAGE, kind_of, open_to_append
from message_passing.text_template import TextTemplate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from message_passing.outputs._finishing import Finisher
    from message_passing.outputs._naming import FileNames
    from message_passing.outputs._rotation import Rotation

SYNC_AT_END = 5.0
"""Seconds that the end of the inputs, and closing, wait for the disk."""

NO_ROOM, NOT_SYNCED = "waiting to be synced: full", "not synced at close"
"""Why lines are dropped with `fsync`."""

FINISH_AT_END = 2.0
"""Seconds that closing waits for rotated files to be removed and compressed."""

_LOOK = 0.1
"""Seconds between two checks of what has been synced, besides being notified."""

_TOO_SLOW = "the disk is too slow to sync and close others"

_LOST = (errno.ESTALE, errno.ENOTCONN)
"""Errors of a file, or file system, that is gone: its name may lead to a new one."""


class FileOutput(DescriptorOutput):
    """Writes each message to a file, followed by a newline, with one write for all that arrived together.

    On SIGHUP the file is opened again by its name, so that logrotate may rename it; until then, a file that somebody
    removes is written on, and gone. What the system cannot write (a full disk) is counted as failed and reported, and
    the next messages are tried. A last line without a newline, left by a process that was killed, is ended first: no
    message is appended to it.

    A named pipe is written while it has a reader. Until then, and while its reader reads nothing, inputs wait; a
    missing reader is reported once. When its reader goes, what is left is kept for the next one. A stop waits for a
    reader for a bounded time, and so does the end of the inputs if there is none; what is not written then is
    counted (`not written at close`).

    A process of root follows only root's symbolic links, and in a directory that others may write to it
    opens only regular files with a single name: so no other user can make it write elsewhere.

    With `fsync`, a message is settled (acknowledged to an output of type DEALER or ROUTER, say) when it is on the
    disk, so that it survives a power failure; batches that come meanwhile are synced together. If the system cannot
    sync, what was written since the last sync is counted as failed and reported, an input that acknowledges delivers
    it again, and the file is opened anew. Inputs wait while 16 MiB wait to be synced.

    With fields of the message in `filename`, `logs/{host}/{time:%Y-%m-%d}.log`, each message goes to the file that it
    names; missing directories are made. `{time:...}` is the message's own time, or the present, in UTC. No field
    leads to another directory, whatever it holds: slashes, control characters and a dot at the beginning are
    percent-encoded, an overlong value is abbreviated and gets a hash, and one that is missing or empty is `_`. These
    files must be regular ones.

    With `rotate_bytes` and `rotate_seconds`, a regular file is renamed before the batch that finds it large or old
    enough: `app.log.20240203T040506.000000Z`. A thread removes those that are too many or too old, and compresses the
    others; what it has not finished when the process ends is done when the file is rotated the next time, or a single
    one is opened. Rotated files should have one process that writes them. As root, their directory must be one that
    root alone may write to.
    """

    name = "File"
    takes_blocks = True
    takes_objects = True
    example = MappingProxyType({"filename": "messages.log"})

    filename: str = option(
        path=True,
        description="Path of the file to write. It may contain fields of the message, `logs/{host}.log`, and its "
        "time, `{time:%Y-%m-%d}`; `{{` and `}}` are single braces.",
        min_length=1,
    )
    append: bool = option(
        default=True,
        description="False empties the file when the chain starts, unless its name contains fields.",
    )
    open_files: int = option(
        default=100,
        ge=1,
        description="The most files that are open at once, if the name contains fields. To open another one, the "
        "least recently used is closed; with `fsync`, as many again may be waiting to be synced and closed. While "
        "these are too many, no file is rotated.",
    )
    make_directories: bool = option(
        default=False,
        description="Create missing directories. If the name contains fields, they are always created.",
    )
    mode: str = option(
        default="",
        pattern="^([0-7]{3,4})?$",
        description="Permissions of the file, such as `0640`. Empty: as the umask says.",
    )
    owner: str = option(
        default="",
        description="Owner of the file: `user`, `user:group` or `:group`. Only root can change the user.",
    )
    rotate_bytes: int = option(
        default=0,
        ge=0,
        description="Rotate the file once it has this many bytes: it is renamed with the time, and a new one is "
        "started. 0: never.",
    )
    rotate_seconds: float = option(
        default=0.0,
        ge=0,
        description="Start a new file in each period of this many seconds, counted from 1970 in UTC: with 86400, "
        "daily at 0:00. 0: never.",
    )
    keep_files: int = option(
        default=0, ge=0, description="How many rotated files of each name are kept. 0: all."
    )
    keep_seconds: float = option(
        default=0.0, ge=0, description="How many seconds rotated files are kept; 0: forever."
    )
    compress: Literal["none", "gzip", "zstd"] = option(
        default="none",
        description="Compress rotated files, in a thread; `zstd` needs the extra `zstd` before Python 3.14.",
    )
    fsync: Literal["never", "batch"] | Annotated[float, msgspec.Meta(ge=0.001, le=3600)] = option(
        default="never",
        description="When written data is synced to disk (fdatasync), before which no message is settled: after each "
        "`batch`, or after at most this many seconds. `never`: the system decides, and written is settled.",
    )

    def on_init(self) -> None:
        """Read the name, and set what `fsync` confirms.

        Raises:
            OptionError: the name is malformed, or there is no such owner.
        """
        super().on_init()
        try:
            template = TextTemplate(self.filename)
        except OptionError as error:
            raise OptionError(*[one.under("filename") for one in error.faults]) from None
        self._ownership = ownership_of(self.label, self.mode, self.owner)
        self.takes_objects = self.weighs = not template.is_constant
        self._rotation, self._finisher = self._rotating()
        self._names: FileNames | None = None
        self._fd = -1
        self._rotated = 0
        self._path = template.start  # that of the file which is open
        self._others = OpenFiles(self.open_files - 1)
        self.first_path = template.start
        """The path, or how every path begins."""
        if self.takes_objects:
            self._path = ""
            self._names = load_own("message_passing.outputs._naming:FileNames")(template)
            if not self.append:
                text = f"{self.label}: `append` cannot be false for a name with fields in it"
                raise OptionError(Fault(text, "append"))
        self.makes_directories = self.takes_objects or self.make_directories
        self._syncing: Syncing | None = None
        self._sync_loop: asyncio.AbstractEventLoop | None = None
        if self.fsync != "never":
            self.keeps_written, self.confirms = True, "synced to disk"
            self._syncing = Syncing(0.0 if self.fsync == "batch" else float(self.fsync), self._has_synced)

    def _rotating(self) -> tuple[Rotation | None, Finisher | None]:
        """What rotates files, and takes care of them then, as the options say."""
        if self.rotate_bytes or self.rotate_seconds:
            # Loaded when needed: gzip and the like cost each start some milliseconds.
            rotation = load_own("message_passing.outputs._rotation:Rotation")
            finisher = load_own("message_passing.outputs._finishing:Finisher")
            return (
                rotation(self.rotate_bytes, self.rotate_seconds),
                finisher(self.keep_files, self.keep_seconds, self.compress),
            )
        for given in ("keep_files", "keep_seconds", "compress"):
            if getattr(self, given) not in (0, "none"):
                text = f"{self.label}: `{given}` is about rotated files: set `rotate_bytes` or `rotate_seconds` too"
                raise OptionError(Fault(text, given))
        return None, None

    def on_open(self) -> None:
        """Open the file, creating it; or the directory of those that messages name.

        Raises:
            OpenError: the system refuses, or there is no such directory.
        """
        self._said = ""
        if self._names:
            folder = os.path.dirname(self.first_path) or "."  # noqa: PTH120 - a Path would take `.` out of it
            self._make_folder(folder)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise OpenError(f"cannot make files in the directory {folder!r}: permission denied")
            return
        self._begin_with(self._open_file(0 if self.append else os.O_TRUNC))
        if self._fd < 0:
            self._say_once(
                f"nobody reads the named pipe {self.filename!r} yet: messages wait until somebody does"
            )
        if self._finisher:  # an earlier process may have left some
            self._finisher.add(self._path)

    def on_close(self) -> None:
        """End an incomplete line, for the next program that appends to the file, and close it."""
        if self._nobody and self._channel and (unread := self._channel.unread()):
            lost = f"{unread} bytes that were written to the named pipe {self.filename!r} are lost"
            self.report(OpenError(f"{lost}: nobody has read them"))
        self.finish()
        self._release_all()
        if self._syncing:
            left = self._syncing.end(SYNC_AT_END)
            self._take_synced()
            for entry in left:
                with entry.hold.resumed(last=True):
                    self.drop(entry.lines, NOT_SYNCED)
        if self._finisher:
            self._finisher.end(FINISH_AT_END)
            self._report_troubles(self._finisher)

    def reopen(self) -> None:
        """Open the name again, and close the old file only if that worked."""
        if not self._opened or self._closed:
            return
        if self._names:  # each is opened by its name when the next message comes for it
            with self._lock:
                self._release_all()
            return
        if self._is_same_pipe():
            return
        if not self._may_retire():
            self.report(OpenError(f"cannot open the file {self._path!r} again: {_TOO_SLOW}"))
            return
        try:
            fd = self._open_file(0)
        except OpenError as error:
            self.report(error)
        else:
            self._release()
            self._begin_with(fd)

    def write_many(self, messages: list[Any]) -> None:
        """Write the batch with one call."""
        self._opened_for_error = False
        if self._syncing:
            self._sync_loop = running_loop() or self._sync_loop
            if self._syncing.waiting_bytes() > MOST_UNSYNCED_BYTES:
                self.drop(messages, NO_ROOM)
                return
        if self._names:
            self._write_by_name(self._names, messages)
            return
        if self._rotation:
            self._rotate_if_due(self._rotation)
        self.write_lines(messages)

    def _write_by_name(self, names: FileNames, messages: list[Any]) -> None:
        """Write each message to the file that it names, with one write for each file."""
        by_path: dict[str, list[Any]] = {}
        for message in messages:
            by_path.setdefault(names.path_of(message), []).append(message)
        for path, group in by_path.items():
            if lines := self.encoded(group):
                with self._lock:
                    try:
                        self._use(path)
                    except OpenError as error:
                        self.fail(error, lines)
                    else:
                        self._opened_for_error = False
                        if self._rotation:
                            self._rotate_if_due(self._rotation)
                        self.write_lines([*lines])

    def _use(self, path: str) -> None:
        """Write to this file from now on.

        Raises:
            OpenError: it cannot be opened; no file is in use then.
        """
        if path == self._path and self._fd >= 0:
            return
        if self._fd >= 0 and (old := self._others.put(self._path, self._left())):
            self._close_other(old)
        self._path = path
        if known := self._others.take(path):
            self._fd, self._channel, self._torn = known
        else:
            # What was closed to make room is open until it is synced.
            if not self._may_retire(SYNC_AT_END):
                raise OpenError(f"cannot write to the file {path!r}: {_TOO_SLOW}")
            self._begin_with(self._open_file(0))

    def _rotate_if_due(self, rotation: Rotation) -> None:
        """Rotate the file that is in use if it is large or old enough. If that fails, write on to it."""
        with self._lock:
            if self._fd < 0 or not rotation.is_due(self._fd) or not self._may_retire():
                return
            try:
                rotation.rename(self._fd, self._path)
                fd = self._open_file(0)
            except (OSError, OpenError) as error:
                rotation.failed()
                reason = (
                    f"cannot rotate {self._path!r}: {error.strerror}" if isinstance(error, OSError) else error
                )
                self.report(OpenError(str(reason)))
                return
            self._release()
            self._begin_with(fd)
            self._rotated += 1
            if self._finisher:
                self._finisher.add(self._path)
                self._report_troubles(self._finisher)

    def _may_retire(self, seconds: float = 0.0) -> bool:
        """Whether another file may wait to be synced and closed; wait for that for at most so long."""
        return not self._syncing or self._syncing.wait_for_closed(2 * self.open_files, seconds)

    def _report_troubles(self, finisher: Finisher) -> None:
        for trouble in finisher.take_troubles():
            self.report(trouble)

    def _left(self) -> OpenFile:
        """The file that is in use, which is in use no longer."""
        file = OpenFile(self._fd, self._channel, self._torn)
        self._fd, self._channel, self._torn = -1, None, False
        return file

    def _close_other(self, file: OpenFile) -> None:
        """Close a file that is not in use."""
        used = self._left()
        self._fd, self._channel, self._torn = file
        self._release()
        self._fd, self._channel, self._torn = used

    def _release_all(self) -> None:
        for file in self._others.take_all():
            self._close_other(file)
        self._release()

    def _make_folder(self, path: str) -> None:
        try:
            make_folder(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise OpenError(f"cannot make the directory {path!r}: {reason}") from error

    def held(self) -> int:
        """The messages that are queued, or not synced."""
        return super().held() + (self._syncing.unsynced() if self._syncing else 0)

    def info(self) -> Mapping[str, Any]:
        """How many files are open and were closed to make room, and what became of rotated ones."""
        found = {**super().info()}
        if self._names:
            found["open_files"] = len(self._others) + (self._fd >= 0)
            found["closed_for_others"] = self._others.closed
        if self._finisher:
            found |= {"rotated": self._rotated, **self._finisher.counts}
        return found

    async def flush(self) -> None:
        """Sync what was written, for a bounded time."""
        if self._syncing:
            deadline = monotonic() + SYNC_AT_END
            self._syncing.hurry()
            while self._syncing.unsynced() and monotonic() < deadline:
                await self._until_synced()

    async def make_room(self) -> None:
        """Wait while too much is not synced."""
        while self._syncing and self._syncing.waiting_bytes() > UNSYNCED_BYTES:
            await self._until_synced()

    async def _until_synced(self) -> None:
        """Wait briefly until something was synced."""
        self._sync_loop = asyncio.get_running_loop()
        synced = self._sync_loop.create_future()
        self._waiters.add(synced)
        await asyncio.wait([synced], timeout=_LOOK)
        self._waiters.discard(synced)
        self._take_synced()

    def keep_written(self, lines: Sequence[bytes], size: int) -> None:
        """They are settled when they are synced."""
        if self._syncing and lines:
            self._syncing.add(Unsynced(lines, size, self.hold(), self._path), self._fd)

    def _has_synced(self) -> None:
        """Called in the thread of `Syncing`: let the chain's thread take the results."""
        loop = self._sync_loop
        if loop is not None and loop.is_running():
            with contextlib.suppress(RuntimeError):  # the loop has just been closed: closing takes them
                loop.call_soon_threadsafe(self._take_synced)
        elif loop is None:
            self._take_synced()

    def _take_synced(self) -> None:
        """Settle what has reached the disk, and what will not."""
        if self._syncing is None:
            return
        for entries, error in self._syncing.take():
            for entry in entries:
                with entry.hold.resumed(last=True):
                    if error:
                        self.fail(sync_error(error, entry.path), entry.lines)
        if failed := self._syncing.failed():
            with self._lock:
                for file in self._others.take_those(failed):
                    self._close_other(file)
                if self._fd in failed:
                    self._begin_anew()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _begin_anew(self) -> None:
        """Reopen the file, since it could not be synced; if that fails, continue with the open one."""
        try:
            fd = self._open_file(0)
        except OpenError as error:
            self.report(error)
            fd = self._fd
        else:
            self._release()
        self._begin_with(fd)

    def refused(self, error: OSError, lines: Sequence[bytes]) -> None:
        """Name the file in the report."""
        error.filename = self._path
        super().refused(error, lines)

    def opened_again(self, error: OSError) -> bool:
        """Reopen a file that its server has lost (a stale handle of NFS) by its name, once for a batch."""
        if error.errno not in _LOST or self._opened_for_error:
            return False
        self._opened_for_error = True
        try:
            fd = self._open_file(0)
        except OpenError:
            return False  # the error of the write is reported
        self._release()
        self._begin_with(fd)
        return True

    def look_for_reader(self) -> None:
        """Open the pipe, if it has a reader."""
        try:
            fd = self._open_file(0)
        except OpenError as error:
            self._say_once(str(error))
        else:
            if fd >= 0:
                self._said = ""
                self._begin_with(fd)

    def waits_for_another(self, *, first: bool) -> bool:
        """Whether another reader may come: for a named pipe, yes."""
        if self._channel is None or not self._channel.is_named_pipe:
            return False
        if first:
            text = f"whoever read the named pipe {self.filename!r} has gone: messages wait for another reader"
            self.report(OpenError(text))
        return True

    def _begin_with(self, fd: int) -> None:
        """Write to this descriptor from now on; -1 for a pipe without a reader."""
        self.take_over(opened_channel(fd) if fd >= 0 else None)
        self._fd = fd
        if fd >= 0 and ends_within_a_line(fd):
            self._torn = True
        if self._syncing:
            self._syncing.begin(fd, self._path)

    def _say_once(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self.report(OpenError(text))

    def _is_pipe(self) -> bool:
        try:
            return stat.S_ISFIFO(Path(self._path).stat().st_mode)
        except OSError:
            return False

    def _is_same_pipe(self) -> bool:
        """Whether its name is still that of the pipe that it writes to, so that what the pipe has is kept."""
        if self._channel is None or not self._channel.is_named_pipe:
            return self._channel is None
        return self._channel.identity == file_identity(self._path)

    def _open_file(self, flags: int) -> int:
        """Open it; return the descriptor, or -1 for a pipe without a reader."""
        # Appending even to an emptied file: if it is truncated meanwhile, that leaves no hole in it. And without
        # waiting for a pipe to be read.
        flags |= os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY
        try:
            try:
                fd = self._opened_path(flags)
            except OSError as error:
                if error.errno not in SHORTAGE or not len(self._others):
                    raise
                while file := self._others.oldest():
                    self._close_other(file)
                fd = self._opened_path(flags)
            return self._required(fd)
        except (OSError, ValueError) as error:  # ValueError: a name with a null byte in it
            if isinstance(error, OSError) and error.errno == errno.ENXIO and self._is_pipe():
                if self._syncing or self._names:
                    raise OpenError(self._no_sync(stat.S_IFIFO)) from error
                return -1
            reason = error.strerror if isinstance(error, OSError) else error
            absent = isinstance(error, FileNotFoundError) and not self.make_directories
            hint = ": create its directory, or set `make_directories`" if absent else ""
            raise OpenError(f"cannot write to the file {self._path!r}: {reason}{hint}") from error

    def _opened_path(self, flags: int) -> int:
        try:
            return open_to_append(self._path, flags, 0o666)
        except FileNotFoundError:
            if not self.makes_directories:
                raise
        self._make_folder(os.path.dirname(self._path))  # noqa: PTH120 - a Path would take `.` out of it
        return open_to_append(self._path, flags, 0o666)

    def _required(self, fd: int) -> int:
        """The descriptor, with the mode and owner asked for, if the file is of a kind that will do."""
        mode = os.fstat(fd).st_mode
        if self._ownership and stat.S_ISREG(mode):
            try:
                self._ownership.apply(fd)
            except OSError:
                os.close(fd)
                raise
        if self._names and not stat.S_ISREG(mode):
            os.close(fd)
            raise OpenError(self._no_sync(mode))
        if self._syncing and not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
            os.close(fd)
            raise OpenError(self._no_sync(mode))
        return fd

    def _no_sync(self, mode: int) -> str:
        what = kind_of(mode)
        if self._names:
            return f"cannot write to {self._path!r}, which is {what}: a name with fields in it needs regular files"
        return f"cannot sync {self.filename!r}, which is {what}: `fsync` needs a regular file, or must be `never`"

    def _release(self) -> None:
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        # A stale handle's close fails, and the descriptor is gone all the same.
        with contextlib.suppress(OSError):
            try:
                if self._torn:
                    os.write(fd, b"\n")
            finally:
                if self._syncing:
                    self._syncing.retire(fd)
                else:
                    os.close(fd)
        self._torn = False
