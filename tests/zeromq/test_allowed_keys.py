"""The folder of allowed keys: what may be in it, who may write it, and that every change is seen."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.errors import OpenError
from message_passing.secure_files import trust
from message_passing.zeromq.allowed_keys import AllowedKeys
from message_passing.zeromq.keys import write_public

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
OTHER = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
TEXT = f'curve\n    public-key = "{KEY}"\n'
SOMEBODY = 54321

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user")


def now_in(keys: AllowedKeys) -> dict[str, str]:
    """The names by their keys, read again at once."""
    keys._looked = -1.0
    return keys.all()


def socket_at(path: Path) -> None:
    """A unix socket."""
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path has 107 bytes at most
    try:
        with socket.socket(socket.AF_UNIX) as listens:
            listens.bind(path.name)
    finally:
        os.chdir(here)


def sparse(path: Path) -> None:
    """A file of a terabyte that takes no room."""
    path.touch()
    os.truncate(path, 1 << 40)


def writable(mode: int) -> Callable[[Path], None]:
    """Makes a good key file with a mode."""

    def make(path: Path) -> None:
        path.write_text(TEXT)
        path.chmod(mode)

    return make


TRAPS: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "is a named pipe: put a regular file in its place"),
    "socket": (socket_at, "is a socket"),
    "folder": (Path.mkdir, "is a folder"),
    "endless": (lambda path: path.symlink_to("/dev/zero"), "is a symbolic link"),
    "link": (lambda path: path.symlink_to(path.parent.parent / "elsewhere.key"), "is a symbolic link"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "is a symbolic link"),
    "large": (lambda path: path.write_text(TEXT + " " * 4096), "is too large: it may have 4,096 bytes"),
    "sparse": (sparse, "is too large"),
    "no text": (lambda path: path.write_bytes(b"\xff\x00"), "there is no public-key in the file"),
    "more than 32 bytes": (
        lambda path: path.write_text(f'public-key = "{"#" * 40}"\n'),
        "there is no public-key in the file",
    ),
    "short": (lambda path: path.write_text('public-key = "short"\n'), "there is no public-key in the file"),
    "empty": (lambda path: path.touch(), "there is no public-key in the file"),
    "group": (writable(0o664), "can be written by others (its mode is 0664)"),
    "world": (writable(0o666), "run `chmod go-w "),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_in_the_folder_allows_nobody_and_harms_nobody(tmp_path: Path, trap: str) -> None:
    """It is reported, it is not waited for, and the keys beside it are allowed."""
    folder = tmp_path / "allowed"
    write_public(folder / "good.key", OTHER.encode())
    (tmp_path / "elsewhere.key").write_text(TEXT)
    make, text = TRAPS[trap]
    make(folder / "trap.key")
    keys = AllowedKeys(str(folder))
    keys.check()
    assert keys.all() == {OTHER: "good"}
    (problem,) = keys.problems
    assert text in problem
    assert str(folder / "trap.key") in problem


@pytest.mark.parametrize(
    "name",
    [b"\xff\xfe.key", b"a\nb.key", b"\x1b[31m.key", "a\u202eb.key".encode(), "good\u3164.key".encode()],
)
def test_a_name_that_cannot_be_shown_allows_nobody(tmp_path: Path, name: bytes) -> None:
    """It is reported escaped: it could not be in a message, and should not be on a terminal."""
    write_public(tmp_path / "good.key", OTHER.encode())
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text(TEXT)
    keys = AllowedKeys(str(tmp_path))
    assert keys.all() == {OTHER: "good"}
    (problem,) = keys.problems
    assert "has characters that cannot be shown" in problem
    assert problem.isprintable()
    assert problem.isascii()


def test_names_of_other_languages_and_hidden_files(tmp_path: Path) -> None:
    """The first are names like any other; the second are passed by, without a word."""
    write_public(tmp_path / "büro 1.key", KEY.encode())
    write_public(tmp_path / ".web-1.key", OTHER.encode())
    write_public(tmp_path / "notes.txt", OTHER.encode())
    keys = AllowedKeys(str(tmp_path))
    assert (keys.all(), keys.problems) == ({KEY: "büro 1"}, [])


def test_a_folder_that_others_may_write_is_an_error_at_the_start_and_allows_nobody_later(
    tmp_path: Path,
) -> None:
    """Whoever may write it could put a key of his own there; the sentence says what to run."""
    folder = tmp_path / "allowed"
    write_public(folder / "web-1.key", KEY.encode())
    keys = AllowedKeys(str(folder))
    assert now_in(keys) == {KEY: "web-1"}
    for mode in (0o777, 0o770, 0o1777, 0o702):
        folder.chmod(mode)
        with pytest.raises(
            OpenError, match=rf"can be written by others \(its mode is {mode:04o}\): run `chmod go-w"
        ):
            AllowedKeys(str(folder)).check()
        assert now_in(keys) == {}
        assert "can be written by others" in keys.problems[0]
    folder.chmod(0o755)
    assert (now_in(keys), keys.problems) == ({KEY: "web-1"}, [])


@needs_root
def test_what_belongs_to_another_user_allows_nobody(tmp_path: Path) -> None:
    """File or folder: its owner may give himself the right to write at any time."""
    folder = tmp_path / "allowed"
    write_public(folder / "web-1.key", KEY.encode())
    keys = AllowedKeys(str(folder))
    os.chown(folder / "web-1.key", SOMEBODY, -1)
    assert now_in(keys) == {}
    assert "belongs to the user number 54321, who could change it" in keys.problems[0]
    os.chown(folder / "web-1.key", 0, -1)
    assert now_in(keys) == {KEY: "web-1"}
    os.chown(folder, SOMEBODY, -1)
    assert now_in(keys) == {}
    with pytest.raises(OpenError, match="belongs to the user number 54321"):
        AllowedKeys(str(folder)).check()


@needs_root
def test_files_may_belong_to_the_user_that_the_server_will_become(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `--user` the folder is looked at before, as root, and read after."""
    monkeypatch.setattr("message_passing.secure_files._trusted", {0})
    write_public(tmp_path / "web-1.key", KEY.encode())
    for path in (tmp_path, tmp_path / "web-1.key"):
        os.chown(path, SOMEBODY, -1)
    keys = AllowedKeys(str(tmp_path))
    assert now_in(keys) == {}
    trust(SOMEBODY)
    keys.check()
    assert now_in(keys) == {KEY: "web-1"}


@pytest.mark.parametrize("moment", [0, 1, 1_700_000_000, 4_000_000_000])
def test_a_change_is_seen_whatever_the_times_of_the_file_say(tmp_path: Path, moment: int) -> None:
    """Replaced or written over by one of the same size and time, at once or after it was seen for long."""
    path = tmp_path / "web-1.key"
    write_public(path, KEY.encode())
    os.utime(path, (moment, moment))
    keys = AllowedKeys(str(tmp_path))
    assert now_in(keys) == {KEY: "web-1"}
    path.write_text(TEXT.replace(KEY, OTHER))
    os.utime(path, (moment, moment))
    assert now_in(keys) == {OTHER: "web-1"}
    write_public(tmp_path / "new", KEY.encode())
    os.utime(tmp_path / "new", (moment, moment))
    (tmp_path / "new").rename(path)
    assert now_in(keys) == {KEY: "web-1"}


def test_a_file_that_has_not_changed_for_long_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was changed just now, or in the future, is: two changes may bear the same time."""
    path = tmp_path / "web-1.key"
    write_public(path, KEY.encode())
    changed = path.stat().st_ctime
    opened = []
    really = os.open

    def noted(*given: Any, **more: Any) -> int:
        opened.append(given)
        return really(*given, **more)

    monkeypatch.setattr(os, "open", noted)
    for now, reads in ((changed + 1, 2), (changed - 1000, 2), (changed + 10, 1)):
        monkeypatch.setattr("message_passing.zeromq.allowed_keys.time.time", lambda now=now: now)
        keys = AllowedKeys(str(tmp_path))
        opened.clear()
        assert now_in(keys) == now_in(keys) == {KEY: "web-1"}
        assert len(opened) == reads


def test_the_number_of_keys_has_a_bound(tmp_path: Path) -> None:
    """Those that were allowed before stay so; what is beyond is reported with the bound."""
    for number in range(5):
        (tmp_path / f"{number}.key").write_text(TEXT)
    keys = AllowedKeys(str(tmp_path), most=5)
    assert (len(now_in(keys)), keys.problems) == (1, [])
    for number in range(5, 30):
        (tmp_path / f"{number}.key").write_text(TEXT)
    now_in(keys)
    assert sorted(keys.by_name()) == ["0", "1", "2", "3", "4"]
    assert "there are more than 5 keys" in keys.problems[0]


def test_many_problems_are_reported_as_a_few_and_their_number(tmp_path: Path) -> None:
    """A folder full of traps makes no flood of reports."""
    for number in range(50):
        os.mkfifo(tmp_path / f"{number}.key")
    keys = AllowedKeys(str(tmp_path))
    assert keys.all() == {}
    assert len(keys.problems) == 6
    assert keys.problems[-1] == "and 45 more problems of this kind"


def test_a_folder_that_is_gone_or_none(tmp_path: Path) -> None:
    """It allows nobody; at the start it is an error."""
    write_public(tmp_path / "allowed" / "web-1.key", KEY.encode())
    keys = AllowedKeys(str(tmp_path / "allowed"))
    assert keys.all()
    (tmp_path / "allowed").rename(tmp_path / "moved")
    assert now_in(keys) == {}
    assert "cannot be read: No such file or directory" in keys.problems[0]
    (tmp_path / "moved").rename(tmp_path / "allowed")
    assert now_in(keys) == {KEY: "web-1"}
    for name, text in (
        ("none", "there is no such folder"),
        ("file", "is a file"),
        ("pipe", "is a named pipe"),
    ):
        if name == "file":
            (tmp_path / name).write_text(TEXT)
        if name == "pipe":
            os.mkfifo(tmp_path / name)
        with pytest.raises(OpenError, match=text):
            AllowedKeys(str(tmp_path / name)).check()
        assert AllowedKeys(str(tmp_path / name)).all() == {}


@pytest.mark.parametrize(
    ("number", "stays"), [(errno.EMFILE, True), (errno.ENFILE, True), (errno.ESTALE, False)]
)
def test_a_process_without_descriptors_revokes_nobody_but_a_file_that_cannot_be_read_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, stays: bool
) -> None:
    """And a key that is removed meanwhile is revoked: to see that takes no descriptor."""
    write_public(tmp_path / "web-1.key", KEY.encode())
    keys = AllowedKeys(str(tmp_path))
    assert keys.all() == {KEY: "web-1"}

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr("message_passing.zeromq.allowed_keys.os.scandir", refuse)
        patch.setattr("message_passing.secure_files.os.open", refuse)
        assert now_in(keys) == ({KEY: "web-1"} if stays else {})
        (tmp_path / "web-1.key").unlink()
        assert now_in(keys) == {}
    assert now_in(keys) == {}
