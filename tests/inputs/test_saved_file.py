"""Small files that are kept for the next run: whoever else may write to their folder decides nothing."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from message_passing import secure_files
from message_passing.errors import OpenError
from message_passing.inputs._saved_file import SavedFile, Versioned

if TYPE_CHECKING:
    from pathlib import Path


class Number(Versioned, kw_only=True):
    """What is kept."""

    number: int


def opened(path: Path) -> tuple[SavedFile, Number | None]:
    """One that is in use, and what is in it."""
    file = SavedFile(str(path), "number file")
    return file, file.open(Number, most_bytes=100, remedy="remove it")


def save(path: Path, number: int) -> None:
    """Keep a number for the next run."""
    file, _ = opened(path)
    file.save(Number(version=1, number=number))
    file.close()


def modes(folder: Path) -> dict[str, int]:
    """The permissions of all that is there."""
    return {one.name: stat.S_IMODE(one.lstat().st_mode) for one in folder.iterdir()}


def test_only_its_user_can_read_it(tmp_path: Path) -> None:
    """Whatever the umask is."""
    before = os.umask(0)
    try:
        save(tmp_path / "kept", 1)
    finally:
        os.umask(before)
    assert modes(tmp_path) == {"kept": 0o600, "kept.lock": 0o600}


@pytest.mark.parametrize("trap", ["link", "dangling link", "hard link", "pipe", "file"])
def test_a_trap_is_not_written_to(tmp_path: Path, trap: str) -> None:
    """Somebody may put anything where the new contents come: it is removed, and what it leads to stays as it was."""
    victim, new = tmp_path / "victim", tmp_path / "kept.new"
    if trap != "dangling link":
        victim.write_text("precious")
        victim.chmod(0o644)
    if trap == "hard link":
        new.hardlink_to(victim)
    elif trap == "pipe":
        os.mkfifo(new)
    elif trap == "file":
        new.write_text("theirs")
        new.chmod(0o666)
    else:
        new.symlink_to(victim)
    save(tmp_path / "kept", 1)
    assert victim.read_text() == "precious" if trap != "dangling link" else not victim.exists()
    assert modes(tmp_path)["kept"] == 0o600
    assert not new.exists()
    file, found = opened(tmp_path / "kept")
    file.close()
    assert found == Number(version=1, number=1)


@pytest.mark.parametrize("what", ["kept", "kept.lock"])
def test_one_that_others_can_write_is_refused(tmp_path: Path, what: str) -> None:
    """They would decide what is read again, and what never; it says how to mend that."""
    save(tmp_path / "kept", 1)
    (tmp_path / what).chmod(0o666)
    with pytest.raises(OpenError, match=r"can be written by others .*run `chmod go-w"):
        opened(tmp_path / "kept")
    (tmp_path / what).chmod(0o600)
    file, _ = opened(tmp_path / "kept")  # nobody has it locked
    file.close()


@pytest.mark.parametrize("kind", ["pipe", "folder", "large"])
def test_what_is_no_such_file_is_refused(tmp_path: Path, kind: str) -> None:
    """Without waiting for whoever writes to a pipe."""
    path = tmp_path / "kept"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(b" " * 101)
    with pytest.raises(OpenError, match=r"the number file .* is (a named pipe|a folder|too large)"):
        opened(path)


def test_what_root_makes_belongs_to_the_user_that_it_becomes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that this process, and the next run, can go on saving."""
    given: list[tuple[str, int]] = []

    def chown(path: Path, uid: int, _gid: int, **_: Any) -> None:
        given.append((path.name, uid))

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(secure_files, "_trusted", {0, os.getuid(), 4711})
    monkeypatch.setattr(secure_files, "future_user", lambda: 4711)
    monkeypatch.setattr(os, "chown", chown)
    save(tmp_path / "kept", 1)
    assert given == [("kept.lock", 4711), ("kept.new", 4711)]
