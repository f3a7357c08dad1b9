"""`check --connect`: trying the inputs and outputs of a chain, and releasing them again."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from message_passing.cli.endpoint_probe import dial, shake_hands
from message_passing.errors import OpenError, UserError
from message_passing.inputs._udp import format_address, udp_socket
from message_passing.inputs.socket_udp import SocketUDPInput
from message_passing.metrics import plural
from message_passing.outputs.file import FileOutput
from message_passing.outputs.socket_udp import SocketUDPOutput
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.secure_files import in_shell
from message_passing.spool.directory import DATABASE, exposure, kept_from_nodes, obstacle
from message_passing.spool.reader import SpoolReader
from message_passing.zeromq.blocking_sender import BlockingSender
from message_passing.zeromq.component import ZeroMQComponent
from message_passing.zeromq.endpoints import unknown_hosts
from message_passing.zeromq.sockets import OpenSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from message_passing.component import Component
    from message_passing.zeromq.settings import SocketSettings


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing that was tried.

    Attributes:
        what: the component, and its endpoint or file.
        text: the result, as the end of a sentence.
        right: whether it works.
    """

    what: str
    text: str
    right: bool = True

    def __str__(self) -> str:
        return f"{'ok' if self.right else 'FAILED':7} {self.what}: {self.text}"


def try_ends(components: Iterable[Component], timeout: float) -> Iterator[Trial]:
    """Try each endpoint and each file of some components.

    Args:
        components: checked, and not open.
        timeout: seconds that each endpoint to connect to may take.
    """
    for one in components:
        if isinstance(one, FileOutput):
            yield _of(f"{one.label} {one.filename}", partial(_try_file, one))
        elif isinstance(one, (SocketUDPInput, SocketUDPOutput)):
            binds = isinstance(one, SocketUDPInput)
            where = format_address(one.hostname, one.port)
            yield _of(f"{one.label} {where}", partial(_try_udp, one.hostname, one.port, binds=binds))
        elif isinstance(one, ZeroMQComponent) and not one.socket_builder:
            settings = one.settings(str(getattr(one, "socket_type", "PUB")))
            for endpoint in settings.endpoints:
                only = replace(
                    settings,
                    connect=(endpoint,) if endpoint in settings.connect else (),
                    bind=(endpoint,) if endpoint in settings.bind else (),
                    subscribe=(),  # what it would receive is not for us
                    linger=0,
                )
                yield _of(f"{one.label} {endpoint}", partial(_try_socket, only, timeout))
            if isinstance(one, ZeroMQOutput) and one.spool:
                yield _of(f"{one.label} {one.spool}", partial(_try_spool, Path(one.spool)))
        elif try_connection := getattr(one, "try_connection", None):
            where = ", ".join(one.info()["endpoints"])
            yield _of(f"{one.label} {where}", partial(try_connection, timeout))


def _of(what: str, run: Callable[[], str]) -> Trial:
    try:
        return Trial(what, run())
    except UserError as error:
        return Trial(what, "; ".join(fault.text for fault in error.faults), right=False)


def _try_file(output: FileOutput) -> str:
    path = Path(output.first_path)
    try:
        if output.takes_objects or (output.makes_directories and not path.exists()):
            path = Path(os.path.dirname(output.first_path) or ".")  # noqa: PTH120 - a Path loses a slash at the end
            while not path.exists() and path != path.parent:
                path = path.parent
            if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
                raise OpenError(f"this user may not make anything in {str(path)!r}")
            return f"it can be made: {str(path)!r} may be written to"
        if path.is_dir():
            raise OpenError("it is a folder")
        if path.exists():
            allowed = os.access(path, os.W_OK)
        elif not path.parent.is_dir():
            raise OpenError(f"there is no folder {str(path.parent)!r}")
        else:
            allowed = os.access(path.parent, os.W_OK | os.X_OK)
    except (OSError, ValueError) as error:
        raise OpenError(f"it cannot be looked at: {error}") from error
    if not allowed:
        raise OpenError("this user may not write there")
    return "it can be written" if path.exists() else "it can be made: its folder may be written to"


def _try_spool(directory: Path) -> str:
    if text := obstacle(directory) or exposure(directory):
        raise OpenError(text)
    if not (directory / DATABASE).exists():
        return "a spool can be made there"
    with kept_from_nodes(directory):
        pass
    with SpoolReader(directory) as spool:
        left, damaged = spool.content(), spool.content("damaged").frames
        if not spool.check():
            raise OpenError(f"it is damaged: run message-passing spool repair {in_shell(str(directory))}")
    if damaged:
        raise OpenError(
            f"{damaged} damaged frame{'' if damaged == 1 else 's'} set aside in it: see message-passing spool "
            f"inspect {in_shell(str(directory))}"
        )
    return f"{plural(left.messages)} in it, and it is intact"


def _try_udp(hostname: str, port: int, *, binds: bool) -> str:
    with udp_socket(hostname, port, bind=binds) as opened:
        if binds:
            return "it can be bound"
        address = opened.getpeername()[0]
    return f"its host is {address}; UDP does not show whether anything listens there"


def _try_socket(settings: SocketSettings, timeout: float) -> str:
    if settings.in_process:
        return "it is within the process, so there is nothing to try"
    if settings.bind:
        return _try_bind(settings, settings.bind[0])
    endpoint = settings.connect[0]
    if faults := unknown_hosts(settings.connect):
        raise OpenError(*faults)
    if settings.socket_type == "PULL":
        _dial(endpoint, timeout)
        return "somebody listens there (no handshake was tried: a PULL that leaves takes messages with it)"
    return _try_connect(settings, endpoint, timeout)


def _try_bind(settings: SocketSettings, endpoint: str) -> str:
    path = Path(endpoint.removeprefix("ipc://"))
    if endpoint.startswith("ipc://") and path.exists():
        return _look_at_ipc(endpoint, path)
    opened = OpenSocket(settings)
    try:
        opened.attach()
        if opened.absent():
            raise OpenError(f"{endpoint}: this machine has no such address; it is listened on when it comes")
    finally:
        opened.close(0)
    return "it can be bound"


def _look_at_ipc(endpoint: str, path: Path) -> str:
    """Check a path without binding it, since ZeroMQ would take it from the socket that is bound to it."""
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise OpenError("a file is there that is no socket")
    try:
        _dial(endpoint, 1)
    except OpenError:
        pass
    else:
        raise OpenError("address in use: another process is bound to it")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OpenError("this user may not write to its folder")
    return "it can be bound: the previous owner has ended"


def _try_connect(settings: SocketSettings, endpoint: str, timeout: float) -> str:
    blocking = BlockingSender(settings)
    try:
        if shake_hands(blocking, timeout):
            mechanism = settings.security.mechanism if settings.security else "NULL"
            return f"connected, and the handshake is done ({mechanism})"
    finally:
        blocking.close(0)
    if blocking.told:
        raise OpenError(*(text.removeprefix(f"{endpoint}: ") for text in blocking.told))
    if blocking.connected:
        raise OpenError(
            f"something listens there, but the handshake was not done within {timeout:g} s: it is no ZeroMQ, "
            "or its socket type does not fit"
        )
    _dial(endpoint, timeout)
    raise OpenError(f"ZeroMQ could not connect to it within {timeout:g} s")


def _dial(endpoint: str, timeout: float) -> None:
    """Connect without ZeroMQ.

    Raises:
        OpenError: there is no answer, and why.
    """
    try:
        dial(endpoint, timeout)
    except TimeoutError as error:
        raise OpenError(f"nobody answered within {timeout:g} s: a firewall, or no such machine") from error
    except ConnectionRefusedError as error:
        raise OpenError("nobody listens there: the connection was refused") from error
    except OSError as error:
        raise OpenError(f"it cannot be reached: {error.strerror or error}") from error
