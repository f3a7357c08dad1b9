"""The command `message-passing keys`: files, rights, and mistakes."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest
import zmq
from zmq.auth import load_certificate

from message_passing.cli import keys
from message_passing.zeromq.keys import PUBLIC, SECRET, secret_key, write_public
from nodes import OURS, node

if TYPE_CHECKING:
    from pathlib import Path

KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"  # the server's of zmq_curve(7)


def run(*words: object) -> int:
    """The command's exit status."""
    return keys.main([str(word) for word in words])


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
        (["new", "web/1"], "web/1: a name has letters, digits, and . _ - @ only"),
        (["new", "old", "--folder", "{}"], "old.key_secret is there already"),
        (["allow", "web-2", KEY, "--folder", "{}"], "this key is allowed already, as 'web-1'"),
        (["allow", "web-1", "no key", "--folder", "{}"], "cannot read the key file 'no key': No such file"),
        (["allow", "x", "{}/old.key_secret", "--folder", "{}"], "that is a secret key: it stays where it is"),
        (["revoke", "web1", "--folder", "{}"], "there is no key 'web1' in {} (did you mean 'web-1'?)"),
        (["list", "--folder", "{}/none"], "there is no such folder"),
        (["alow"], "invalid choice: 'alow'"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], text: str) -> None:
    """Each ends with status 2 and a sentence."""
    assert run("new", "old", "--folder", tmp_path) == 0
    (tmp_path / "old.key").unlink()
    assert run("allow", "web-1", KEY, "--folder", tmp_path) == 0
    assert run(*(word.replace("{}", str(tmp_path)) for word in words)) == 2
    said = capsys.readouterr().err
    assert said.startswith("message-passing keys: ")
    assert text.replace("{}", str(tmp_path)) in said


def test_it_is_a_word_of_the_command() -> None:
    """And has a help of its own, with the whole way in its examples."""
    with node("keys", "--help", command=OURS) as started:
        status, out, err = started.end()
    assert (status, err) == (0, b"")
    assert b"message-passing keys allow web-1" in out
