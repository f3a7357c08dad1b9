"""CURVE keys: as options give them, and as files (https://rfc.zeromq.org/spec/26/, zmq_curve(7)).

A key is 32 bytes, written as 40 characters of Z85 (RFC 32). Files have the form that pyzmq and CZMQ write and read:
NAME.key holds a public key and may be shown to anybody, NAME.key_secret holds both and may not.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
from typing import TYPE_CHECKING

import zmq
from zmq.utils import z85

from message_passing import secure_files
from message_passing.environment import expand_home, from_environment
from message_passing.errors import Fault, OpenError

if TYPE_CHECKING:
    from pathlib import Path

PUBLIC, SECRET = ".key", ".key_secret"

LARGEST_KEY_FILE = 4096
"""The most bytes of a key file; one that `keys new` creates has 121."""

_Z85 = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_ENTRY = re.compile(r"""^\s*(?P<name>[\w-]+)\s*=\s*["']?(?P<value>[^"'\s]*)["']?\s*$""", re.MULTILINE)
_NAME = re.compile(r"[\w@][\w.@-]*", re.ASCII)
_LONGEST_NAME = 200  # a file's name has at most 255 bytes, including its suffix


def is_key(text: str) -> bool:
    """Whether this is a key itself, rather than a path or anything else."""
    if not _Z85.fullmatch(text) or os.path.lexists(text):
        return False
    try:
        return len(z85.decode(text.encode())) == 32
    except (ValueError, OverflowError, struct.error):
        # Five characters may encode more than four bytes can hold.
        return False


def public_key(given: str) -> bytes:
    """The public key that an option names.

    Args:
        given: the key itself, the path of a key file, or `env:NAME` for either in an environment variable.

    Raises:
        OpenError: there is none, or users other than root and us may change its file, and thus whom we trust.
    """
    text = expand_home(from_environment(given))
    return text.encode() if is_key(text) else _from_file(text, "public-key", guarded=True)


def copied_key(given: str) -> bytes:
    """The same for a key that a user reads once, interactively: any user may own its file.

    Raises:
        OpenError: there is none.
    """
    text = expand_home(from_environment(given))
    return text.encode() if is_key(text) else _from_file(text, "public-key")


def secret_key(given: str) -> bytes:
    """The secret key that an option names: see `public_key`.

    Raises:
        OpenError: there is none, or its file can be read by others.
    """
    text = expand_home(from_environment(given))
    return text.encode() if is_key(text) else _from_file(text, "secret-key", guarded=True)


def public_of(secret: bytes) -> bytes:
    """The public key that belongs to a secret one."""
    return zmq.curve_public(secret)


def read_key_file(path: str, *, guarded: bool = False, secret: bool = False) -> dict[str, str]:
    """The entries of a key file: `public-key`, and `secret-key` in a secret one.

    Args:
        path: its path.
        guarded: it must be owned by root or us, and not writable by others.
        secret: it must not be readable by others either.

    Raises:
        OpenError: it cannot be read, or is not as it must be.
    """
    try:
        data, found = secure_files.read_file(path, "key file", limit=LARGEST_KEY_FILE)
        text = data.decode()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        hint = "" if "/" in path or path.endswith((PUBLIC, SECRET)) else "; a key itself has 40 characters"
        raise OpenError(f"cannot read the key file {path!r}: {reason}{hint}") from error
    if guarded:
        secure_files.require_safe(path, found, "key file", secret=secret)
    return entries(text)


def entries(text: str) -> dict[str, str]:
    """The entries in the text of a key file."""
    return {entry["name"]: entry["value"] for entry in _ENTRY.finditer(text)}


def _from_file(path: str, entry: str, *, guarded: bool = False) -> bytes:
    found = read_key_file(path, guarded=guarded, secret=entry == "secret-key")
    if not is_key(found.get(entry, "")):
        other = " (it contains only a public key: name the file that ends in .key_secret)"
        hint = other if entry == "secret-key" and "public-key" in found else ""
        raise OpenError(f"there is no {entry} in the file {path!r}{hint}")
    return found[entry].encode()


def check_name(name: str) -> None:
    """Check that a key's name can be a file name.

    Raises:
        OpenError: it cannot.
    """
    if not _NAME.fullmatch(name):
        text = "a name may contain only letters, digits, and . _ - @, and must not begin with . or -"
        raise OpenError(Fault(text, name if name.isprintable() else repr(name)))
    if len(name) > _LONGEST_NAME:
        raise OpenError(Fault(f"a name has at most {_LONGEST_NAME} characters", name))


def write_pair(folder: Path, name: str) -> tuple[Path, bytes]:
    """Create a pair of keys in two files: the secret one is readable by its owner alone from the first byte on.

    Returns:
        The path of the secret file, and the public key.

    Raises:
        OpenError: the files exist already, or cannot be written.
    """
    check_name(name)
    public, secret = zmq.curve_keypair()
    secret_path = folder / f"{name}{SECRET}"
    write_new(
        secret_path,
        f'curve\n    public-key = "{public.decode()}"\n    secret-key = "{secret.decode()}"\n',
        0o600,
    )
    write_public(folder / f"{name}{PUBLIC}", public)
    return secret_path, public


def write_public(path: Path, key: bytes) -> None:
    """Write a file with a public key.

    Raises:
        OpenError: it is there already, or cannot be written.
    """
    write_new(path, f'curve\n    public-key = "{key.decode()}"\n', 0o644)


def write_new(path: Path, text: str, mode: int) -> None:
    """Write a new file, creating its folder for its owner alone.

    Raises:
        OpenError: it is there already, or cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(text)
        except OSError:  # half a key is useless, and would be in the way
            with contextlib.suppress(OSError):
                path.unlink()
            raise
    except FileExistsError as error:
        raise OpenError(
            f"{path} exists already: revoke or remove it first, or choose another name"
        ) from error
    except OSError as error:
        raise OpenError(f"cannot write {path}: {error.strerror}") from error
