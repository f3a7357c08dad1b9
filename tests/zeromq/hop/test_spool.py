"""A hop with a spool between real nodes: what is accepted is on disk, and arrives, whoever is killed."""

from __future__ import annotations

import json
import os
import random
import signal
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.errors import OptionError
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.testing import free_port, wait_for
from nodes import Node, lines, node, part

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path) -> list[int]:
    """The numbers of the messages in a file."""
    return [json.loads(line)["n"] for line in lines(path)]


def messages(first: int, count: int) -> bytes:
    """So many lines of JSON."""
    return b"".join(b'{"n":%d,"text":"%s"}\n' % (n, b"x" * 200) for n in range(first, first + count))


def receiver(endpoint: str, file: Path) -> Any:
    """A node that writes what comes to a ROUTER."""
    words = part("input", "ZeroMQ", socket_bind=endpoint, socket_type="ROUTER")
    return node(*words, *part("output", "File", filename=str(file)))


def sender(endpoint: str, spool: Path, **options: Any) -> Any:
    """A node that spools what it reads from standard input."""
    given = {"connect": endpoint, "socket_type": "DEALER", "ack_timeout": 2, "spool": str(spool), **options}
    return node(*part("input", "STDIN"), *part("output", "ZeroMQ", **given))


def spooled(node: Node) -> None:
    """End a node's input."""
    status, _, err = node.end()
    assert status == 0, err


def test_a_sender_ends_when_all_is_on_disk(tmp_path: Path) -> None:
    """Without a receiver it ends, says what is in the spool, and the next run sends that before anything new."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with sender(endpoint, tmp_path / "spool") as sending:
        sending.write(messages(0, 3000))
        status, _, err = sending.end()
    assert status == 0
    assert b"3000 messages are in the spool" in err
    assert b"lost" not in err
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    with receiver(endpoint, tmp_path / "out") as receiving:
        with sender(endpoint, tmp_path / "spool", linger=15_000) as sending:
            sending.write(messages(3000, 10))
            status, _, err = sending.end()
        assert (status, err) == (0, b"")
        receiving.stop()
    assert written(tmp_path / "out") == list(range(3010))


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """A spool belongs to one output: another is told who has it."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with sender(endpoint, tmp_path / "spool") as first:
        wait_for((tmp_path / "spool" / "spool.sqlite-wal").exists, timeout=20)
        with sender(endpoint, tmp_path / "spool") as second:
            status, _, err = second.end()
        assert status == 2
        assert f"in use by the process {first.process.pid}".encode() in err
        first.end()


def test_other_sockets_have_no_spool() -> None:
    """Nobody acknowledges what PUB and PUSH send."""
    for socket_type in ("PUB", "PUSH"):
        with pytest.raises(OptionError, match="spool is for DEALER and ROUTER"):
            ZeroMQOutput(connect="tcp://127.0.0.1:9", socket_type=socket_type, spool="s")  # type: ignore[arg-type]
