"""The files that one input follows: those that it was given, and those that it finds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from message_passing.clock import monotonic
from message_passing.errors import OpenError
from message_passing.inputs._compressed_file import CompressedFile
from message_passing.inputs._discovery import READABLE
from message_passing.inputs._followed import reason_of
from message_passing.inputs._followed_file import FollowedFile
from message_passing.inputs._known_files import KnownFiles
from message_passing.inputs._rotation import is_rotated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from message_passing.inputs._discovery import FilePatterns, FoundFile
    from message_passing.inputs._followed import TailingInput
    from message_passing.inputs._position import FilePlace, SavedPlace

_IDLE = 10.0
"""Seconds after which a file that nothing was read of makes room, if others need it."""


class FollowedFiles:
    """Bounded in number, and in how many of them are open.

    Attributes:
        refused: how many files were found and are not followed, since there are too many.
    """

    def __init__(
        self, tail: TailingInput, names: Sequence[str], patterns: FilePatterns, *, most: int, most_open: int
    ) -> None:
        """None is opened yet.

        Args:
            tail: the input.
            names: files that are followed whether they are there or not.
            patterns: find others.
            most: the most files that are found, and the most positions that are kept of others.
            most_open: the most files that are open at a time.
        """
        self.refused = 0
        self._tail, self._patterns = tail, patterns
        self._most, self._most_open = most, most_open
        self._known = KnownFiles(most)
        self._known.has_compressed = patterns.finds_compressed or any(
            name.endswith(READABLE) for name in names
        )
        self._named = {name: _follower(name, tail, self._known) for name in names}
        self._files = dict(self._named)
        for file in self._named.values():
            file.is_copy = self._is_copy
        self._named_paths = {str(Path(name).absolute()) for name in names}
        self._open = 0
        self._lacked_room = False
        self._told_refused = False
        self._sweep_at = 0.0
        self._busy: list[FollowedFile] = []

    def __len__(self) -> int:
        """How many files are followed."""
        return len(self._files)

    def __iter__(self) -> Iterator[FollowedFile]:
        """The files."""
        return iter(tuple(self._files.values()))

    @property
    def open_count(self) -> int:
        """How many are open."""
        return self._open

    @property
    def forgotten(self) -> int:
        """Positions that were forgotten, because there were too many."""
        return self._known.forgotten

    def is_followed(self, identity: tuple[int, int], path: str) -> bool:
        """Whether a file, by device and number, is read, to which a path leads if it is there."""
        return not self._known.is_free(identity, None, path)

    def open(self, saved: Sequence[SavedPlace], *, at_end: bool, is_first: bool) -> None:
        """Open those that are there.

        Args:
            saved: what was reached by an earlier run.
            at_end: begin at the end of those of which nothing is saved.
            is_first: whether there has been no earlier run: otherwise files that are found now are new.

        Raises:
            OpenError: one that was named is no file.
        """
        self._known.restore(saved)
        saved = [one for one in saved if not one.gone]
        last = {one.filename: one.place for one in saved}
        only = saved[-1].place if saved and len(self._files) == 1 and not self._patterns else None
        for name, file in self._named.items():
            try:
                self._open_file(file, at_end=at_end, resume=only or last.get(str(Path(name).absolute())))
            except (OSError, ValueError) as error:
                reason = reason_of(error) if isinstance(error, OSError) else error
                raise OpenError(
                    f"cannot follow {name if isinstance(error, OSError) else repr(name)}: {reason}"
                ) from error
        found = self._patterns.find()
        paths = {one.identity: one.path for one in found}
        for name, place in last.items():
            # If another name that is found leads to it now, that one goes on.
            if (
                name not in self._files
                and self._patterns.matches(name)
                and paths.get(place.identity, name) == name
            ):
                self._add(name, at_end=False, resume=place)
        self._adopt(found, {}, at_end=at_end and is_first)

    def adopt(self, found: Sequence[FoundFile]) -> None:
        """Follow, from its beginning, what `FilePatterns.find` has found and is not followed yet."""
        new = [
            one
            for one in found
            if one.path not in self._files and not self.is_followed(one.identity, one.path)
        ]
        folders: dict[str, list[FollowedFile]] = {}
        if new:
            for name, file in self._files.items():
                folders.setdefault(os.path.dirname(name), []).append(file)  # noqa: PTH120 - of every file
        self._adopt(new, folders, at_end=False)

    def _adopt(
        self, found: Sequence[FoundFile], folders: dict[str, list[FollowedFile]], *, at_end: bool
    ) -> None:
        refused = 0
        for one in found:
            if one.path in self._files or one.path in self._named_paths:
                continue
            folder = os.path.dirname(one.path)  # noqa: PTH120 - of every file
            if self.is_followed(one.identity, one.path) or _is_copy(one.path, folders.get(folder, ())):
                continue
            if len(self._files) - len(self._named) >= self._most:
                refused += 1
                continue
            self._add(one.path, at_end=at_end)
        self.refused = refused
        if refused and not self._told_refused:
            text = f"{refused} files are not read: {self._most} are followed already (max_files)"
            self._tail.report(OpenError(text))
        self._told_refused = bool(refused)

    def due(self, interval: float) -> list[FollowedFile]:
        """Those to look at now: all, each `interval` seconds; meanwhile, those that had more."""
        now = monotonic()
        if now < self._sweep_at:
            busy, self._busy = self._busy, []
            return busy
        self._sweep_at = now + interval
        self._busy = []
        return list(self._files.values())

    def look(self, file: FollowedFile) -> None:
        """Read a chunk of it."""
        was_open = file.is_open
        if file.look():
            self._busy.append(file)
        self._count(file, was_open)

    def has_more(self) -> bool:
        """Whether some are to be looked at again at once."""
        return bool(self._busy)

    def leave_gone(self, seconds: float) -> list[FollowedFile]:
        """Stop following what has been away for so long, and what only this process keeps from being removed.

        Returns:
            Those that are no more followed, or not now, whose lines are still to be taken.
        """
        left = []
        before = monotonic() - seconds
        for name, file in tuple(self._files.items()):
            if file.gone_since is None or file.gone_since > before:
                continue
            named = name in self._named
            if named and not file.is_removed():
                continue
            was_open = file.is_open
            file.leave(rest=True)
            self._open -= was_open
            if not named:
                del self._files[name]
            left.append(file)
        if self._lacked_room:
            self._make_room()
        self._tell_missing()
        return left

    def _tell_missing(self, *, last: bool = False) -> None:
        for text in self._known.overdue(last=last):
            self._tail.report(OpenError(text))

    def close(self) -> None:
        """Close all."""
        self._tell_missing(last=True)
        for file in self._files.values():
            file.close()

    def _add(self, name: str, *, at_end: bool, resume: FilePlace | None = None) -> None:
        file = self._files[name] = _follower(name, self._tail, self._known, waits=False)
        file.is_copy = self._is_copy
        try:
            self._open_file(file, at_end=at_end, resume=resume)
        except (OSError, ValueError):  # no file any more
            del self._files[name]

    def _open_file(self, file: FollowedFile, *, at_end: bool, resume: FilePlace | None) -> None:
        file.open(at_end=at_end, resume=resume)
        self._count(file, was_open=False)

    def _count(self, file: FollowedFile, was_open: bool) -> None:
        self._open += file.is_open - was_open
        if file.is_open and self._open > self._most_open:
            file.park()
            self._open -= 1
            self._lacked_room = True

    def _is_copy(self, path: str) -> bool:
        folder = os.path.dirname(path) + os.sep  # noqa: PTH120 - as it was given
        return _is_copy(path, [file for name, file in self._files.items() if name.startswith(folder)])

    def _make_room(self) -> None:
        """Close those that are idle: which others lack room is not known, so half of the room is made at most."""
        self._lacked_room = False
        before = monotonic() - _IDLE
        idle = sorted((one for one in self if one.is_open and one.last_read < before), key=_last_read)
        for file in idle[: max(1, self._most_open // 2)]:
            file.park()
            self._open -= 1


def _follower(name: str, tail: TailingInput, known: KnownFiles, *, waits: bool = True) -> FollowedFile:
    kind = CompressedFile if name.endswith(READABLE) else FollowedFile
    return kind(name, tail, known, waits=waits)


def _is_copy(path: str, files: Iterable[FollowedFile]) -> bool:
    """Whether one of the files is being copied there, to be truncated: then its rest is read from there."""
    name = os.path.basename(path)  # noqa: PTH119 - of every file
    for file in files:
        base = Path(file.filename)
        if path != file.filename and name.startswith(base.stem) and is_rotated(path, file.filename):
            try:
                return not Path(path).stat().st_size or file.has_copy(path)
            except OSError:
                return True  # it will be looked at once more
    return False


def _last_read(file: FollowedFile) -> float:
    return file.last_read
