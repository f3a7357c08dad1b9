"""The options of the sending end of an acknowledged hop, declared once: for the ZeroMQ output and the log handler."""

from __future__ import annotations

from typing import Any, Literal

from message_passing.errors import Fault, OptionError, PackageError
from message_passing.options import Declared, option
from message_passing.paths import load_own


class AcknowledgedOptions(Declared):
    """When a silent receiver is given up, and where messages are kept until they are acknowledged."""

    ack_timeout: float = option(
        default=30.0,
        ge=1,
        le=3600,
        description="With DEALER and ROUTER: seconds of silence after which a receiver is given up, and what it"
        " has not acknowledged is sent again, to it or to another.",
    )

    spool: str = option(
        path=True,
        default="",
        description="With DEALER and ROUTER: a directory in which every message is on disk before it is sent, until"
        " it is acknowledged, so that it survives a crash of this process or machine. It belongs to one output.",
    )
    spool_bytes: int = option(
        default=1 << 30,
        ge=1 << 20,
        description="Bytes that the spool may have in use on disk; SQLite's log has up to 64 MiB besides.",
    )
    spool_age: float = option(
        default=0.0,
        ge=0,
        description="Seconds after which a message in the spool is no longer sent, but dropped and counted; 0 for"
        " never.",
    )
    spool_when_full: Literal["block", "drop_oldest", "drop_newest"] = option(
        default="block",
        description="What to do when the spool is full. `block`: the chain waits, and reads no more meanwhile."
        " `drop_oldest`: the oldest that are not about to be sent make room; `drop_newest`: what comes is dropped;"
        " both are counted.",
    )
    spool_compress: Literal["none", "zstd"] = option(
        default="none",
        description="`zstd`: compress what is stored in the spool from now on, so that more fits and less is written;"
        " it takes some processor time, and the extra `zstd`. Both kinds are always read.",
    )


def misplaced_spool(options: AcknowledgedOptions, socket_type: str) -> str:
    """The error that a spool is given to a socket that is not acknowledged; empty if there is none."""
    if not options.spool or socket_type in ("DEALER", "ROUTER"):
        return ""
    return f"spool is for DEALER and ROUTER, which are acknowledged, not for {socket_type}"


def spooling(options: AcknowledgedOptions, label: str, path: str) -> Any:
    """What a spool needs, imported now: SQLite takes milliseconds.

    Args:
        options: those that are given.
        label: whose they are.
        path: see `load_own`.

    Raises:
        OptionError: this Python has no SQLite, or no zstd where that is wanted.
    """
    wanted = {"spool_compress": "message_passing.zstandard:zstd"} if options.spool_compress == "zstd" else {}
    found: Any = None
    for option_name, needed in {**wanted, "spool": path}.items():
        try:
            found = load_own(needed)
        except PackageError as error:
            raise OptionError(Fault(f"{label}: option {option_name!r}: {error}", option_name)) from error
    return found
