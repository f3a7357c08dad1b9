"""What is to be known of a file that is followed, and of a line of it that was cut."""

from __future__ import annotations

import errno
import os
import stat


class CutLine(bytes):
    """The beginning of a line that was too long."""

    __slots__ = ()


def line_end(data: bytes, began: int, newline: bytes) -> int:
    """The position behind the last line that ends in some data; 0 if none does.

    Args:
        data: a part of a file.
        began: its position there.
        newline: of the file's encoding; it is at a multiple of its length.
    """
    end = len(data)
    while (index := data.rfind(newline, 0, end)) >= 0:
        if (began + index) % len(newline) == 0:
            return began + index + len(newline)
        end = index + len(newline) - 1
    return 0


def require_file(found: os.stat_result) -> None:
    """See that it is a regular file.

    Raises:
        OSError: it is not: EISDIR for a directory, EINVAL for anything else.
    """
    if not stat.S_ISREG(found.st_mode):
        code = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
        raise OSError(code, os.strerror(code))


def reason_of(error: OSError) -> str:
    """What a user is told of an error of `require_file`, or of the system."""
    return "it is not a regular file" if error.errno == errno.EINVAL else str(error.strerror)
