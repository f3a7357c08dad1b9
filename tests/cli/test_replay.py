"""The command `replay`: dead letters and JSON lines are sent again, through a chain and over a hop."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from commands import finished
from message_passing.cli.replaying import NotSentError, content_of_line
from message_passing.codecs.json import JSONDecoder
from message_passing.outputs.null import NullOutput
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
        ([".", "--config", "chain.toml"], "it is a directory"),
        (["letters", "--config", "missing.toml"], "missing.toml"),
        (["letters", "--config", "chain.toml", "--at", "nowhere"], "there is no 'nowhere' in chain.toml"),
        (["letters", "--to", "nonsense"], "nonsense"),
        (["letters", "--to", "tcp://127.0.0.1:1", "--at", "x"], "it goes with --config"),
        (["-", "--config", "chain.toml", "--resume", "p"], "has no position"),
        (["letters", "--config", "chain.toml", "--resume", "other"], "it is a position in another file"),
        (
            ["letters", "--config", "chain.toml", "--resume", "letters"],
            "not a position file of this command",
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
    (tmp_path / "other").write_text('{"file":[1,1],"position":1}')
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
    assert content_of_line(letter(message)) == message
    kept = Kept()
    JSONDecoder(output_to=NullOutput(), error=kept, dead_letters=True).consume(message + b"{")
    assert content_of_line(json.dumps(kept.messages[0]).encode()) == message + b"{"


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
        content_of_line(line)


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
        assert content_of_line(found) == b'{"n":1}'


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
