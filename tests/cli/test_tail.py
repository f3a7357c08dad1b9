"""The command `message-passing tail`, of real publishers and real nodes."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from commands import finished
from message_passing.cli.commands import keys, tail
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.keys import PUBLIC, SECRET, read_key_file
from nodes import OURS, Node, node, part, wait_for_control, wait_for_port
from terminal import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Tail:
    """A tail that runs; what it writes is read from files."""

    def __init__(self, folder: Path, *words: str, env: Mapping[str, str] | None = None) -> None:
        self.out, self.err = folder / "tail.out", folder / "tail.err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [*OURS, "tail", *words], stdout=out, stderr=err, stdin=subprocess.DEVNULL, env=env
            )

    def lines(self) -> list[str]:
        """What it has shown."""
        return self.out.read_text(encoding="utf-8").splitlines()

    def shows(self, count: int) -> list[str]:
        """So many lines, once they are there."""
        wait_for(lambda: len(self.lines()) >= count or self.process.poll() is not None, timeout=20)
        assert len(self.lines()) >= count, self.told()
        return self.lines()

    def told(self) -> str:
        """What it wrote to standard error."""
        return self.err.read_text(encoding="utf-8")

    def ended(self, number: int | None = None) -> int:
        """Its exit status, after a signal."""
        if number:
            self.process.send_signal(number)
        return self.process.wait(timeout=20)


@contextmanager
def tailing(folder: Path, *words: str) -> Iterator[Tail]:
    """One that runs, killed if it has not ended at the end."""
    one = Tail(folder, *words)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """A bound PUB."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        yield Publisher(socket)


class Publisher:
    """Publishes what a test gives it, once it is subscribed to."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        socket.linger = 0
        socket.sndhwm = 0
        self.endpoint = f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"

    def heard(self) -> bytes:
        """The next subscription, once it has come."""
        assert self._socket.poll(20_000)
        return self._socket.recv()

    def publish(self, *messages: Any) -> None:
        """Objects as JSON, bytes as they are."""
        for message in messages:
            self._socket.send(message if isinstance(message, bytes) else json.dumps(message).encode())


def record(number: int, level: str = "INFO", sender: str = "web-1:12:ab", **more: Any) -> dict[str, Any]:
    """A message as the log handler sends it."""
    return {
        "time": "2026-01-01T00:00:00.000000Z",
        "level": level,
        "logger": "shop",
        "message": f"number {number}",
        "sender": sender,
        "sequence": number,
        **more,
    }


def test_all_that_is_published_is_shown_and_what_is_missing_counted(
    publisher: Publisher, tmp_path: Path
) -> None:
    """Unsampled: a burst of many thousands too. A gap in a sender's numbers is what did not come."""
    with tailing(tmp_path, publisher.endpoint, "--format", "{sequence}") as one:
        assert publisher.heard() == b"\x01"
        publisher.publish(*map(record, range(1, 20_001)), record(20_011))
        assert one.shows(20_001) == [*map(str, range(1, 20_001)), "20011"]
        assert one.ended(signal.SIGINT) == 0
        assert one.told() == "message-passing tail: 20001 shown, 10 missed\n"


def test_filters_and_the_count(publisher: Publisher, tmp_path: Path) -> None:
    """By level, field, text and sender; it ends by itself after so many, and filtering is not missing."""
    words = (
        "--level",
        "warning",
        "--field",
        "extra.shop=7",
        "--search",
        "NUMBER",
        "--follow-sender",
        "web-1",
    )
    with tailing(tmp_path, publisher.endpoint, *words, "--count", "2") as one:
        publisher.heard()
        wanted: dict[str, Any] = {"level": "ERROR", "extra": {"shop": 7}}
        publisher.publish(
            b"no JSON: number",
            record(1, **wanted),
            record(2, "INFO", extra={"shop": 7}),
            record(3, "ERROR", extra={"shop": 8}),
            record(4, "ERROR", extra={"shop": 7}, message="other"),
            record(1, sender="web-11:12:ab", **wanted),
            record(5, **wanted),
            record(6, **wanted),
        )
        assert one.ended() == 0
        assert [line.rpartition(" ")[2] for line in one.lines()] == ["1", "5"]
        assert (
            one.told()
            == "message-passing tail: 2 shown, none missed (1 without a number, whose losses are unknown)\n"
        )


def test_json_is_one_text_a_line_and_hostile_text_is_inert(publisher: Publisher, tmp_path: Path) -> None:
    """For `jq`, and for terminals that the log would like to command."""
    with tailing(tmp_path, publisher.endpoint, "--json", "--count", "2") as one:
        publisher.heard()
        publisher.publish(record(1, message="a\x1b[2J\nb\x9b"), b"\x1b]0;owned\x07")
        assert one.ended() == 0
        assert [json.loads(line) for line in one.lines()] == [
            record(1, message="a\x1b[2J\nb\x9b"),
            "\x1b]0;owned\x07",
        ]
        assert b"\x1b" not in one.out.read_bytes()


def test_a_prefix_is_subscribed_to(publisher: Publisher, tmp_path: Path) -> None:
    """The publisher itself leaves out the rest."""
    with tailing(
        tmp_path, publisher.endpoint, "--subscribe", "b", "--format", "{message}", "--count", "1"
    ) as one:
        assert publisher.heard() == b"\x01b"
        publisher.publish(b"alpha", b"beta")
        assert one.ended() == 0
        assert one.lines() == ["beta"]


def test_a_reader_that_goes_ends_it_quietly(publisher: Publisher) -> None:
    """As with `tail -f`: even when nothing comes any more."""
    process = subprocess.Popen(
        [*OURS, "tail", publisher.endpoint, "--format", "{message}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        publisher.heard()
        publisher.publish(b"one")
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == b"one\n"
        process.stdout.close()
        assert process.wait(timeout=20) == 0
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.communicate()


def test_publishers_may_connect_to_us(tmp_path: Path) -> None:
    """`--bind`, as an aggregator does."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with tailing(tmp_path, endpoint, "--bind", "--format", "{level} {message}", "--count", "1") as one:
        assert finished("send", "--connect", endpoint, "--timeout", "20", "hello").status == 0
        assert one.ended() == 0
        assert one.lines() == ["INFO hello"]


def test_nobody_there_is_said_once_and_waited_for(tmp_path: Path) -> None:
    """An endpoint that was mistyped looks like one that is quiet; it is shown when it comes."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with tailing(tmp_path, endpoint, "--format", "{message}", "--count", "1") as one:
        wait_for(lambda: f"there is no publisher at {endpoint} yet: still trying (" in one.told(), timeout=20)
        assert finished("send", "--bind", endpoint, "--timeout", "20", "at last").status == 0
        assert one.ended() == 0
        assert one.lines() == ["at last"]


def test_with_keys(tmp_path: Path) -> None:
    """Encrypted, and a publisher that refuses our key is told of."""
    for name in ("server", "client"):
        assert keys.COMMAND.main(["new", name, "--folder", str(tmp_path)]) == 0
    public = {
        name: read_key_file(str(tmp_path / f"{name}{PUBLIC}"))["public-key"] for name in ("server", "client")
    }
    (tmp_path / "allowed").mkdir()
    port = free_port()
    options: dict[str, Any] = {
        "socket_bind": f"tcp://127.0.0.1:{port}",
        "curve_secret_key": str(tmp_path / f"server{SECRET}"),
        "curve_allowed_keys": str(tmp_path / "allowed"),
        "subscribe_delay": 30,
    }
    words = ("--curve-server-key", public["server"], "--curve-secret-key", str(tmp_path / f"client{SECRET}"))
    with (
        node(*part("input", "STDIN"), *part("output", "ZeroMQ", **options)) as source,
        tailing(tmp_path, f"tcp://127.0.0.1:{port}", *words, "--format", "{message}", "--count", "1") as one,
    ):
        wait_for(lambda: "the peer rejected us" in one.told(), timeout=20)
        assert f"keys allow NAME '{public['client']}'" in one.told()
        keys.COMMAND.main(["allow", "client", public["client"], "--folder", str(tmp_path / "allowed")])
        source.write(b'{"message":"secret"}\n')
        assert one.ended() == 0
        assert one.lines() == ["secret"]


# Of a running node


@contextmanager
def watched(tmp_path: Path, *more: str) -> Iterator[Node]:
    """A node with a control socket that reads what a test writes."""
    control = tmp_path / "node.sock"
    words = [*part("input", "STDIN"), *part("output", "File", filename=str(tmp_path / "out"))]
    with node(*words, "--control", str(control), *more) as one:
        wait_for_control(control)
        yield one


def test_a_running_node_shows_what_it_writes(tmp_path: Path) -> None:
    """By its control socket; the filters are the node's."""
    with watched(tmp_path) as source:
        words = ("--level", "ERROR", "--format", "{level} {message}", "--count", "2")
        with tailing(tmp_path, str(tmp_path / "node.sock"), *words) as one:
            _write_until(one, source, record(1, "ERROR"), record(2, "INFO"))
            assert one.ended() == 0
            assert one.lines() == ["ERROR number 1"] * 2
            assert one.told() == "message-passing tail: 2 shown, none missed\n"
        assert source.process.poll() is None


def _write_until(one: Tail, source: Node, *messages: Any, shown: int = 1 << 30) -> None:
    """Write again and again, until it has ended or shown so many: a tail shows what comes after it has begun."""

    def done() -> bool:
        if one.process.poll() is not None or len(one.lines()) >= shown:
            return True
        source.write(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
        return False

    wait_for(done, timeout=20)


def test_a_node_that_ends_is_told(tmp_path: Path) -> None:
    """It is no end that was wished for: the status says so."""
    control = str(tmp_path / "node.sock")
    with watched(tmp_path) as source, tailing(tmp_path, control, "--follow-sender", "web-1:12") as one:
        _write_until(one, source, record(1), shown=1)
        source.stop()
        assert one.ended() == 1
        assert one.told().endswith("; the node has ended\n")


def test_at_a_component_and_none_of_that_name(tmp_path: Path) -> None:
    """Before the filter there is more; a wrong name is the user's mistake, and the node says what it has."""
    with watched(tmp_path, "--filter", "Null") as source:
        control = str(tmp_path / "node.sock")
        wrong = finished("tail", control, "--at", "decodr")
        assert wrong.status == 2
        assert "there is no component 'decodr' (did you mean 'decoder'?)" in wrong.err
        with tailing(tmp_path, control, "--at", "decoder", "--format", "{message}", "--count", "1") as one:
            _write_until(one, source, record(1))
            assert one.lines() == ["number 1"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tcp://h"], "needs a host and a port"),
        (["/no/such.sock"], "there is no such control socket"),
        (["tcp://127.0.0.1:1", "--level", "LOUD"], "--level: there is no level 'LOUD'"),
        (["tcp://127.0.0.1:1", "--field", "x"], "--field: a field must be given as `name=value`"),
        (["tcp://127.0.0.1:1", "--at", "input"], "--at is for a running node"),
        (["/some.sock", "--subscribe", "x"], "--subscribe is for a publisher"),
        (["tcp://127.0.0.1:1", "--format", "{message.x!r}"], "field names are in braces"),
        (["tcp://127.0.0.1:1", "--count", "0"], "argument --count"),
    ],
)
def test_mistakes_are_told(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the status for them."""
    assert tail.COMMAND.main(words) == 2
    assert told in capsys.readouterr().err


def test_colours_come_on_a_terminal_and_ctrl_c_ends_it(publisher: Publisher) -> None:
    """Levels are coloured, text is escaped, and the last line says how many there were."""
    with terminal("tail", publisher.endpoint, "--format", "{level} {message}") as screen:
        publisher.heard()
        publisher.publish(record(1, "ERROR", message="a\x1b[2Jb"))
        screen.shows(b"\x1b[31mERROR\x1b[0m a\\e[2Jb\r\n")
        screen.process.send_signal(signal.SIGINT)
        assert screen.ended() == 0
        assert screen.text.endswith(b"message-passing tail: 1 shown, none missed\r\n")


def test_the_port_of_a_publisher_is_found_by_its_name(tmp_path: Path) -> None:
    """`localhost` is resolved as any name is."""
    port = free_port()
    output = part("output", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{port}", subscribe_delay=30)
    with node(*part("input", "STDIN"), *output) as source:
        wait_for_port(port)
        with tailing(tmp_path, f"tcp://localhost:{port}", "--format", "{message}", "--count", "1") as one:
            source.write(b'{"message":"by name"}\n')
            assert one.ended() == 0
            assert one.lines() == ["by name"]
