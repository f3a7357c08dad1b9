"""The command `message-passing keys`: generating, allowing, listing and revoking CURVE keys."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from message_passing.cli.command import Command, CommandParser
from message_passing.cli.terminal import print_out
from message_passing.environment import expand_home
from message_passing.errors import OpenError, did_you_mean
from message_passing.escaping import escape_control
from message_passing.zeromq.allowed_keys import AllowedKeys
from message_passing.zeromq.keys import (
    PUBLIC,
    SECRET,
    check_name,
    copied_key,
    is_key,
    write_pair,
    write_public,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

_KEY = "key:"

_EPILOG = """\
examples:
  on the server:  message-passing keys new server
                  message-passing keys allow web-1 'KEY THAT web-1 SHOWS'
                  message-passing --input ZeroMQ --output STDOUT --input_options '{
                      "socket_bind": "tcp://*:5558",
                      "curve_secret_key": "~/.config/message-passing/keys/server.key_secret",
                      "curve_allowed_keys": "~/.config/message-passing/allowed"}'
  on the client:  message-passing keys new web-1
                  message-passing --input STDIN --output ZeroMQ --output_options '{
                      "connect": "tcp://logs.example.org:5558",
                      "curve_secret_key": "~/.config/message-passing/keys/web-1.key_secret",
                      "curve_server_key": "KEY THAT server SHOWS"}'
"""


def _marked(words: Sequence[str]) -> list[str]:
    """The arguments with a mark before each key, which may begin with `-` without being an option."""
    return [f"{_KEY}{word}" if is_key(word) else word for word in words]


def _run(given: argparse.Namespace) -> int:
    run: Callable[[argparse.Namespace], str] = given.run
    print_out(run(given))
    return 0


def _arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=CommandParser)
    keys, allowed = _folder("keys"), _folder("allowed")

    new = commands.add_parser("new", help="generate a key pair, in two files")
    new.add_argument("name", metavar="NAME", help="its owner: the name of a host or a program")
    new.add_argument("--folder", type=expand_home, default=keys, help=f"where to (default {keys})")
    new.set_defaults(run=_new)

    allow = commands.add_parser("allow", help="authorize a client's public key on a server")
    allow.add_argument("name", metavar="NAME", help="its name on this server")
    allow.add_argument(
        "key", metavar="KEY", help="the public key, as printed by `keys new`, or its .key file"
    )
    allow.set_defaults(run=_allow)

    listing = commands.add_parser("list", help="list the authorized keys")
    listing.add_argument("--json", action="store_true", help="as a JSON object: names and keys")
    listing.set_defaults(run=_list)

    revoke = commands.add_parser("revoke", help="revoke a key; its peers are disconnected")
    revoke.add_argument("name", metavar="NAME", help="as printed by `keys list`")
    revoke.set_defaults(run=_revoke)
    for command in (allow, listing, revoke):
        command.add_argument(
            "--folder", type=expand_home, default=allowed, help=f"the directory (default {allowed})"
        )


def _folder(name: str) -> str:
    return f"{os.environ.get('XDG_CONFIG_HOME') or '~/.config'}/message-passing/{name}"


def _new(given: argparse.Namespace) -> str:
    path, public = write_pair(Path(given.folder), given.name)
    return (
        f"secret key: {path} (keep it private)\n"
        f"public key: {public.decode()}\n"
        f"to allow it on a server: message-passing keys allow {given.name} '{public.decode()}'\n"
    )


def _allow(given: argparse.Namespace) -> str:
    check_name(given.name)
    text = given.key.removeprefix(_KEY)
    if text.endswith(SECRET):
        raise OpenError(
            "that is a secret key, which must stay private: give the public one, whose name ends in .key"
        )
    key = copied_key(text)
    allowed = AllowedKeys(given.folder)
    if os.path.lexists(given.folder):
        allowed.check()
    if other := allowed.all().get(key.decode()):
        raise OpenError(f"this key is allowed already, as {other!r}")
    write_public(Path(given.folder) / f"{given.name}{PUBLIC}", key)
    return f"allowed {given.name} in {given.folder}\n"


def _list(given: argparse.Namespace) -> str:
    keys = AllowedKeys(given.folder)
    keys.check()
    names = keys.by_name()
    for problem in keys.problems:
        COMMAND.tell(f"warning: {problem}")
    if given.json:
        return json.dumps(names, indent=2, sort_keys=True) + "\n"
    return "".join(f"{escape_control(name)}\t{key}\n" for name, key in sorted(names.items()))


def _revoke(given: argparse.Namespace) -> str:
    """Remove a file of the directory, of any type: only names that are in it can be given."""
    name = f"{given.name}{PUBLIC}"
    keys = AllowedKeys(given.folder)
    try:
        known = os.listdir(given.folder)  # noqa: PTH208 - the names alone
    except OSError as error:
        raise OpenError(f"cannot read the folder {given.folder!r}: {error.strerror}") from error
    if name not in known:
        hint = did_you_mean(given.name, [one.removesuffix(PUBLIC) for one in known if one.endswith(PUBLIC)])
        raise OpenError(f"there is no key {given.name!r} in {given.folder}{hint}")
    key = keys.by_name().get(given.name, "")
    try:
        Path(given.folder, name).unlink()
    except OSError as error:
        raise OpenError(f"cannot remove {str(Path(given.folder, name))!r}: {error.strerror}") from error
    left = AllowedKeys(given.folder).all().get(key, "")
    more = f"; the same key is still allowed as {left!r}: revoke that too" if left else ""
    return f"revoked {given.name} in {given.folder}{more}\n"


COMMAND = Command(
    name="keys",
    description="Manage encryption keys, and which keys a server authorizes. A running server applies "
    "changes at once.",
    epilog=_EPILOG,
    arguments=_arguments,
    run=_run,
    prepare=_marked,
)
