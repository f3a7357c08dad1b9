"""Who may connect: addresses, passwords, keys in a folder, and how a secret is kept."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.cli.run.run_command import MessagePassing
from message_passing.errors import OpenError, OptionError, UserError
from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.logging import ZeroMQHandler
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.testing import free_port
from message_passing.zeromq.access_control import AccessControl, networks
from message_passing.zeromq.allowed_keys import ANYBODY, AllowedKeys
from message_passing.zeromq.keys import public_key, secret_key, write_pair, write_public
from message_passing.zeromq.passwords import Passwords
from message_passing.zeromq.revocation import ANY_ADDRESS
from nodes import part

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
OTHER = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"


@pytest.mark.parametrize(
    ("allow", "deny", "address", "admitted"),
    [
        ([], [], "10.1.2.3", True),
        (["10.0.0.0/8"], [], "10.1.2.3", True),
        (["10.0.0.0/8"], [], "11.1.2.3", False),
        (["10.0.0.0/8"], ["10.1.2.3"], "10.1.2.3", False),
        ([], ["10.1.0.0/16"], "10.1.2.3", False),
        (["10.1.2.3"], [], "::ffff:10.1.2.3", True),
        (["fd00::/8"], [], "[fd00::1]", True),
        (["10.0.0.0/8"], [], "", False),
        ([], ["10.0.0.0/8"], "", True),
        (["::ffff:10.0.0.0/104"], [], "10.1.2.3", True),
        (["::ffff:10.0.0.0/104"], [], "::ffff:10.1.2.3", True),
        (["::ffff:a00:0/104"], [], "11.1.2.3", False),
        ([], ["::ffff:10.1.2.3"], "::ffff:a01:203", False),
        ([], ["::FFFF:10.1.2.3/128"], "10.1.2.3", False),
        ([], ["10.0.0.0/8"], "[::ffff:10.1.2.3]", False),
        ([], ["::ffff:0.0.0.0/96"], "192.0.2.1", False),
        ([], ["0.0.0.0/0"], "::ffff:192.0.2.1", False),
        (["::/0"], [], "192.0.2.1", False),
        (["::1"], [], "0:0:0:0:0:0:0:1", True),
        (["fe80::1"], [], "fe80::1%lo", True),
        (["fe80::/10"], [], "[fe80::1%lo]", True),
        (["fe80::1%lo"], [], "fe80::1%lo", True),
        (["fe80::1%1"], [], "fe80::1%lo", True),
        (["fe80::1%lo"], [], "fe80::1%eth7", False),
        (["fe80::1%lo"], [], "fe80::1", False),
        ([], ["fe80::%lo/10"], "fe80::99%1", False),
    ],
)
def test_addresses(allow: list[str], deny: list[str], address: str, admitted: bool) -> None:
    """Networks of both kinds; who is denied is, allowed or not; ipc has no address."""
    verdict = AccessControl(networks(allow), networks(deny)).decide(address, "NULL", [])
    assert (not verdict.reason) == admitted


def test_keys_are_those_of_the_folder_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read again when the folder has changed, at most four times a second however many knock."""
    now = [10.0]
    monkeypatch.setattr("message_passing.zeromq.allowed_keys.monotonic", lambda: now[0])
    rules = AccessControl(keys=AllowedKeys(str(tmp_path)))
    assert "keys allow NAME" in rules.decide("10.0.0.1", "CURVE", [], KEY).reason
    write_public(tmp_path / "web-1.key", KEY.encode())
    assert rules.decide("10.0.0.1", "CURVE", [], KEY).reason
    now[0] += 1
    assert rules.decide("10.0.0.1", "CURVE", [], KEY).user == "web-1"
    assert rules.decide("10.0.0.1", "CURVE", [], OTHER).reason
    assert rules.decide("10.0.0.1", "NULL", []).reason == "it does not use CURVE"
    assert rules.revoked() == set()
    (tmp_path / "web-1.key").unlink()
    now[0] += 1
    assert rules.revoked() == {"10.0.0.1"}
    assert rules.revoked() == set()


def test_the_addresses_of_a_key_are_remembered_up_to_a_bound(tmp_path: Path) -> None:
    """Who has come from more is disconnected wherever he is, with all others."""
    write_public(tmp_path / "web-1.key", KEY.encode())
    rules = AccessControl(keys=AllowedKeys(str(tmp_path)))
    for number in range(200):
        assert rules.decide(f"fd00::{number}", "CURVE", [], KEY).user == "web-1"
        assert len(rules.admitted[KEY]) <= 64
    (tmp_path / "web-1.key").unlink()
    assert rules.keys
    rules.keys._looked = 0
    assert rules.revoked() == {ANY_ADDRESS}


def test_anybody_with_a_key() -> None:
    """`*` stands for every key, which is then its own name, and nothing is remembered of strangers."""
    rules = AccessControl(keys=AllowedKeys(ANYBODY))
    assert rules.decide("10.0.0.1", "CURVE", [], KEY).user == KEY
    assert (rules.admitted, rules.revoked(), rules.problems()) == ({}, set(), [])


def test_a_secret_that_others_can_read_is_refused_with_what_to_run(tmp_path: Path) -> None:
    """A key and passwords alike."""
    path, _ = write_pair(tmp_path, "web-1")
    path.chmod(0o640)
    with pytest.raises(
        OpenError, match=rf"can be read by others \(its mode is 0640\): run `chmod 600 {path}`"
    ):
        secret_key(str(path))
    with pytest.raises(OpenError, match="chmod 600"):
        Passwords(str(path)).check()


@pytest.mark.parametrize("trap", ["pipe", "device", "folder", "large", "shared link", "dangling", "no text"])
@pytest.mark.parametrize("read", [secret_key, public_key])
def test_what_is_no_key_file(tmp_path: Path, read: Callable[[str], bytes], trap: str) -> None:
    """It is not waited for, not read without end, and what a link leads to must be as a file itself must be."""
    path = tmp_path / "trap"
    text = {"large": "is too large: it may have 4,096 bytes", "no text": "it is not text"}.get(trap, "is a")
    if trap == "pipe":
        os.mkfifo(path)
    elif trap == "device":
        path.symlink_to("/dev/zero")
    elif trap == "folder":
        path.mkdir()
    elif trap == "dangling":
        path.symlink_to("none")
        text = "No such file"
    elif trap == "shared link":
        write_pair(tmp_path, "web-1")[0].chmod(0o666)
        path.symlink_to("web-1.key_secret")
        text = "can be read by others" if read is secret_key else "can be written by others"
    else:
        path.write_bytes(b"#" * 5000 if trap == "large" else b"\xff")
        path.chmod(0o600)
    with pytest.raises(OpenError, match=text) as raised:
        read(str(path))
    assert str(path) in str(raised.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user")
def test_a_key_file_of_another_user_is_refused(tmp_path: Path) -> None:
    """A secret that he knows is none; a public key that he may change is whomever's he likes."""
    path, _ = write_pair(tmp_path, "web-1")
    for one, read in ((path, secret_key), (tmp_path / "web-1.key", public_key)):
        os.chown(one, 54321, -1)
        with pytest.raises(OpenError, match="belongs to the user number 54321"):
            read(str(one))


def test_the_forms_of_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key itself, its file, its file in the home folder, and either in an environment variable."""
    path, public = write_pair(tmp_path, "web-1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("THE_KEY", public.decode())
    monkeypatch.setenv("THE_FILE", str(path))
    for form in (public.decode(), str(tmp_path / "web-1.key"), "~/web-1.key", "env:THE_KEY", "env:THE_FILE"):
        assert public_key(form) == public
    with pytest.raises(OpenError, match=r"'THE_KEYS' is not set \(did you mean 'THE_KEY'\?\)"):
        public_key("env:THE_KEYS")
    monkeypatch.setenv("EMPTY", "  ")
    with pytest.raises(OpenError, match="the environment variable 'EMPTY' is empty"):
        public_key("env:EMPTY")
    (tmp_path / "web-1.key").chmod(0o600)
    with pytest.raises(
        OpenError, match=r"contains only a public key: name the file that ends in \.key_secret"
    ):
        secret_key(str(tmp_path / "web-1.key"))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"curve_secret_key": KEY}, "curve_secret_key needs curve_server_key"),
        ({"curve_allowed_keys": "*"}, "curve_allowed_keys needs curve_secret_key"),
        ({"curve_server_key": KEY, "curve_allowed_keys": "*", "curve_secret_key": KEY}, "exclude each other"),
        ({"curve_server_key": KEY, "plain_username": "a", "plain_password": "b"}, "exclude each other"),
        ({"plain_username": "anna"}, "plain_username and plain_password need each other"),
        ({"allow": ["10.0.0.256"]}, "option 'allow': '10.0.0.256' does not appear to be"),
        ({"allow": [""]}, "option 'allow': '' does not appear to be"),
        (
            {"deny": ["::ffff:10.0.0.0/90"]},
            "option 'deny': '::ffff:10.0.0.0/90' covers more than all of IPv4",
        ),
        ({"deny": ["10.0.0.1%eth0"]}, "has no zone after the %, or is not an IPv6 address"),
        ({"deny": ["fe80::1%"]}, "has no zone after the %, or is not an IPv6 address"),
        ({"connect": "inproc://x", "curve_server_key": KEY}, "an inproc endpoint has neither"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], text: str) -> None:
    """They are told when the component is made."""
    with pytest.raises(OptionError, match=text):
        ZeroMQOutput(**{"connect": "tcp://127.0.0.1:9", **options})


PROTECTS = ("curve_secret_key", "curve_server_key", "curve_allowed_keys", "plain_username", "plain_password")


@pytest.mark.parametrize("name", [*PROTECTS, "plain_passwords", "allow", "deny"])
def test_an_empty_value_of_what_protects_is_an_error(name: str) -> None:
    """A variable that was not set, most likely: it must not open a door. In Python, a config file, and a shell."""
    empty: Any = [] if name in ("allow", "deny") else ""
    there: dict[str, Any] = {"socket_bind": "tcp://127.0.0.1:9"}
    text = f"option '{name}' must be non-empty (str|list of str), not "
    for value in (empty, None):
        with pytest.raises(OptionError, match=text):
            ZeroMQInput(**{**there, name: value})
        with pytest.raises(OptionError, match=text):
            ZeroMQOutput(**{**there, name: value})
    words = part("input", "ZeroMQ", **there, **{name: empty})
    with pytest.raises(UserError, match=text):
        MessagePassing.read([*words, "--output", "STDOUT"]).prepare()


@pytest.mark.parametrize("value", ["", None])
@pytest.mark.parametrize("name", PROTECTS[:3])
def test_an_empty_argument_of_the_handler_is_an_error(name: str, value: Any) -> None:
    """As `os.environ.get` gives it for a variable that is not set."""
    with pytest.raises(
        OptionError, match=f"ZeroMQHandler: option '{name}' must be non-empty str, not {value!r}"
    ):
        ZeroMQHandler("tcp://127.0.0.1:9", **{name: value})


def test_what_is_not_given_is_not_empty() -> None:
    """Neither for a component nor for the handler."""
    assert ZeroMQInput(socket_bind="tcp://127.0.0.1:9")._security is None
    ZeroMQHandler("tcp://127.0.0.1:9").close()


def test_a_missing_key_is_told_when_the_socket_is_opened(tmp_path: Path) -> None:
    """By the file's name; nothing is left open."""
    output = ZeroMQOutput(connect="tcp://127.0.0.1:9", curve_server_key=str(tmp_path / "none.key"))
    with pytest.raises(OpenError, match=r"cannot read the key file '.*none\.key': No such file"):
        output.open()
    output.close()
    listens = f"tcp://127.0.0.1:{free_port()}"
    secret = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"  # the client's of zmq_curve(7)
    head = ZeroMQInput(
        socket_bind=listens, curve_secret_key=secret, curve_allowed_keys=str(tmp_path / "none")
    )
    with pytest.raises(OpenError, match=r"there is no such folder; `message-passing keys allow` creates it"):
        head.open()
    head.close()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"socket_bind": "tcp://*:5558"}, ["everybody who can reach tcp://*:5558 may connect"]),
        ({"socket_bind": "tcp://0.0.0.0:5558"}, ["everybody who can reach"]),
        ({"socket_bind": ["tcp://127.0.0.1:5558", "tcp://[::1]:5558", "tcp://lo:1", "ipc:///tmp/x"]}, []),
        ({"connect": "tcp://10.0.0.1:5558"}, []),
        ({"socket_bind": "tcp://*:5558", "allow": ["10.0.0.0/8"]}, []),
        ({"socket_bind": "tcp://*:5558", "curve_secret_key": KEY, "curve_allowed_keys": "*"}, []),
        ({"socket_bind": "tcp://*:5558", "deny": ["10.0.0.0/8"]}, ["everybody"]),
        ({"socket_bind": "tcp://*:5558", "plain_passwords": "file"}, ["PLAIN sends names and passwords"]),
    ],
)
def test_what_is_told_at_the_start(options: dict[str, Any], told: list[str]) -> None:
    """An open door, and a password that all can read; what only this machine reaches is no open door."""
    warnings = ZeroMQInput(**options).warnings()
    assert len(warnings) == len(told)
    assert all(words in text for words, text in zip(told, warnings, strict=True))
