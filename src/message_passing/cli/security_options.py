"""What the commands that open a ZeroMQ socket have in common: its endpoint, keys and passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.errors import Fault, OpenError, UserError
from message_passing.zeromq.endpoints import check_endpoint, unknown_hosts
from message_passing.zeromq.keys import is_key
from message_passing.zeromq.security import security_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from message_passing.zeromq.security import SocketSecurity

_KEYS = ("--curve-secret-key", "--curve-server-key")
_NAMES = (
    "curve_secret_key",
    "curve_server_key",
    "curve_allowed_keys",
    "plain_username",
    "plain_password",
)


def add_security(parser: argparse.ArgumentParser) -> None:
    """The options by which we prove who we are, and know whom we reach."""
    group = parser.add_argument_group("encryption and identity")
    group.add_argument(
        "--curve-server-key",
        metavar="KEY",
        help="the other side's public key, its file, or env:NAME",
    )
    group.add_argument(
        "--curve-secret-key",
        metavar="FILE",
        help="our secret key: see `message-passing keys new`",
    )
    group.add_argument(
        "--curve-allowed-keys", metavar="FOLDER", help="with --bind: the keys of who may connect"
    )
    group.add_argument("--plain-username", metavar="NAME", help="name for PLAIN")
    group.add_argument("--plain-password", metavar="WORD", help="its password, or env:NAME")


def joined(words: Sequence[str]) -> list[str]:
    """The words, with each key joined to the option before it: it may begin with `-`, as options do."""
    found: list[str] = []
    for word in words:
        if found and found[-1] in _KEYS and is_key(word):
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def security_from(given: argparse.Namespace) -> SocketSecurity | None:
    """The security that the options of `add_security` ask for.

    Raises:
        UserError: they contradict each other, or a key cannot be read.
    """
    try:
        security = security_of(
            "", **{name: value for name in _NAMES if (value := getattr(given, name)) is not None}
        )
    except UserError as error:
        raise OpenError(*(fault.text.removeprefix(": ") for fault in error.faults)) from error
    if security:
        security.check()
    return security


def see_endpoint(endpoint: str, *, binds: bool) -> None:
    """See that an endpoint is one, and that its host exists.

    Raises:
        OpenError: what is wrong with it.
    """
    faults = [Fault(wrong)] if (wrong := check_endpoint(endpoint, binds=binds)) else []
    if not faults and not binds:
        faults = unknown_hosts((endpoint,))
    if faults:
        raise OpenError(*faults)
