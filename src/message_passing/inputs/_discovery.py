"""Finding the files that are to be followed, by names and patterns."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import stat
from collections import deque
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from message_passing.file_identity import file_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_MOST_NAMES = 1_000_000
"""The most names that are examined for one pattern, and the most folders for a `**` in it."""

READABLE = (".gz", ".bz2", ".zst")
"""How names of compressed files end that can be read."""

_UNREADABLE = (".xz", ".lz4", ".lz", ".lzma", ".Z", ".zip", ".tgz", *(f"{one}.tmp" for one in READABLE))
"""How those end whose bytes are no lines, or not yet."""


class FoundFile(NamedTuple):
    """A file that a pattern matches.

    Attributes:
        path: its path.
        identity: its device, and its number there.
        size: its bytes.
        modified: when it was last written, in nanoseconds since the epoch.
    """

    path: str
    identity: tuple[int, int]
    size: int
    modified: int


def is_pattern(name: str) -> bool:
    """Whether a name is a pattern, and not that of a file that is there."""
    return glob.has_magic(name) and not os.path.lexists(name)


class FilePatterns:
    """Patterns of paths, and of those that are left out."""

    def __init__(self, patterns: Sequence[str], exclude: Sequence[str], never: Sequence[str]) -> None:
        """Compile them.

        Args:
            patterns: as of `glob.glob`: `*`, `?`, `[a-z]`, and `**` for any number of folders.
            exclude: patterns of paths, or of names, that are left out; `*` matches `/` too.
            never: paths of files that are left out.
        """
        self._patterns = patterns
        self._exclude = re.compile("|".join(map(fnmatch.translate, exclude))) if exclude else None
        self._never = never

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._patterns)

    @property
    def finds_compressed(self) -> bool:
        """Whether compressed files may be among those that it finds."""
        return any(pattern.endswith((*READABLE, "*", "?", "]")) for pattern in self._patterns)

    def matches(self, path: str) -> bool:
        """Whether a file of this path would be found."""
        return not self._leaves_out(path) and any(_matches(path, pattern) for pattern in self._patterns)

    def find(self) -> list[FoundFile]:
        """The regular files that there are now, the one that was written first at the beginning. From any thread."""
        found: dict[tuple[int, int], FoundFile] = {}
        never = {identity for path in self._never if (identity := file_identity(path))}
        for pattern in self._patterns:
            for path in islice(_paths(pattern, set()), _MOST_NAMES):
                if not self._leaves_out(path) and (one := _regular(path)) and one.identity not in never:
                    found[one.identity] = min(
                        one, found.get(one.identity, one)
                    )  # of several names, always one
        return sorted(found.values(), key=attrgetter("modified", "path"))

    def _leaves_out(self, path: str) -> bool:
        if path.endswith(_UNREADABLE):
            return True
        name = os.path.basename(path)  # noqa: PTH119 - called for every file
        return bool(self._exclude and (self._exclude.match(path) or self._exclude.match(name)))


def _paths(pattern: str, seen: set[tuple[str, tuple[int, int]]]) -> Iterator[str]:
    """The paths that a pattern matches; `**` is in each folder once, however many symbolic links lead there.

    Args:
        pattern: an absolute path.
        seen: the folders that were found for what stands behind a `**`.
    """
    base, deep, rest = f"{pattern}/".partition("/**/")
    if not deep:
        yield from glob.iglob(pattern)  # noqa: PTH207 - a text, of any folder
        return
    rest = rest.removesuffix("/")
    folders = _folders(glob.iglob(f"{base}/"), lambda found: _is_new(seen, rest, found))  # noqa: PTH207
    for folder in islice(folders, _MOST_NAMES):
        yield from _paths(f"{glob.escape(folder.rstrip('/'))}/{rest or '*'}", seen)


def _is_new(seen: set[tuple[str, tuple[int, int]]], rest: str, found: tuple[int, int]) -> bool:
    known = len(seen)
    seen.add((rest, found))
    return len(seen) > known


def _folders(bases: Iterable[str], is_new: Callable[[tuple[int, int]], bool]) -> Iterator[str]:
    """Folders and all within them, without hidden ones: those that links lead to come last, if they are new then."""
    folders, links = deque(bases), deque[str]()
    while folders or links:
        folder = (folders or links).popleft()
        if not (identity := file_identity(folder)) or not is_new(identity):
            continue
        yield folder
        try:
            with os.scandir(folder) as entries:
                within = sorted(
                    (entry.path, entry.is_symlink()) for entry in entries if _is_shown_folder(entry)
                )
        except OSError:
            continue  # removed, or not to be read
        for path, is_link in within:
            (links if is_link else folders).append(path)


def _is_shown_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return not entry.name.startswith(".") and entry.is_dir()
    except OSError:
        return False


def _matches(path: str, pattern: str) -> bool:
    """Whether a path is one that a pattern finds, as far as the path alone shows it."""
    return bool(re.match(fnmatch.translate(pattern.replace("**/", "*")), path))


def _regular(path: str) -> FoundFile | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - called for every file
    except (OSError, ValueError):
        return None  # removed, or a link that leads nowhere
    if not stat.S_ISREG(found.st_mode):
        return None
    return FoundFile(path, (found.st_dev, found.st_ino), found.st_size, found.st_mtime_ns)
