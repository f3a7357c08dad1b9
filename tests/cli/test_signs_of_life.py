"""What a node says of itself to a person: on a terminal and in the journal, and not to scripts."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

from message_passing.testing import wait_for
from nodes import OURS, node, part
from support import untimed
from terminal import terminal

if TYPE_CHECKING:
    from pathlib import Path

RECEIVER = (*part("input", "ZeroMQ", socket_bind="tcp://127.0.0.1:0"), *part("output", "Null"))


def sender(endpoint: str) -> tuple[str, ...]:
    """A chain that sends what it is typed."""
    return (*part("input", "STDIN"), *part("output", "ZeroMQ", connect=endpoint))


def test_on_a_terminal_it_says_where_it_listens_what_came_and_how_much() -> None:
    """With the port that port 0 became; a connection, the first message, and totals at the end."""
    with terminal(*RECEIVER) as one:
        one.shows(b"input (ZeroMQ): listening on tcp://127.0.0.1:")
        found = re.search(rb"listening on (tcp://127.0.0.1:\d+)\r", wait_for(one.read))
        assert found
        assert not found[1].endswith(b":0")
        with node(*sender(found[1].decode())) as other:
            other.write(b'{"a":1}\n{"a":2}\n')
            one.shows(b"input (ZeroMQ): connected on " + found[1])
            one.shows(b"input (ZeroMQ): received the first message")
            status, _, err = other.end()
            assert (status, err) == (0, b"")  # a pipe: nothing of this
        one.process.terminate()
        assert one.ended() == 0
        assert b"input (ZeroMQ): total: received 2, passed 2\r\n" in one.text
        assert b"output (Null): total: received 2, passed 2\r\n" in one.text


def test_quiet_says_nothing_of_this() -> None:
    """For scripts that have a terminal."""
    with terminal(*RECEIVER, "--quiet") as one, terminal(*RECEIVER) as other:
        other.shows(b"no sender has connected yet")
        one.process.terminate()
        other.process.terminate()
        assert (one.ended(), one.text) == (0, b"")


def test_in_the_journal_it_says_the_same(tmp_path: Path) -> None:
    """JOURNAL_STREAM names the file that standard error is (systemd.exec(5))."""
    with (tmp_path / "journal").open("wb") as journal:
        found = os.fstat(journal.fileno())
        env = {**os.environ, "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        words = [*OURS, *part("input", "STDIN"), *part("output", "Null")]
        subprocess.run(words, input=b"{}\n", stderr=journal, env=env, check=True, timeout=60)
        subprocess.run(words, input=b"{}\n", stderr=journal, check=True, timeout=60)
    assert untimed((tmp_path / "journal").read_text()) == (
        "message-passing: input (STDIN): total: received 1, passed 1\n"
        "message-passing: output (Null): total: received 1, passed 1\n"
    )


def test_errors_are_sentences_on_a_terminal_and_json_elsewhere(tmp_path: Path) -> None:
    """Unless somebody has said how they are to be encoded."""
    (tmp_path / "in").write_bytes(b'{"a"\n')
    words = (*part("input", "STDIN"), *part("output", "Null"))
    told = (
        rb"message-passing: [^ ]+Z: decoder: malformed JSON: Input data was truncated: \{\"a\"\r\n",
        rb"\{\"time\":",
    )
    for more, expected in (((), told[0]), (("--error_encoder", "JSON"), told[1])):
        with (tmp_path / "in").open("rb") as given, terminal(*words, *more, stdin=given) as one:
            assert one.ended() == 0
            assert re.match(expected, one.text), one.text
    with node(*words) as other:
        other.write(b'{"a"\n')
        assert other.end()[2].startswith(b'{"time":')


def test_a_config_file_in_the_named_form_has_sentences_too(tmp_path: Path) -> None:
    """Its components have no error chain of their own."""
    (tmp_path / "in").write_bytes(b'{"a"\n')
    file = tmp_path / "chain.toml"
    file.write_text(
        '[inputs.i]\nclass = "STDIN"\noutput_to = "d"\n[decoders.d]\nclass = "JSON"\noutput_to = "o"\n'
        '[outputs.o]\nclass = "Null"\n'
    )
    with (tmp_path / "in").open("rb") as given, terminal("--configfile", str(file), stdin=given) as one:
        assert one.ended() == 0
    assert b": d: malformed JSON: " in one.text
    assert b'{"time"' not in one.text


def test_no_port_is_named_that_is_none() -> None:
    """What was given as port 0 is shown as what it became, also among the problems."""
    with node(*RECEIVER) as one:
        assert one.process.stderr
        line = one.process.stderr.readline()
        assert re.search(rb"tcp://127.0.0.1:[1-9]\d*: no sender has connected yet", line), line
