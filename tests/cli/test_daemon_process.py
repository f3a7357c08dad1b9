"""Users, standard error: what needs no process of its own to be seen."""

from __future__ import annotations

import os
import pwd

import pytest

from message_passing.cli.run.daemon import Identity
from message_passing.cli.terminal import let_go, tell
from message_passing.errors import OpenError


def test_a_user_is_looked_up() -> None:
    """Becoming who one is changes nothing, and nobody needs to be root for it."""
    entry = pwd.getpwuid(os.geteuid())
    identity = Identity.of(entry.pw_name)
    assert identity == Identity(entry.pw_name, entry.pw_uid, entry.pw_gid)
    groups = os.getgroups()
    identity.assume()
    assert (os.geteuid(), os.getgroups()) == (entry.pw_uid, groups)
    with pytest.raises(OpenError, match="--user: there is no user 'no-such-user'"):
        Identity.of("no-such-user")


def test_telling_is_never_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard error may be closed, or full."""
    tell("heard\n")
    assert capsys.readouterr().err == "heard\n"
    monkeypatch.setattr("sys.stderr", None)
    tell("not heard\n")
    with open("/dev/full", "w", encoding="utf-8", buffering=1) as full:  # noqa: PTH123 - a device
        monkeypatch.setattr("sys.stderr", full)
        tell("not heard\n")
        let_go(full)  # otherwise what is in its buffer would fail again when it is closed
    let_go(None)
