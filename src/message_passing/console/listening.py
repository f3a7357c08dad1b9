"""The console's listening sockets: a Unix socket, for its user only, and a TCP socket."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import re
import socket
import stat
from pathlib import Path

from message_passing.console.runtime_dir import control_path, ensure_folder
from message_passing.errors import Fault, OpenError, OptionError
from message_passing.resolving import UnknownHostError, addresses_of, wrong_host
from message_passing.zeromq.endpoints import in_brackets

DEFAULT = "default"
"""For `--control` without a path: the directory of this user's nodes."""

_ADDRESS = re.compile(r"(?:(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:/@\s]*):)?(?P<port>\d{1,5})")
_LONGEST_PATH = 107
"""Bytes in the address of a unix socket (unix(7))."""


def http_address(text: str) -> tuple[str, int]:
    """Host and port of `--http`: `127.0.0.1:9090`, `[::1]:9090`, `localhost:9090`; a port alone is on loopback.

    Raises:
        OptionError: it is none of these, or its host can never be resolved.
    """
    found = _ADDRESS.fullmatch(text.strip())
    if not found or int(found["port"]) > 65535:
        if right := in_brackets(text, "9090"):
            raise OptionError(
                Fault(f"an IPv6 address must be in brackets: write {right}, not {text!r}", "--http")
            )
        raise OptionError(Fault(f"must be HOST:PORT, like 127.0.0.1:9090, not {text!r}", "--http"))
    host = found["host"] or ""
    if host and not host.startswith("[") and (wrong := wrong_host(host)):
        raise OptionError(Fault(wrong, "--http"))
    return (found["host"] or "127.0.0.1").strip("[]"), int(found["port"])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen_http(host: str, port: int) -> socket.socket:
    """Open a socket that listens there.

    Raises:
        UnknownHostError: its name is not known, or this machine has no such address, for now.
        OpenError: the system refuses.
    """
    try:
        family, address = addresses_of(host, port, socket.SOCK_STREAM, socket.AI_PASSIVE)[0]
    except OpenError as error:
        raise type(error)(f"--http: {error}") from error
    try:
        opened = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise OpenError(f"--http: cannot listen on {host}:{port}: {error.strerror}") from error
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(100)
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        kind = UnknownHostError if error.errno == errno.EADDRNOTAVAIL else OpenError
        raise kind(f"--http: cannot listen on {host}:{port}: {error.strerror}") from error
    return opened


def listen_control(path: str) -> tuple[socket.socket, Path]:
    """Open a Unix socket that only its user may connect to.

    Args:
        path: its path; `DEFAULT` for this process's own in the directory of this user's nodes.

    Returns:
        The socket, and its path.

    Raises:
        OpenError: another node has it, something else is there, or the system refuses.
    """
    if path == DEFAULT:
        ensure_folder()
    place = control_path(os.getpid()) if path == DEFAULT else Path(path)
    if len(os.fsencode(place)) > _LONGEST_PATH:
        raise OpenError(f"--control: {place} is too long: a socket path has at most {_LONGEST_PATH} bytes")
    _clear(place)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        opened.bind(str(place))
        opened.listen(100)
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        raise OpenError(f"--control: cannot listen on {place}: {error.strerror}") from error
    finally:
        os.umask(before)
    return opened, place


def _clear(place: Path) -> None:
    """Remove a socket that no process serves any more; leave everything else alone."""
    try:
        if not stat.S_ISSOCK(place.lstat().st_mode):
            raise OpenError(f"--control: {place} exists and is not a socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(1)
            asking.connect(str(place))
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        with contextlib.suppress(FileNotFoundError):
            place.unlink()
    except OSError as error:
        raise OpenError(f"--control: cannot listen on {place}: {error.strerror}") from error
    else:
        raise OpenError(f"--control: another node answers on {place}")
