"""Finding the files that are to be followed, by names and patterns."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import stat
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from message_passing.file_identity import file_identity

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_NAMES = 1_000_000
"""The most names that are examined for one pattern."""

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
            for path in islice(glob.iglob(pattern, recursive=True), _MOST_NAMES):  # noqa: PTH207 - of any folder
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
