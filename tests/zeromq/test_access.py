"""Who may connect: addresses, passwords, keys in a folder, and how a secret is kept."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.errors import OpenError, OptionError
from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.testing import free_port
from message_passing.zeromq.access import ANYBODY, AllowedKeys, Passwords, Rules, networks
from message_passing.zeromq.keys import public_key, secret_key, write_pair, write_public

if TYPE_CHECKING:
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
    ],
)
def test_addresses(allow: list[str], deny: list[str], address: str, admitted: bool) -> None:
    """Networks of both kinds; who is denied is, allowed or not; ipc has no address."""
    verdict = Rules(networks(allow), networks(deny)).decide(address, "NULL", [])
    assert (not verdict.reason) == admitted


def test_keys_are_those_of_the_folder_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read again when the folder has changed, at most twice a second however many knock."""
    now = [10.0]
    monkeypatch.setattr("message_passing.zeromq.access.time.monotonic", lambda: now[0])
    rules = Rules(keys=AllowedKeys(str(tmp_path)))
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


def test_garbage_in_the_folder_allows_nobody(tmp_path: Path) -> None:
    """Nor does a folder that is gone."""
    (tmp_path / "a.key").write_bytes(b"\xff\x00")
    (tmp_path / "b.key").write_text('curve\n    public-key = "short"\n', encoding="ascii")
    (tmp_path / "c.key").mkdir()
    assert AllowedKeys(str(tmp_path)).all() == {}
    assert AllowedKeys(str(tmp_path / "none")).all() == {}


def test_a_folder_that_cannot_be_read_for_now_revokes_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process without a free descriptor must not disconnect everybody."""
    write_public(tmp_path / "web-1.key", KEY.encode())
    keys = AllowedKeys(str(tmp_path))
    assert keys.all() == {KEY: "web-1"}
    full = OSError(errno.EMFILE, "Too many open files")

    def refuse(*_: object) -> None:
        raise full

    for name in ("os.scandir", "Path.read_bytes"):
        with monkeypatch.context() as patch:
            patch.setattr(f"message_passing.zeromq.access.{name}", refuse)
            keys._looked = 0
            (tmp_path / "web-1.key").touch()
            assert keys.all() == {KEY: "web-1"}
    (tmp_path / "web-1.key").unlink()
    keys._looked = 0
    assert keys.all() == {}


def test_anybody_with_a_key() -> None:
    """`*` stands for every key, which is then its own name, and nothing is remembered of strangers."""
    rules = Rules(keys=AllowedKeys(ANYBODY))
    assert rules.decide("10.0.0.1", "CURVE", [], KEY).user == KEY
    assert (rules.admitted, rules.revoked()) == ({}, set())


def test_passwords(tmp_path: Path) -> None:
    """A line for each; a colon in a name cannot make one line look like another."""
    path = tmp_path / "passwords"
    path.write_bytes(b"# who\nanna:s3cret:with colon\nbert:\n")
    path.chmod(0o600)
    known = Passwords(str(path))
    known.check()
    assert known.admits(b"anna", b"s3cret:with colon")
    assert not known.admits(b"anna:s3cret", b"with colon")
    assert not known.admits(b"anna", b"")
    assert not Passwords(str(tmp_path / "none")).admits(b"anna", b"s3cret")


def test_a_secret_that_others_can_read_is_refused_with_what_to_run(tmp_path: Path) -> None:
    """A key and passwords alike."""
    path, _ = write_pair(tmp_path, "web-1")
    path.chmod(0o640)
    with pytest.raises(OpenError, match=f"can be read by others: run `chmod 600 {path}`"):
        secret_key(str(path))
    with pytest.raises(OpenError, match="chmod 600"):
        Passwords(str(path)).check()


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
    (tmp_path / "web-1.key").chmod(0o600)
    with pytest.raises(OpenError, match=r"holds a public key only: name the file that ends in \.key_secret"):
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
        ({"connect": "inproc://x", "curve_server_key": KEY}, "an inproc endpoint has neither"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], text: str) -> None:
    """They are told when the component is made."""
    with pytest.raises(OptionError, match=text):
        ZeroMQOutput(**{"connect": "tcp://127.0.0.1:9", **options})


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
    with pytest.raises(OpenError, match=r"there is no such folder; `message-passing keys allow` makes it"):
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
    cautions = ZeroMQInput(**options).cautions()
    assert len(cautions) == len(told)
    assert all(words in text for words, text in zip(told, cautions, strict=True))
