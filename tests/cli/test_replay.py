"""The command `replay`: dead letters and JSON lines are sent again, through a chain and over a hop."""

from __future__ import annotations

import ast
import base64
import json
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from commands import finished
from message_passing.cli.replay_sources import MOST_LINE, Letter, NotSentError, letter_of_line
from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.delivery import Outcome
from message_passing.errors import OpenError
from message_passing.failures import MOST_DATA
from message_passing.outputs.file import FileOutput
from message_passing.outputs.null import NullOutput
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.source import Source
from message_passing.spool.directory import DATABASE, LOCK, kept_from_nodes
from message_passing.testing import free_port, wait_for
from nodes import lines, node, part
from support import Kept

if TYPE_CHECKING:
    from pathlib import Path

CHAIN = """
input = "STDIN"
filter = "+mine:Fragile"
output = "File"
output_options = {filename = "written"}
error = "File"
error_options = {filename = "letters"}
dead_letters = true
"""

FRAGILE = """
from message_passing import Filter

class Fragile(Filter):
    def filter(self, message):
        if message["n"] %s:
            raise ValueError("poisoned")
        return message
"""


def numbers(path: Path) -> list[int]:
    """Those in the messages of a file."""
    return [json.loads(line)["n"] for line in lines(path)] if path.exists() else []


def letter(message: bytes, **more: Any) -> bytes:
    """A dead letter with this message, as a line."""
    kept = Kept()
    JSONDecoder(output_to=NullOutput(), error=kept, dead_letters=True).consume(b"\xff" + message)
    (report,) = kept.messages
    report["packed_data_base64"] = base64.b64encode(message).decode()
    return json.dumps({**report, **more}).encode() + b"\n"


def test_a_poisoned_message_is_replayed_once_the_filter_is_mended(tmp_path: Path) -> None:
    """The chain goes on without it; it waits in the file, and arrives. What fails again is a dead letter again."""
    (tmp_path / "chain.toml").write_text(CHAIN)
    (tmp_path / "mine.py").write_text(FRAGILE % "in (2, 4)")
    given = "".join(f'{{"n":{n}}}\n' for n in range(6)).encode()
    finished("chain.toml", given=given, cwd=tmp_path)
    assert numbers(tmp_path / "written") == [0, 1, 3, 5]
    (tmp_path / "mine.py").write_text(FRAGILE % "== 4")
    words = ["replay", "letters", "--config", "chain.toml", "--resume", "position"]
    first = finished(*words, cwd=tmp_path)
    assert (first.status, numbers(tmp_path / "written")) == (1, [0, 1, 3, 5, 2])
    assert "2 taken" in first.err
    (tmp_path / "mine.py").write_text(FRAGILE % "is None")
    second = finished(*words, cwd=tmp_path)
    assert (second.status, numbers(tmp_path / "written")) == (0, [0, 1, 3, 5, 2, 4])
    third = finished(*words, cwd=tmp_path)
    assert (third.status, third.err) == (0, "message-passing replay: 0 taken\n")


def test_dead_letters_go_to_a_receiver_that_acknowledges(tmp_path: Path) -> None:
    """Whatever bytes they have, beside lines that are none, of which it tells."""
    port = free_port()
    given = [b'{"n":1}', b'{"n":2,"text":"\xc3\xa4"}', b'{"n":3}']
    (tmp_path / "letters").write_bytes(
        letter(given[0]) + given[1] + b"\n\nno JSON\n" + letter(given[2]) + letter(b"cut", truncated=True)
    )
    words = [
        *part("input", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{port}", socket_type="ROUTER"),
        *part("decoder", "Null"),
        *part("encoder", "Null"),
        *part("output", "File", filename=str(tmp_path / "written")),
    ]
    with node(*words):
        done = finished("replay", "letters", "--to", f"tcp://127.0.0.1:{port}", cwd=tmp_path)
        assert done.status == 1
        assert "3 taken, 2 lines without a whole message" in done.err
        wait_for(lambda: (tmp_path / "written").exists() and lines(tmp_path / "written") == given)


def test_it_gives_up_where_nobody_takes_them_and_goes_on_later(tmp_path: Path) -> None:
    """It says so, and nothing is taken as sent that was not."""
    port = free_port()
    (tmp_path / "messages").write_bytes(b'{"n":1}\n{"n":2}\n')
    words = [
        "replay",
        "messages",
        "--to",
        f"tcp://127.0.0.1:{port}",
        "--resume",
        "position",
        "--timeout",
        "0.3",
    ]
    done = finished(*words, cwd=tmp_path)
    assert done.status == 1
    assert "nothing was accepted for 0.3 seconds" in done.err
    assert "0 taken, stopped before the end: run the same command to resume here" in done.err
    assert not (tmp_path / "position").exists()


def test_a_rate_and_a_reason(tmp_path: Path) -> None:
    """From standard input, only those that fit, and not faster than it says."""
    (tmp_path / "chain.toml").write_text(CHAIN)
    (tmp_path / "mine.py").write_text(FRAGILE % "is None")
    given = b"".join(letter(b'{"n":%d}' % n, exception="this" if n % 2 else "that") for n in range(12))
    words = ["replay", "-", "--config", "chain.toml", "--reason", "this", "--rate", "20"]
    done = finished(*words, given=given, cwd=tmp_path)
    assert (done.status, done.err) == (0, "message-passing replay: 6 taken, 6 left out (--reason)\n")
    assert numbers(tmp_path / "written") == [1, 3, 5, 7, 9, 11]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["missing", "--config", "chain.toml"], "missing: No such file"),
        ([".", "--config", "chain.toml"], "there is no spool in '.'"),
        (["letters", "--config", "missing.toml"], "missing.toml"),
        (["letters", "--config", "chain.toml", "--at", "nowhere"], "there is no 'nowhere' in chain.toml"),
        (["letters", "--to", "nonsense"], "nonsense"),
        (["letters", "--to", "tcp://127.0.0.1:1", "--at", "x"], "it goes with --config"),
        (["-", "--config", "chain.toml", "--resume", "p"], "has no position"),
        (["letters", "--config", "chain.toml", "--resume", "other"], "it is a position in another file"),
        (
            ["letters", "--config", "chain.toml", "--resume", "letters"],
            "is not a position file",
        ),
        (["letters"], "--to --config"),
        (["letters", "--config", "chain.toml", "--rate", "0"], "must be a number above 0"),
    ],
)
def test_mistakes(words: list[str], text: str, tmp_path: Path) -> None:
    """Each is told in a sentence, with status 2, and nothing is sent."""
    (tmp_path / "chain.toml").write_text(CHAIN)
    (tmp_path / "mine.py").write_text(FRAGILE % "is None")
    (tmp_path / "letters").write_bytes(letter(b'{"n":1}'))
    (tmp_path / "other").write_text('{"version":1,"file":[1,1],"position":1}')
    done = finished("replay", *words, cwd=tmp_path)
    assert done.status == 2
    assert text in done.err
    assert "Traceback" not in done.err
    assert not numbers(tmp_path / "written")


@pytest.mark.parametrize(
    "message", [b"", b"text", b"a\nb\r\n", b"\xff\x00", "\u2028\x1b[2J".encode(), b'{"n":1}']
)
def test_a_message_comes_out_as_it_was(message: bytes) -> None:
    """Whatever it holds: base64, or text."""
    assert letter_of_line(letter(message)) == Letter(message, 1)
    kept = Kept()
    JSONDecoder(output_to=NullOutput(), error=kept, dead_letters=True).consume(message + b"{")
    assert letter_of_line(json.dumps(kept.messages[0]).encode()) == Letter(message + b"{", 1)


@pytest.mark.parametrize("byte", [b"\x01", b"\xff", b'"', "\u2028".encode(), b"x"])
def test_the_longest_letter_is_read_whole(byte: bytes) -> None:
    """In proportion: whatever its bytes are written as, a line is not longer than what is read at once."""
    message = byte * ((1 << 20) // len(byte))
    kept = Kept()
    JSONDecoder(output_to=NullOutput(), error=JSONEncoder(output_to=kept), dead_letters=True).consume(message)
    (line,) = kept.messages
    assert letter_of_line(line) == Letter(message, 1)
    assert len(line) * (MOST_DATA >> 20) <= MOST_LINE


def test_a_dead_letter_that_does_not_fit_on_the_disk_is_a_loss(capfd: pytest.CaptureFixture[str]) -> None:
    """So that whoever delivers the message sends it again."""
    with FileOutput(filename="/dev/full") as full:
        letters = JSONEncoder(output_to=full)
        one = JSONDecoder(output_to=NullOutput(), error=letters, dead_letters=True)
        found: list[Outcome] = []
        Source(output_to=one).deliver([b"no JSON"], found.append)
    assert found == [Outcome.LOST]
    assert "No space left" in capfd.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        letter(b"x", truncated=True),
        letter(b"x", packed_data_base64="%"),
        letter(b"x", packed_data_base64=5),
        b'{"time":"","class":"","exception":"","component":""}',
        b'{"time":"","class":"","exception":"","component":"","stringified_data":"{\'a\': 1}"}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_holds_no_whole_message_is_not_sent(line: bytes) -> None:
    """Instead of a part of one, or something else."""
    with pytest.raises(NotSentError):
        letter_of_line(line)


def test_what_fails_again_has_been_tried_once_more(tmp_path: Path) -> None:
    """Also behind a filter that delivers on its own; and only what had failed before."""
    (tmp_path / "chain.toml").write_text(CHAIN.replace('"+mine:Fragile"', '["Retry", "+mine:Fragile"]'))
    (tmp_path / "mine.py").write_text(FRAGILE % ">= 0")
    finished("chain.toml", given=b'{"n":1}\n', cwd=tmp_path)
    for tried in (1, 2, 3):
        last = lines(tmp_path / "letters")[-1]
        assert json.loads(last)["attempts"] == tried
        (tmp_path / "again").write_bytes(b'{"n":0}\n' + last + b"\n")
        assert finished("replay", "again", "--config", "chain.toml", cwd=tmp_path).status == 1
    assert [json.loads(line)["attempts"] for line in lines(tmp_path / "letters")] == [1, 1, 2, 1, 3, 1, 4]


def fill(spool: Path, given: list[bytes]) -> None:
    """Spool these messages, for a receiver that is not there."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with ZeroMQOutput(connect=endpoint, socket_type="DEALER", spool=str(spool), linger=0) as output:
        for message in given:
            output.consume(message)
        wait_for(lambda: not output.held())


def test_a_spool_is_replayed_and_stays_as_it_is(tmp_path: Path) -> None:
    """Its messages come out as they were, also from where it stopped; one that is damaged is told of."""
    spool, given = tmp_path / "spool", [b'{"n":1}', b"\xff\x00", b"two\nlines", letter(b"x").strip(), b""]
    fill(spool, given)
    before = {one.name: one.read_bytes() for one in spool.iterdir()}
    words = ["replay", "spool", "--config", "chain.toml", "--resume", "position", "--rate", "1000"]
    (tmp_path / "chain.toml").write_text(
        'input = "STDIN"\ndecoder = "Null"\nencoder = "Null"\noutput = "+mine:Keeps"\n'
    )
    (tmp_path / "mine.py").write_text(
        "import os\nfrom message_passing import Output\nclass Keeps(Output):\n"
        "    def write_many(self, messages):\n"
        "        with open('kept', 'a') as file: file.write(''.join(f'{bytes(one)!r}\\n' for one in messages))\n"
    )
    done = finished(*words, cwd=tmp_path)
    assert (done.status, done.err) == (0, "message-passing replay: 5 taken\n")
    assert [ast.literal_eval(line.decode()) for line in lines(tmp_path / "kept")] == given
    assert {name: (spool / name).read_bytes() for name in before} == before
    fill(spool, [b"more", b"most"])
    with closing(sqlite3.connect(spool / DATABASE)) as db, db:
        db.execute("UPDATE frames SET crc = 1 WHERE sequence = (SELECT max(sequence) FROM frames)")
    done = finished(*words, cwd=tmp_path)
    assert done.status == 1
    assert "is not sent: its checksum is wrong" in done.err
    assert "1 taken, 1 frame without a whole message" in done.err
    assert lines(tmp_path / "kept")[5:] == [b"b'more'"]
    (tmp_path / "lines").write_bytes(b"1\n")
    done = finished("replay", "lines", *words[2:], cwd=tmp_path)
    assert done.status == 2
    assert "it is a position in another file" in done.err


def test_a_spool_in_use_is_refused(tmp_path: Path) -> None:
    """The node that uses it sends its messages itself; a replay keeps nodes away in turn."""
    spool, endpoint = tmp_path / "spool", f"tcp://127.0.0.1:{free_port()}"
    given: dict[str, Any] = {"connect": endpoint, "socket_type": "DEALER", "spool": str(spool), "linger": 0}
    with ZeroMQOutput(**given):
        done = finished("replay", "spool", "--to", endpoint, cwd=tmp_path)
        assert done.status == 2
        assert f"is in use by the process {os.getpid()}, which sends what is in it" in done.err
    (spool / LOCK).write_text("999999999\n")
    with kept_from_nodes(spool), pytest.raises(OpenError, match="in use by another process"):
        ZeroMQOutput(**given).open()
    done = finished("replay", "spool", "--to", endpoint, "--reason", "x", cwd=tmp_path)
    assert done.status == 2
    assert "--reason selects dead letters in a file" in done.err


def test_an_acknowledged_hop_neither_loses_nor_repeats_what_is_poisoned(tmp_path: Path) -> None:
    """The receiver acknowledges it once its dead letter is written, so that the sender ends, having sent it once."""
    (tmp_path / "mine.py").write_text(FRAGILE % "== 1")
    port = free_port()
    receiver = [
        *part("input", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{port}", socket_type="ROUTER"),
        *part("output", "File", filename=str(tmp_path / "written")),
        *part("error", "File", filename=str(tmp_path / "letters")),
        *("--filter", "+mine:Fragile", "--dead_letters"),
    ]
    sender = [
        *part("input", "STDIN"),
        *part("output", "ZeroMQ", connect=f"tcp://127.0.0.1:{port}", socket_type="DEALER"),
    ]
    with node(*receiver, cwd=tmp_path):
        done = finished(*sender, given=b'{"n":0}\n{"n":1}\n{"n":2}\n')
        assert (done.status, done.err) == (0, "")
        assert numbers(tmp_path / "written") == [0, 2]
        (found,) = lines(tmp_path / "letters")
        assert letter_of_line(found) == Letter(b'{"n":1}', 1)


SMALL = """
from message_passing import Output

class Small(Output):
    def write_many(self, messages):
        with open("written", "ab") as file:
            for message in messages[:40]:
                file.write(message + b"\\n")
        if messages[40:]:
            self.fail(OSError(28, "No space left on device"), messages[40:])
"""


def test_a_disk_that_frees_little_by_little_gets_each_message_once(tmp_path: Path) -> None:
    """What it had no room for is sent again, and not the rest with it."""
    (tmp_path / "mine.py").write_text(SMALL)
    (tmp_path / "chain.toml").write_text('input = "STDIN"\noutput = "+mine:Small"\n')
    (tmp_path / "messages").write_bytes(b"".join(b'{"n":%d}\n' % n for n in range(100)))
    done = finished("replay", "messages", "--config", "chain.toml", cwd=tmp_path)
    assert (done.status, numbers(tmp_path / "written")) == (0, list(range(100)))
