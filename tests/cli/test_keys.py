"""The command `message-passing keys`: files, rights, and mistakes."""

from __future__ import annotations

import json
import os
import resource
import stat
from typing import TYPE_CHECKING

import pytest
import zmq
from zmq.auth import load_certificate

from message_passing.cli.commands import keys
from message_passing.zeromq.keys import PUBLIC, SECRET, secret_key, write_public
from nodes import OURS, node

if TYPE_CHECKING:
    from pathlib import Path

KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"  # the server's of zmq_curve(7)
OTHER = 'public-key = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"'
TEXT = f'curve\n    public-key = "{KEY}"\n'


def run(*words: object) -> int:
    """The command's exit status."""
    return keys.COMMAND.main([str(word) for word in words])


def test_a_new_pair_is_its_owners_and_known_to_pyzmq(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secret is written readable by nobody else whatever the umask, in the form that CZMQ and pyzmq share."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert run("new", "web-1") == 0
    folder = tmp_path / "message-passing" / "keys"
    secret = folder / f"web-1{SECRET}"
    assert (stat.S_IMODE(secret.stat().st_mode), stat.S_IMODE(folder.stat().st_mode)) == (0o600, 0o700)
    public, private = load_certificate(secret)
    assert private
    assert zmq.curve_public(private) == public == load_certificate(folder / f"web-1{PUBLIC}")[0]
    assert f"message-passing keys allow web-1 '{public.decode()}'\n" in capsys.readouterr().out
    assert secret_key(str(secret)) == private


def test_a_folder_of_allowed_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Allowed, listed for people and for programs, revoked."""
    folder = tmp_path / "allowed"
    assert run("allow", "web-1", KEY, "--folder", folder) == 0
    capsys.readouterr()
    assert run("list", "--folder", folder) == 0
    assert capsys.readouterr().out == f"web-1\t{KEY}\n"
    assert run("list", "--json", "--folder", folder) == 0
    assert json.loads(capsys.readouterr().out) == {"web-1": KEY}
    assert run("revoke", "web-1", "--folder", folder) == 0
    assert list(folder.iterdir()) == []


def test_a_key_may_begin_like_an_option(tmp_path: Path) -> None:
    """One of 85 does."""
    key = ""
    while not key.startswith("-"):
        key = zmq.curve_keypair()[0].decode()
    assert run("allow", "web-1", key, "--folder", tmp_path) == 0


def test_a_key_may_be_named_by_its_file(tmp_path: Path) -> None:
    """As it was copied from the client."""
    write_public(tmp_path / "copied.key", KEY.encode())
    assert run("allow", "web-1", tmp_path / "copied.key", "--folder", tmp_path / "allowed") == 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["new", "web/1"], "web/1: a name may contain only letters, digits, and . _ - @ only"),
        (
            ["new", "--", "-web"],
            "-web: a name may contain only letters, digits, and . _ - @, and must not begin with . or -",
        ),
        (["new", "../web"], "../web: a name has"),
        (["new", ".web"], ".web: a name has"),
        (["new", "web\n1"], r"'web\n1': a name has"),
        (["new", "web\x1b[31m"], r"'web\x1b[31m': a name has"),
        (["new", "b\udcffb"], r"'b\udcffb': a name has"),
        (["new", "w" * 300], "a name has at most 200 characters"),
        (["new", ""], "a name may contain only letters"),
        (["allow", "../../web", KEY, "--folder", "{}"], "../../web: a name has"),
        (["allow", "web\x001", KEY, "--folder", "{}"], r"'web\x001': a name has"),
        (["allow", "x", "/dev/zero", "--folder", "{}"], "the key file '/dev/zero' is a device"),
        (["allow", "x", "{}", "--folder", "{}"], "is a folder: put a regular file in its place"),
        (["allow", "x", "{}/pipe", "--folder", "{}"], "is a named pipe: put a regular file in its place"),
        (["revoke", "../precious", "--folder", "{}/keys"], "there is no key '../precious' in {}/keys"),
        (["revoke", "{}/precious", "--folder", "{}/keys"], "there is no key '{}/precious' in {}/keys"),
        (["revoke", "../keys/old", "--folder", "{}/keys"], "there is no key '../keys/old' in {}/keys"),
        (["revoke", "a\x00b", "--folder", "{}"], r"there is no key 'a\x00b'"),
        (["revoke", "a\nb\x1b", "--folder", "{}"], r"there is no key 'a\nb\x1b'"),
        (["revoke", "", "--folder", "{}"], "there is no key ''"),
        (["revoke", "w" * 300, "--folder", "{}"], "there is no key 'www"),
        (
            ["revoke", "x", "--folder", "{}/none"],
            "cannot read the folder '{}/none': No such file or directory",
        ),
        (["new", "old", "--folder", "{}"], "old.key_secret exists already"),
        (["allow", "web-2", KEY, "--folder", "{}"], "this key is allowed already, as 'web-1'"),
        (["allow", "web-1", "no key", "--folder", "{}"], "cannot read the key file 'no key': No such file"),
        (
            ["allow", "x", "{}/old.key_secret", "--folder", "{}"],
            "that is a secret key, which must stay private",
        ),
        (["revoke", "web1", "--folder", "{}"], "there is no key 'web1' in {} (did you mean 'web-1'?)"),
        (["list", "--folder", "{}/none"], "there is no such folder"),
        (["alow"], "invalid choice: 'alow'"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], text: str) -> None:
    """Each ends with status 2 and a sentence, and removes nothing."""
    assert run("new", "old", "--folder", tmp_path) == 0
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys" / "old.key").write_text(OTHER)
    (tmp_path / "precious.key").write_text(OTHER)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "old.key").unlink()
    assert run("allow", "web-1", KEY, "--folder", tmp_path) == 0
    assert run(*(word.replace("{}", str(tmp_path)) for word in words)) == 2
    said = capsys.readouterr().err
    assert said.startswith("message-passing keys: ")
    assert text.replace("{}", str(tmp_path)) in said
    assert said.rstrip("\n").isprintable()
    assert (tmp_path / "keys" / "old.key").exists()
    assert (tmp_path / "precious.key").exists()


def test_traps_in_the_folder_are_listed_as_warnings_and_can_be_revoked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The keys that are allowed are listed; whatever is there under a name is removed, and nothing behind it."""
    folder = tmp_path / "allowed"
    assert run("allow", "good", KEY, "--folder", folder) == 0
    (tmp_path / "precious.key").write_text(TEXT)
    os.mkfifo(folder / "pipe.key")
    (folder / "link.key").symlink_to(tmp_path / "precious.key")
    (folder / "endless.key").symlink_to("/dev/zero")
    (folder / "-x.key").write_text("")
    (folder / "b\udcff.key").write_text("")
    (folder / "büro 1.key").write_text("")
    capsys.readouterr()
    assert run("list", "--folder", folder) == 0
    told = capsys.readouterr()
    assert told.out == f"good\t{KEY}\n"
    assert told.err.count("message-passing keys: warning: ") == 6
    assert all(line.isprintable() for line in told.err.splitlines())
    for name in ("pipe", "link", "endless", "b\udcff", "büro 1"):
        assert run("revoke", name, "--folder", folder) == 0
    assert run("revoke", "--folder", folder, "--", "-x") == 0
    assert sorted(path.name for path in folder.iterdir()) == ["good.key"]
    assert (tmp_path / "precious.key").exists()


def test_a_key_that_is_allowed_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both names are listed, and whoever revokes one is told of the other: it would not disconnect anybody."""
    for name in ("web-1", "copy"):
        (tmp_path / f"{name}.key").write_text(TEXT)
    assert run("list", "--folder", tmp_path) == 0
    assert capsys.readouterr().out == f"copy\t{KEY}\nweb-1\t{KEY}\n"
    assert run("revoke", "copy", "--folder", tmp_path) == 0
    assert "the same key is still allowed as 'web-1': revoke that too" in capsys.readouterr().out


def test_a_folder_that_others_may_write_is_no_place_for_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server would not start with it."""
    tmp_path.chmod(0o777)
    for words in (("list",), ("allow", "web-1", KEY)):
        assert run(*words, "--folder", tmp_path) == 2
        assert (
            f"can be written by others (its mode is 0777): run `chmod go-w {tmp_path}`"
            in capsys.readouterr().err
        )


def test_half_a_file_is_not_left_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        assert run("allow", "web-1", KEY, "--folder", tmp_path / "allowed") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "cannot write" in capsys.readouterr().err
    assert list((tmp_path / "allowed").iterdir()) == []


def test_it_is_a_word_of_the_command() -> None:
    """And has a help of its own, with the whole way in its examples."""
    with node("keys", "--help", command=OURS) as started:
        status, out, err = started.end()
    assert (status, err) == (0, b"")
    assert b"message-passing keys allow web-1" in out
