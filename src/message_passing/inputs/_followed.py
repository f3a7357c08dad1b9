"""What a followed file asks of its input, of its name and of its lines."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class CutLine(bytes):
    """The beginning of a line that was too long."""

    __slots__ = ()


def line_end(data: bytes, began: int, newline: bytes) -> int:
    """The position after the last complete line in some data; 0 if there is none.

    Args:
        data: a part of a file.
        began: its position in the file.
        newline: of the file's encoding, which stands at a multiple of its length.
    """
    end = len(data)
    while (index := data.rfind(newline, 0, end)) >= 0:
        if (began + index) % len(newline) == 0:
            return began + index + len(newline)
        end = index + len(newline) - 1
    return 0


def require_file(found: os.stat_result) -> None:
    """Require a regular file.

    Raises:
        OSError: it is not: EISDIR for a directory, EINVAL for anything else.
    """
    if not stat.S_ISREG(found.st_mode):
        code = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
        raise OSError(code, os.strerror(code))


def reason_of(error: OSError) -> str:
    """The message for an error of `require_file`, or of the system."""
    return "it is not a regular file" if error.errno == errno.EINVAL else str(error.strerror)


class TailingInput(Protocol):
    """The input that follows files."""

    raw: bool
    max_line: int
    encoding: str
    position_file: str
    join_timeout: float

    @property
    def format(self) -> str:
        """`lines`, `cri` or `docker`."""

    def report(self, error: BaseException, messages: Sequence[Any] = (), count: int | None = None) -> None:
        """See `Component.report`."""

    def fail(self, error: BaseException, messages: Sequence[Any], count: int | None = None) -> None:
        """See `Component.fail`."""


def is_no_copy(_: str) -> bool:
    """Whether something is being copied there: no."""
    return False


def name_state(filename: str) -> tuple[int, ...] | None:
    """What shows whether a name leads to the same file, and whether that has been written: of stat(2)."""
    try:
        found = os.stat(filename)  # noqa: PTH116 - called for every file at each poll
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
