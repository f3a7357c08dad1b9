"""Files that root writes in folders of others: nobody can point it at another file."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from message_passing.errors import OpenError
from message_passing.outputs.file import FileOutput
from message_passing.testing import TestOutput

if TYPE_CHECKING:
    from pathlib import Path

SOMEBODY = 54321

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="what root may do, others may not")


@pytest.fixture(name="theirs")
def fixture_theirs(tmp_path: Path) -> Path:
    """A folder of another user, beside a file of root's that must stay as it is."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, SOMEBODY, SOMEBODY)
    (tmp_path / "precious").write_bytes(b"root's\n")
    return folder


def put(what: str, path: Path, precious: Path) -> None:
    """What another user may put in the place of a file."""
    if what == "link":
        path.symlink_to(precious)
    elif what == "broken link":
        path.symlink_to(precious.parent / "new")
    elif what == "hard link":
        path.hardlink_to(precious)
        return
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as listens:
            listens.bind(os.path.relpath(path))
    os.lchown(path, SOMEBODY, SOMEBODY)


KINDS = {
    "link": "is a symbolic link of the user number 54321, which root does not follow",
    "broken link": "is a symbolic link of the user number 54321, which root does not follow",
    "hard link": "it has another name elsewhere",
    "pipe": "it is a named pipe",
    "socket": "it is a socket",
}


@pytest.mark.parametrize("append", [True, False])
@pytest.mark.parametrize("what", KINDS)
def test_what_another_user_put_there_is_refused_at_the_start(theirs: Path, what: str, append: bool) -> None:
    """Nothing is made, emptied or written elsewhere, and nothing waits for a pipe's reader."""
    precious = theirs.parent / "precious"
    put(what, theirs / "log", precious)
    output = FileOutput(filename=str(theirs / "log"), append=append)
    with pytest.raises(OpenError, match=KINDS[what]):
        output.open()
    output.close()
    assert precious.read_bytes() == b"root's\n"
    assert not (theirs.parent / "new").exists()


@pytest.mark.parametrize("what", KINDS)
def test_what_is_swapped_in_is_refused_at_the_next_opening(theirs: Path, what: str) -> None:
    """As at SIGHUP: that is reported, and the old file goes on being written."""
    precious = theirs.parent / "precious"
    errors = TestOutput()
    with FileOutput(filename=str(theirs / "log"), error=errors) as output:
        (theirs / "log").rename(theirs / "old")
        put(what, theirs / "log", precious)
        output.reopen()
        output.consume(b"line")
        assert KINDS[what] in errors.messages[0]["exception"]
    assert (theirs / "old").read_bytes() == b"line\n"
    assert precious.read_bytes() == b"root's\n"


def test_a_link_further_up_the_path_is_refused_too(theirs: Path) -> None:
    """Whoever owns a folder may put a link in the place of one in it."""
    (theirs / "logs").symlink_to(theirs.parent)
    os.lchown(theirs / "logs", SOMEBODY, SOMEBODY)
    output = FileOutput(filename=str(theirs / "logs" / "precious"))
    with pytest.raises(OpenError, match="'logs' in it is a symbolic link of the user number 54321"):
        output.open()
    output.close()


def test_what_root_may_write_there(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new file, and one that is theirs, with `append` or without; links of root's, wherever they lead."""
    (theirs / "log").write_bytes(b"old\n")
    os.chown(theirs / "log", SOMEBODY, SOMEBODY)
    (theirs.parent / "logs").symlink_to("theirs")
    (theirs.parent / "logs" / "there").symlink_to(theirs.parent / "precious")
    monkeypatch.chdir(theirs.parent)
    for name, append in (
        ("logs/log", False),
        ("logs/new", True),
        ("logs/../precious", True),
        ("logs/there", True),
    ):
        with FileOutput(filename=name, append=append) as output:
            output.consume(b"new")
    assert (theirs / "log").read_bytes() == (theirs / "new").read_bytes() == b"new\n"
    assert (theirs.parent / "precious").read_bytes() == b"root's\nnew\nnew\n"


def test_devices_pipes_and_loops_in_folders_of_root(tmp_path: Path) -> None:
    """They are root's choice; a loop of links ends."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    through, written = os.pipe()
    try:
        for name in (str(tmp_path / "pipe"), "/dev/null", f"/dev/fd/{written}"):
            with FileOutput(filename=name) as output:
                output.consume(b"line")
        assert os.read(reader, 99) == b"line\n"
        assert os.read(through, 99) == b"line\n"
    finally:
        for one in (reader, through, written):
            os.close(one)
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    output = FileOutput(filename=str(tmp_path / "a"))
    with pytest.raises(OpenError, match="Too many levels of symbolic links"):
        output.open()
    output.close()
