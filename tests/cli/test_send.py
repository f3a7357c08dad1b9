"""The command `message-passing send`: what arrives, and what is said when nothing does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from commands import finished
from message_passing.cli.commands import keys, send
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.keys import PUBLIC, SECRET, read_key_file
from nodes import lines, node, part, wait_for_port
from terminal import in_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Aggregator:
    """A node that writes what arrives to a file."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.endpoint = f"tcp://127.0.0.1:{self.port}"
        self.out = folder / "out"

    def words(self, **options: Any) -> list[str]:
        """The command's words."""
        given = {"socket_bind": self.endpoint, **options}
        return [*part("input", "ZeroMQ", **given), *part("output", "File", filename=str(self.out))]

    def has(self, count: int) -> list[Any]:
        """So many messages, once they have arrived."""
        wait_for(lambda: len(lines(self.out)) >= count, timeout=20)
        return [*map(json.loads, lines(self.out))]


@pytest.fixture
def aggregator(tmp_path: Path) -> Iterator[Aggregator]:
    """One that runs."""
    one = Aggregator(tmp_path)
    with node(*one.words()):
        wait_for_port(one.port)
        yield one


def test_words_are_a_message_with_the_fields_of_the_log_handler(aggregator: Aggregator) -> None:
    """A receiver need not know whether a program or a shell said it."""
    words = ("--level", "warning", "--field", "disk=sda1", "--tag", "backup", "it", "has", "ended")
    done = finished("send", "--connect", aggregator.endpoint, *words)
    assert (done.status, done.out, done.err) == (0, b"", "")
    (found,) = aggregator.has(1)
    told = {name: found[name] for name in ("level", "level_number", "message", "service", "logger", "extra")}
    assert told == {
        "level": "WARNING",
        "level_number": 30,
        "message": "it has ended",
        "service": "backup",
        "logger": "backup",
        "extra": {"disk": "sda1"},
    }
    first_ten = ("time", "file", "line", "function", "thread_id", "thread", "process_id", "host", "sender")
    assert all(name in found for name in first_ten)
    assert found["sequence"] == 1


def test_each_line_of_standard_input_is_one(aggregator: Aggregator) -> None:
    """Also what is no UTF-8, and a last line without an end; empty lines and a byte-order mark are none."""
    done = finished(
        "send", "--connect", aggregator.endpoint, given=b"\xef\xbb\xbfone\n\ncaf\xe9 \xc3\xa9\nthree"
    )
    assert (done.status, done.err) == (0, "")
    found = aggregator.has(3)
    assert [one["message"] for one in found] == ["one", "caf\\xe9 \u00e9", "three"]
    assert [one["line"] for one in found] == [1, 3, 4]
    assert [one["sequence"] for one in found] == [1, 2, 3]
    assert len({one["sender"] for one in found}) == 1


def test_objects_get_what_they_lack_and_what_is_none_is_told(aggregator: Aggregator) -> None:
    """Their own fields stay; a line that is no object is skipped, and costs the exit status."""
    given = b'{"message":"paid","order":12,"level":"error","extra":{"a":1}}\n{"a"\n[1]\n{"host":"h"}\n'
    done = finished("send", "--connect", aggregator.endpoint, "--json", "--field", "b=2", given=given)
    assert done.status == 2
    assert [line.partition(": ")[2].partition(":")[0] for line in done.told] == ["line 2", "line 3"]
    first, second = aggregator.has(2)
    assert (first["message"], first["order"], first["level"]) == ("paid", 12, "error")
    assert (first["level_number"], first["extra"]) == (40, {"a": 1, "b": "2"})
    assert (second["host"], second["level"], second["message"]) == ("h", "INFO", "")


def test_a_file_is_sent_whole_however_slow_the_receiver(aggregator: Aggregator, tmp_path: Path) -> None:
    """More than fits into ZeroMQ's queues: sending waits for room, and nothing is lost."""
    file = tmp_path / "in"
    file.write_bytes(b"".join(b"%d %s\n" % (number, b"x" * 100) for number in range(30_000)))
    with file.open("rb") as given:
        done = finished("send", "--connect", aggregator.endpoint, given=given)
    assert (done.status, done.err) == (0, "")
    found = aggregator.has(30_000)
    assert [int(one["message"].split()[0]) for one in found] == [*range(30_000)]


def test_pull_gets_it_by_push_and_a_sub_may_come_to_us(tmp_path: Path) -> None:
    """The other socket type, and binding."""
    one = Aggregator(tmp_path)
    with node(*one.words(socket_type="PULL")):
        wait_for_port(one.port)
        assert finished("send", "--connect", one.endpoint, "--socket-type", "PUSH", "pushed").status == 0
        assert one.has(1)[0]["message"] == "pushed"
    with zmq.Context() as context, context.socket(zmq.SUB) as sub:
        port = free_port()
        sub.subscribe(b"")
        sub.connect(f"tcp://127.0.0.1:{port}")
        done = finished("send", "--bind", f"tcp://127.0.0.1:{port}", "--timeout", "20", "to whoever comes")
        assert (done.status, done.err) == (0, "")
        assert sub.poll(20_000)
        assert json.loads(sub.recv())["message"] == "to whoever comes"


def test_nobody_listens() -> None:
    """It says so after the time given, of words and of files how many, and what to do next."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    done = finished("send", "--connect", endpoint, "--timeout", "0.3", "hello")
    assert done.status == 1
    (told,) = done.told
    assert told.startswith(
        f"message-passing send: 1 message was not sent: nobody listens at {endpoint}; see "
    )
    done = finished(
        "send", "--connect", endpoint, "--timeout", "0.3", "--socket-type", "PUSH", given=b"a\nb\n"
    )
    assert done.status == 1
    assert "1 message was not sent, nor what follows in standard input: nobody listens" in done.err


def test_lines_of_a_file_that_were_not_sent_are_counted(tmp_path: Path) -> None:
    """A file can be counted to its end, unlike a pipe."""
    (tmp_path / "in").write_bytes(b"a\nb\n\nc\n")
    with (tmp_path / "in").open("rb") as given:
        endpoint = f"tcp://127.0.0.1:{free_port()}"
        done = finished("send", "--bind", endpoint, "--timeout", "0.2", given=given)
    assert done.status == 1
    assert f"3 messages were not sent: nobody connected to {endpoint} within 0.2 seconds" in done.err


def test_a_socket_of_another_type_is_named(tmp_path: Path) -> None:
    """A PUB does not go with a PULL, and ZeroMQ only hangs up."""
    one = Aggregator(tmp_path)
    with node(*one.words(socket_type="PULL")):
        wait_for_port(one.port)
        done = finished("send", "--connect", one.endpoint, "--timeout", "0.5", "hello")
    assert done.status == 1
    assert "closes our connection: it is a PULL, which --socket-type must fit, or not ZeroMQ" in done.err


def test_a_subscription_to_something_else_is_named(tmp_path: Path) -> None:
    """A PUB sends nothing that was not subscribed to, and would not say so."""
    one = Aggregator(tmp_path)
    with node(*one.words(subscribe=["topic"])):
        wait_for_port(one.port)
        done = finished("send", "--connect", one.endpoint, "--timeout", "1", "hello")
    assert done.status == 1
    assert "has not subscribed to their prefix" in done.err


def test_a_receiver_that_stands_still_is_told_of() -> None:
    """It is connected, and takes so many that those can not be told from those that did arrive."""
    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        pull.rcvhwm = 1
        pull.linger = 0
        port = pull.bind_to_random_port("tcp://127.0.0.1")
        words = ("--connect", f"tcp://127.0.0.1:{port}", "--socket-type", "PUSH", "--timeout", "0.3")
        done = finished("send", *words, given=(b"x" * 9000 + b"\n") * 3000)
    assert done.status == 1
    assert "reads them too slowly" in done.err
    assert "may not have arrived: the receiver reads them too slowly, or has gone" in done.err


def test_a_key_that_is_refused_is_told_and_an_allowed_one_gets_through(tmp_path: Path) -> None:
    """The sentence says what to run on the server."""
    for name in ("server", "client"):
        assert keys.COMMAND.main(["new", name, "--folder", str(tmp_path)]) == 0
    public = {
        name: read_key_file(str(tmp_path / f"{name}{PUBLIC}"))["public-key"] for name in ("server", "client")
    }
    (tmp_path / "allowed").mkdir()
    one = Aggregator(tmp_path)
    secret = str(tmp_path / f"server{SECRET}")
    with node(*one.words(curve_secret_key=secret, curve_allowed_keys=str(tmp_path / "allowed"))):
        wait_for_port(one.port)
        key = ("--curve-server-key", public["server"])
        words = (
            "send",
            "--connect",
            one.endpoint,
            *key,
            "--curve-secret-key",
            str(tmp_path / f"client{SECRET}"),
        )
        refused = finished(*words, "--timeout", "1", "secret")
        assert refused.status == 1
        assert f"keys allow NAME '{public['client']}'" in refused.err
        keys.COMMAND.main(["allow", "client", public["client"], "--folder", str(tmp_path / "allowed")])
        done = finished(*words, "secret")
        assert (done.status, done.err) == (0, "")
        assert one.has(1)[0]["message"] == "secret"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--connect", "tcp://h:1", "--level", "WARN1NG", "x"], "did you mean 'WARNING'?"),
        (["--connect", "tcp://h:1", "--field", "x", "x"], "--field name=value, not 'x'"),
        (["--connect", "tpc://h:1", "x"], "did you mean 'tcp'?"),
        (["--connect", "tcp://no.such.invalid:1", "x"], "unknown host 'no.such.invalid'"),
        (["--connect", "tcp://*:1", "x"], "'*' is only for"),
        (["x"], "one of the arguments --connect --bind is required"),
        (["--connect", "tcp://127.0.0.1:1", "--json", "[1]"], "this is JSON, but not an object"),
        (["--connect", "tcp://127.0.0.1:1", "--timeout", "soon", "x"], "must be a number from 0 to 999999"),
        (["--connect", "tcp://127.0.0.1:1", "--curve-secret-key", "/no", "x"], "curve_server_key"),
    ],
)
def test_mistakes_are_told(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is sent, with the status for them."""
    assert send.COMMAND.main(words) == 2
    assert told in capsys.readouterr().err


def test_a_long_file_shows_how_far_it_is_on_a_terminal(aggregator: Aggregator, tmp_path: Path) -> None:
    """The line is redrawn in place and taken away at the end."""
    file = tmp_path / "in"
    file.write_bytes(b"a line of a large file\n" * 60_000)
    with file.open("rb") as given:
        shown = in_terminal("send", "--connect", aggregator.endpoint, stdin=given)
    assert shown.status == 0
    assert b"%" in shown.text
    assert b"/1.4 MB" in shown.text
    assert shown.text.endswith(b"\r\x1b[K")
    assert b"\n" not in shown.text
