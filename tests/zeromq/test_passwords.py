"""The file of passwords, and what it costs to guess one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from message_passing.errors import OpenError
from message_passing.zeromq.access_control import AccessControl
from message_passing.zeromq.passwords import FIRST_DELAY, LONGEST_DELAY, Delays, Passwords

if TYPE_CHECKING:
    from pathlib import Path

PAIR = [b"anna", b"s3cret:with colon"]


@pytest.fixture(name="path")
def fixture_path(tmp_path: Path) -> Path:
    """A file with two who may come in."""
    path = tmp_path / "passwords"
    path.write_bytes(b"# who\nanna:s3cret:with colon\nanna:old\n\nbert:secret\n")
    path.chmod(0o600)
    return path


def read_again(passwords: Passwords) -> None:
    """Forget when the file was looked at."""
    passwords._looked = -1.0


def test_passwords(path: Path) -> None:
    """A line for each; a colon in a name cannot make one line look like another; a name may have two."""
    known = Passwords(str(path))
    known.check()
    assert known.match(*PAIR)
    assert known.match(b"anna", b"old")
    for name, password in ((b"anna:s3cret", b"with colon"), (b"anna", b""), (b"", b""), (b"bert", b"old")):
        assert not known.match(name, password)
    assert not Passwords(str(path.parent / "none")).match(*PAIR)


def test_who_is_removed_or_gets_another_password_is_revoked(path: Path) -> None:
    """Told once, with the addresses from which he came."""
    passwords = Passwords(str(path))
    rules = AccessControl(passwords=passwords)
    assert rules.decide("10.0.0.1", "PLAIN", PAIR).user == "anna"
    assert rules.decide("10.0.0.2", "PLAIN", [b"bert", b"secret"]).user == "bert"
    assert rules.revoked() == set()
    path.write_bytes(b"anna:s3cret:with colon\nbert:changed\n")
    read_again(passwords)
    assert rules.revoked() == {"10.0.0.2"}
    path.unlink()
    read_again(passwords)
    assert rules.revoked() == {"10.0.0.1"}
    assert "cannot be read: No such file" in rules.problems()[0]


@pytest.mark.parametrize(
    ("line", "where"), [(b"carl:", 3), (b":secret", 3), (b"carl", 3), (b"carl: ", 3), (b"x\n:\n:", "3, 4, 5")]
)
def test_a_line_without_a_name_or_a_password_is_an_error(path: Path, line: bytes, where: object) -> None:
    """By its number, without what is in it; while the server runs it admits nobody, and the others are admitted."""
    path.write_bytes(b"anna:s3cret:with colon\n# more\n" + line + b"\n")
    passwords = Passwords(str(path))
    with pytest.raises(OpenError, match=f"line {where} does not, and admits no user") as raised:
        passwords.check()
    assert "carl" not in str(raised.value)
    assert passwords.match(*PAIR)
    assert not passwords.match(b"carl", b"")
    assert passwords.problems


@pytest.mark.parametrize("trap", ["pipe", "folder", "device", "large", "shared", "shared link"])
def test_what_is_no_file_of_passwords(path: Path, trap: str) -> None:
    """An error at the start; later it admits nobody, and is reported. Nothing is waited for."""
    passwords = Passwords(str(path))
    assert passwords.match(*PAIR)
    text = "is a"
    if trap == "large":
        path.write_bytes(path.read_bytes() + b"#" * (1 << 20))
        text = "is too large: it may have 1,048,576 bytes"
    elif trap == "shared":
        path.chmod(0o604)
        text = "can be read by others"
    else:
        path.rename(path.parent / "old")
        if trap == "pipe":
            os.mkfifo(path)
        elif trap == "folder":
            path.mkdir()
        elif trap == "device":
            path.symlink_to("/dev/zero")
        else:
            (path.parent / "old").chmod(0o644)
            path.symlink_to("old")
            text = "can be read by others"
    read_again(passwords)
    assert not passwords.match(*PAIR)
    assert text in passwords.problems[0]
    with pytest.raises(OpenError, match=text):
        passwords.check()


def test_a_delay_that_grows_for_each_address_and_is_forgotten() -> None:
    """Doubling up to a bound, for one address alone; in IPv6 for a network."""
    now = [0.0]
    delays = Delays(lambda: now[0])
    found = []
    for _ in range(7):
        found.append(delays.after_failure("10.0.0.1"))
        now[0] += LONGEST_DELAY
    assert found == [FIRST_DELAY, 1, 2, 4, 8, 8, 8]
    assert delays.after_failure("10.0.0.2") == FIRST_DELAY
    assert delays.after_failure("fd00::1") == FIRST_DELAY
    assert delays.after_failure("fd00::2") == 2 * FIRST_DELAY
    assert delays.after_failure("") == FIRST_DELAY
    now[0] += 601
    assert delays.after_failure("10.0.0.1") == FIRST_DELAY


def test_guessing_side_by_side_gains_nothing() -> None:
    """With four answers waiting an address is refused unseen, until one of them is due; others are not."""
    now = [0.0]
    delays = Delays(lambda: now[0])
    for _ in range(4):
        assert not delays.refuses("10.0.0.1")
        delays.after_failure("10.0.0.1")
    assert delays.refuses("10.0.0.1")
    assert not delays.refuses("10.0.0.2")
    now[0] = FIRST_DELAY
    assert not delays.refuses("10.0.0.1")


def test_what_is_remembered_of_guesses_has_a_bound() -> None:
    """Whoever comes from a hundred thousand addresses."""
    now = [0.0]
    delays = Delays(lambda: now[0])
    for number in range(100_000):
        delays.after_failure(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(delays._failures) == 1000
    assert len(delays._due) == len(delays._waiting) == 1000
    now[0] += 10
    assert delays.after_failure("10.9.9.9") == FIRST_DELAY
    assert len(delays._due) == len(delays._waiting) == 1


def test_a_path_with_a_null_character() -> None:
    """No file has one: it is told, also by whoever did not look at the option."""
    with pytest.raises(OpenError, match="has a null character in its path"):
        Passwords("a\0b").check()
