"""The options for keys and passwords of the commands that open a ZeroMQ socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.environment import expand_home
from message_passing.errors import OpenError, UserError
from message_passing.options import declared
from message_passing.zeromq.connection_options import ConnectionOptions
from message_passing.zeromq.keys import is_key
from message_passing.zeromq.security import security_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from message_passing.zeromq.security import SocketSecurity

_KEYS = ("--curve-secret-key", "--curve-server-key")
_VALUES = {
    "curve_secret_key": "FILE",
    "curve_server_key": "KEY",
    "curve_allowed_keys": "FOLDER",
    "plain_username": "NAME",
    "plain_password": "WORD",
}
"""The options of connections that commands accept, and the names of their values in help texts."""


def add_security(parser: argparse.ArgumentParser) -> None:
    """Add the options for our identity and for verifying the peer's, as components describe them."""
    group = parser.add_argument_group("encryption and identity")
    known = declared(ConnectionOptions)
    for name, value in _VALUES.items():
        read = expand_home if known[name].path else str
        flag = f"--{name.replace('_', '-')}"
        group.add_argument(flag, type=read, metavar=value, help=known[name].description)


def joined(words: Sequence[str]) -> list[str]:
    """The words, with each key joined to the option before it: it may begin with `-`, as options do."""
    found: list[str] = []
    for word in words:
        if found and found[-1] in _KEYS and is_key(word):
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def security_options(given: argparse.Namespace) -> dict[str, str]:
    """The options of `add_security` that were given, under their names in components."""
    return {name: value for name in _VALUES if (value := getattr(given, name)) is not None}


def security_from(given: argparse.Namespace) -> SocketSecurity | None:
    """The security that the options of `add_security` specify.

    Raises:
        UserError: they contradict each other, or a key cannot be read.
    """
    try:
        security = security_of("", **security_options(given))
    except UserError as error:
        raise OpenError(*(fault.text.removeprefix(": ") for fault in error.faults)) from error
    if security:
        security.check()
    return security
