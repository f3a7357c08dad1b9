"""What is said of a spool's directory that cannot be used."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

from message_passing.spool.directory import cannot_use, has_no_room


def full() -> sqlite3.Error:
    """What SQLite raises where a database may not grow."""
    db = sqlite3.connect(":memory:")
    db.execute("PRAGMA max_page_count = 1")
    try:
        db.execute("CREATE TABLE t (a)")
        db.execute("INSERT INTO t VALUES (zeroblob(100000))")
    except sqlite3.Error as error:
        return error
    finally:
        db.close()
    raise AssertionError


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "x"), OSError(errno.EDQUOT, "x"), full()], ids=["disk", "quota", "SQLite"]
)
def test_a_full_disk_is_said_to_be_full(error: Exception) -> None:
    """Whoever notices it, and what to do."""
    assert has_no_room(error)
    told = cannot_use(Path("/x"), error)
    assert (
        told
        == "cannot use the spool directory '/x': its disk is full: make room there, or name another directory"
    )
    assert not has_no_room(OSError(errno.EACCES, "x"))
