"""Finds a log file that was rotated: by its contents, whatever its name is now."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from message_passing.inputs._position import COMPARED, is_at, is_reborn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from message_passing.inputs._position import FilePlace

_MOST_FILES = 100_000
"""The most files of a directory that are examined."""

_LOOKS = 5
"""How often a directory is listed, at most, until two listings agree."""

ROTATION_SUFFIX = r"(?:[.-]\d[\dTZ_.:-]*|\.old)"
"""What rotation adds to a name: `.1`, `-20261126`, `.2026-11-26_02-10`."""


def find_place(filename: str, place: FilePlace) -> str | None:
    """The path of the file that has this position now, or of a copy of it; None if there is none.

    Args:
        filename: the path that the file had.
        place: the position.

    Raises:
        OSError: files are being renamed all the time.
    """
    if _is_in_place(filename, place):
        return filename
    for _ in range(_LOOKS):
        with contextlib.suppress(FileNotFoundError):  # it has just been renamed
            return _find_place(filename, place)
    raise being_rotated()


def _is_in_place(filename: str, place: FilePlace) -> bool:
    """Whether it is certain, without looking at other files, that this one has the position."""
    if not (place.position or place.born):
        return False
    try:
        found = Path(filename).stat()
        same = stat.S_ISREG(found.st_mode) and found.st_size >= place.position and _is_same(found, place)
        return same and _has(filename, found, place, same=True)
    except OSError:
        return False


def being_rotated() -> OSError:
    """Files are being renamed faster than they can be found."""
    return OSError(errno.EAGAIN, "it is being rotated")


def _find_place(filename: str, place: FilePlace) -> str | None:
    names = _names(filename)
    entries = [(path, found) for path, found in _files(filename) if found.st_size >= place.position]
    same = [(path, found) for path, found in entries if _is_same(found, place)]
    path = next((path for path, found in same if _has(path, found, place, same=True)), None)
    if not place.position:
        another = path and not place.born and _follows_another(path, entries, filename, place)
        return None if another else path
    if path:
        return path
    copies = [
        (found.st_mtime_ns, path, found)
        for path, found in entries
        # Its own name leads to a new file, which may begin as the former one did: a few bytes prove nothing.
        if _is_rotated_any(path, names) and (path != filename or place.position >= COMPARED)
    ]
    copies.sort(key=itemgetter(0), reverse=True)
    return next((path for _, path, found in copies if _has(path, found, place)), None)


def next_file(filename: str, since: int, is_read: Callable[[str, os.stat_result], bool]) -> str:
    """The path of the next file to read: one that was rotated since then and not read, the oldest first.

    Args:
        filename: the path that is followed, which comes last.
        since: when the previous one was last written, in nanoseconds since the epoch.
        is_read: whether a file has been read, or is by somebody else.

    Raises:
        OSError: files are being renamed all the time.
    """
    names = _names(filename)
    later = [
        (found.st_mtime_ns, path)
        for path, found in _files(filename)
        if path != filename and _is_rotated_any(path, names) and found.st_size and found.st_mtime_ns >= since
        if not is_read(path, found) and not _is_named(found, filename)
    ]
    return min(later)[1] if later else filename


def _is_same(found: os.stat_result, place: FilePlace) -> bool:
    # The device's number may change at the next boot: the file's contents are more reliable.
    return found.st_ino == place.inode and (bool(place.position) or found.st_dev == place.device)


def _follows_another(
    path: str, entries: list[tuple[str, os.stat_result]], filename: str, place: FilePlace
) -> bool:
    """Whether a file was rotated since the place was marked and before this one was last written.

    A beginning has no bytes to compare, and the number of a file that was removed is given to a new one: such a file
    came later than the one that is looked for.
    """
    ended = next(found.st_mtime_ns for name, found in entries if name == path)
    names = _names(filename)
    return any(
        place.modified < found.st_mtime_ns < ended and found.st_size and found.st_ino != place.inode
        for name, found in entries
        if name != filename and _is_rotated_any(name, names)
    )


def _is_named(found: os.stat_result, filename: str) -> bool:
    try:
        return os.path.samestat(found, Path(filename).stat())
    except OSError:
        return False


def _files(filename: str) -> list[tuple[str, os.stat_result]]:
    """Regular files beside it, and itself, while no rotation moves them.

    Raises:
        OSError: files are being renamed all the time.
    """
    found = list(_candidates(filename))
    for _ in range(_LOOKS):
        before, found = found, list(_candidates(filename))
        if {(path, one.st_ino) for path, one in before} == {(path, one.st_ino) for path, one in found}:
            return found
    raise being_rotated()


def _candidates(filename: str) -> Iterator[tuple[str, os.stat_result]]:
    """Regular files beside it, and itself: first."""
    here = Path(filename)
    with contextlib.suppress(OSError):
        found = here.stat()
        if stat.S_ISREG(found.st_mode):
            yield filename, found
    for folder in dict.fromkeys((here.parent, Path(os.path.realpath(filename)).parent)):
        try:
            with os.scandir(folder) as entries:
                for entry in islice(entries, _MOST_FILES):
                    if entry.is_file(follow_symlinks=False) and entry.name != here.name:
                        with contextlib.suppress(FileNotFoundError):  # it has been renamed
                            yield entry.path, entry.stat(follow_symlinks=False)
        except OSError:  # it no longer exists, or may not be read
            continue


def _names(filename: str) -> tuple[str, ...]:
    """The name, and that of the file to which it leads if it is a link: rotation may rename that."""
    return tuple(dict.fromkeys((filename, os.path.realpath(filename))))


def _is_rotated_any(path: str, names: tuple[str, ...]) -> bool:
    return any(is_rotated(path, name) for name in names)


def is_rotated(path: str, filename: str) -> bool:
    """Whether rotation turns one name, `filename`, into the other; also if they are the same."""
    name, base = Path(path).name, Path(filename)
    if path == filename:
        return True
    between = rf"{re.escape(base.stem)}{ROTATION_SUFFIX}{re.escape(base.suffix)}" if base.suffix else "$."
    return bool(re.fullmatch(rf"{re.escape(base.name)}{ROTATION_SUFFIX}|{between}", name))


def _has(path: str, found: os.stat_result, place: FilePlace, *, same: bool = False) -> bool:
    """Whether the file found there has the position, and is not a later one with the same number if it must be that.

    Raises:
        FileNotFoundError: it no longer exists.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError:
        return False
    try:
        if not os.path.samestat(os.fstat(fd), found):
            raise FileNotFoundError(errno.ENOENT, "it has been renamed", path)
        return is_at(fd, place) and not (same and is_reborn(fd, place))
    finally:
        os.close(fd)
