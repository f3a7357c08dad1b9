"""SIGHUP with a configuration that has changed: it is taken while messages flow, or refused, and nothing is lost."""

from __future__ import annotations

import json
import re
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import zmq

from message_passing.testing import free_port, wait_for
from nodes import Node, lines, node, part
from support import untimed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TAKEN = "message-passing: the configuration has been read again: "
STAYS = "message-passing: keeping the previous configuration"


class Scene:
    """A node with a config file, what it has said, and a PUSH that sends it numbers without an end."""

    def __init__(self, folder: Path, running: Node, port: int) -> None:
        self.folder, self.node, self.port = folder, running, port
        self.said: list[str] = []
        self.sent = 0
        self.elsewhere = False  # some of what was sent went to no file
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._listen), threading.Thread(target=self._send)]
        for thread in self._threads:
            thread.start()

    def _listen(self) -> None:
        assert self.node.process.stderr
        for line in self.node.process.stderr:
            self.said.append(untimed(line.decode()).rstrip("\n"))

    def _send(self) -> None:
        with zmq.Context() as context, context.socket(zmq.PUSH) as push:
            push.linger = 20_000
            push.connect(f"tcp://127.0.0.1:{self.port}")
            while not self._ended.wait(0.0005):
                push.send(b'{"n":%d}' % self.sent)
                self.sent += 1

    def reload(self, config: dict[str, Any], *, says: str) -> None:
        """Change the file, send SIGHUP, and wait until it has said this."""
        told = len(self.said)
        write(self.folder, config)
        self.node.signal(signal.SIGHUP)
        wait_for(lambda: any(line.startswith(says) for line in self.said[told:]))

    def numbers(self, name: str) -> list[int]:
        """The whole messages in a file: one may be seen half written."""
        path = self.folder / name
        found = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line)["n"] for line in found if line.endswith("\n")]

    def more_arrive(self, name: str) -> None:
        """Wait until the file has grown."""
        before = len(self.numbers(name))
        wait_for(lambda: len(self.numbers(name)) > before + 20, timeout=20)

    def _arrived(self) -> int:
        files = [
            path for path in self.folder.iterdir() if path.suffix not in {".json", ".py"} and path.is_file()
        ]
        return sum(path.read_bytes().count(b'{"n":') for path in files)

    def end(self) -> None:
        """Send no more, and end the node when it has got all: what is on its way to a socket ends with that."""
        self._ended.set()
        self._threads[1].join()
        if not self.elsewhere:
            wait_for(lambda: self._arrived() >= self.sent, timeout=20)
        self.node.signal(signal.SIGTERM)
        assert self.node.process.wait(20) == 0
        self._threads[0].join()


def write(folder: Path, config: dict[str, Any]) -> None:
    """The config file, with these values."""
    (folder / "c.json").write_text(json.dumps(config))


def config(port: int, filename: str = "a", **more: Any) -> dict[str, Any]:
    """A chain from a PULL to a file."""
    return {
        "input": "ZeroMQ",
        "input_options": {"socket_bind": f"tcp://127.0.0.1:{port}", "socket_type": "PULL"},
        "output": "File",
        "output_options": {"filename": filename},
        **more,
    }


@contextmanager
def scene(folder: Path, *words: str) -> Iterator[Scene]:
    """The node runs, and numbers flow into the file `a`."""
    port = free_port()
    write(folder, config(port))
    with node("--configfile", "c.json", *words, cwd=folder) as running:
        found = Scene(folder, running, port)
        try:
            found.more_arrive("a")
            yield found
        finally:
            found.end()


def test_each_message_arrives_once_whatever_is_changed(tmp_path: Path) -> None:
    """Filter, output, decoder and encoder, one after the other, with messages under way."""
    with scene(tmp_path) as one:
        one.reload(
            config(
                one.port, filter="Key", filter_options={"key": "n", "match": "[0-9]", "match_type": "regex"}
            ),
            says=TAKEN,
        )
        one.more_arrive("a")
        one.reload(config(one.port, "b"), says=TAKEN + "replaced filter, output")
        one.more_arrive("b")
        one.reload(
            config(one.port, "b", encoder="JSON", decoder="Null", encoder_options={"pretty": False}),
            says=TAKEN,
        )
        one.more_arrive("b")
        one.reload(config(one.port, "c"), says=TAKEN + "replaced decoder, encoder, output")
        one.more_arrive("c")
    found = [*one.numbers("a"), *one.numbers("b"), *one.numbers("c")]
    assert sorted(found) == [*range(one.sent)]
    assert [line for line in one.said if "lost" in line] == []


def test_an_output_that_takes_objects_comes_and_goes(tmp_path: Path) -> None:
    """The encoder that stays hands on objects while that output stands behind it, and makes text again after."""
    (tmp_path / "mine.py").write_text(
        "from message_passing import Output\n"
        "class ByParity(Output):\n"
        "    takes_objects = True\n"
        "    def write_many(self, messages):\n"
        "        for name, rest in (('even', 0), ('odd', 1)):\n"
        "            with open(name, 'ab') as file:\n"
        "                for line in self.encoded([m for m in messages if m['n'] % 2 == rest]):\n"
        "                    file.write(line + b'\\n')\n"
    )
    with scene(tmp_path) as one:
        parity = {**config(one.port), "output": "+mine:ByParity", "output_options": {}}
        one.reload(parity, says=TAKEN + "replaced output")
        one.more_arrive("odd")
        one.reload({**parity, "encoder": "JSON", "encoder_options": {"pretty": False}}, says=TAKEN)
        one.more_arrive("even")
        one.reload({**config(one.port, "b"), "filter": "All", "output": "+mine:None"}, says=STAYS)
        one.more_arrive("odd")
        one.reload(config(one.port, "b"), says=TAKEN + "replaced encoder, output")
        one.more_arrive("b")
    even, odd = one.numbers("even"), one.numbers("odd")
    assert {n % 2 for n in even} | {n % 2 + 2 for n in odd} == {0, 3}
    assert sorted([*one.numbers("a"), *even, *odd, *one.numbers("b")]) == [*range(one.sent)]
    assert [line for line in one.said if "lost" in line] == []


def test_a_wrong_configuration_changes_nothing(tmp_path: Path) -> None:
    """Every mistake is told, as at a start, and the chain goes on."""
    with scene(tmp_path) as one:
        wrong = config(one.port, "b", filter="Kye")
        wrong["output_options"]["fielname"] = "x"
        one.reload(wrong, says=STAYS)
        assert any("there is no filter 'Kye' (did you mean 'Key'?)" in line for line in one.said)
        assert any("has no option 'fielname' (did you mean 'filename'?)" in line for line in one.said)
        (tmp_path / "c.json").write_text("{")
        one.node.signal(signal.SIGHUP)
        wait_for(lambda: one.said.count(STAYS) == 2)
        one.more_arrive("a")
        one.reload(config(one.port, "b"), says=TAKEN + "replaced output")
        one.more_arrive("b")
    assert sorted([*one.numbers("a"), *one.numbers("b")]) == [*range(one.sent)]


def test_what_cannot_be_opened_changes_nothing(tmp_path: Path) -> None:
    """An address that is taken: what had been closed for it is opened again, and goes on."""
    with scene(tmp_path) as one, zmq.Context() as context, context.socket(zmq.PULL) as taken:
        port = taken.bind_to_random_port("tcp://127.0.0.1")
        wrong = config(one.port, output="ZeroMQ", filter="All")
        wrong["output_options"] = {"socket_bind": f"tcp://127.0.0.1:{port}"}
        one.reload(wrong, says=STAYS)
        assert any("address in use" in line and str(port) in line for line in one.said)
        one.more_arrive("a")
    assert sorted(one.numbers("a")) == [*range(one.sent)]


def test_a_component_that_breaks_when_it_is_opened_changes_nothing(tmp_path: Path) -> None:
    """Not only mistakes that are known of: a class of the user's own may raise anything."""
    (tmp_path / "mine.py").write_text(
        "from message_passing.flow import Output\n"
        "class Broken(Output):\n"
        "    def on_open(self): raise RuntimeError('broken')\n"
        "    def write(self, message): pass\n"
    )
    with scene(tmp_path) as one:
        one.reload({**config(one.port), "output": "+mine:Broken", "output_options": {}}, says=STAYS)
        (said,) = (line for line in one.said if "RuntimeError: broken" in line)
        assert re.search(r"on_open\(\) of 'output' \(mine\.Broken\) raised .* at .*mine\.py:3$", said)
        one.more_arrive("a")
    assert sorted(one.numbers("a")) == [*range(one.sent)]


def test_an_address_moves_from_one_output_to_its_successor(tmp_path: Path) -> None:
    """Both cannot have it at once, so the first is closed before; those who listen there come again."""
    out = free_port()
    with scene(tmp_path) as one, zmq.Context() as context, context.socket(zmq.PULL) as pull:
        pull.rcvtimeo = 20_000
        pull.connect(f"tcp://127.0.0.1:{out}")
        one.elsewhere = True
        for hwm in (5000, 6000):
            bound = {"socket_bind": f"tcp://127.0.0.1:{out}", "socket_type": "PUSH", "socket_hwm": hwm}
            one.reload({**config(one.port), "output": "ZeroMQ", "output_options": bound}, says=TAKEN)
            assert pull.recv().startswith(b'{"n":')
        one.reload(config(one.port), says=TAKEN + "replaced output")
        one.more_arrive("a")


def test_an_input_can_be_added_and_none_be_changed_or_removed(tmp_path: Path) -> None:
    """What is on its way to one that runs would be lost, so it stays and says why."""
    with scene(tmp_path) as one:
        changed = config(one.port, "b")
        changed["input_options"]["socket_hwm"] = 500
        one.reload(changed, says=STAYS)
        text = "the input 'input' cannot change while it runs: what is on its way to it would be lost"
        assert f"message-passing: {text}" in one.said
        one.more_arrive("a")
    assert sorted(one.numbers("a")) == [*range(one.sent)]


def test_an_output_that_keeps_messages_for_an_absent_receiver_stays(tmp_path: Path) -> None:
    """What has not been acknowledged is not thrown away by a change; once it is, the change is made."""
    first, second = free_port(), free_port()
    said: list[str] = []

    def sending(port: int) -> dict[str, Any]:
        given = {"connect": f"tcp://127.0.0.1:{port}", "socket_type": "DEALER"}
        return {"input": "STDIN", "output": "ZeroMQ", "output_options": given}

    def receiver(port: int) -> list[str]:
        given = {"socket_bind": f"tcp://127.0.0.1:{port}", "socket_type": "ROUTER"}
        return [
            *part("input", "ZeroMQ", **given),
            *part("output", "File", filename=str(tmp_path / str(port))),
        ]

    def numbers(port: int) -> list[int]:
        return [json.loads(line)["n"] for line in lines(tmp_path / str(port))]

    def wait_until_said(text: str) -> None:
        wait_for(lambda: text in "".join(said), timeout=20)

    write(tmp_path, sending(first))
    with node("--configfile", "c.json", cwd=tmp_path) as running:
        assert running.process.stderr
        listening = threading.Thread(
            target=lambda error: said.extend(untimed(line.decode()) for line in error),
            args=[running.process.stderr],
        )
        listening.start()
        running.write(b"".join(b'{"n":%d}\n' % n for n in range(50)))
        wait_until_said("nobody listens")
        write(tmp_path, sending(second))
        running.signal(signal.SIGHUP)
        wait_until_said(STAYS)
        assert "the output 'output' cannot change now: it keeps 50 messages for its receiver" in "".join(said)
        with node(*receiver(first)), node(*receiver(second)):
            wait_until_said(f"connected to tcp://127.0.0.1:{first}")
            wait_for(lambda: numbers(first) == [*range(50)], timeout=20)
            running.signal(signal.SIGHUP)
            wait_until_said(TAKEN)
            running.write(b'{"n":50}\n')
            wait_for(lambda: numbers(second) == [50], timeout=20)
        running.process.kill()
        listening.join()


def test_inputs_and_branches_come_and_go_in_the_named_form(tmp_path: Path) -> None:
    """A second input and a second output are added, and the output is removed again."""
    port, second = free_port(), free_port()
    pull = {"class": "ZeroMQ", "output_to": "split"}
    inputs = {
        name: {**pull, "options": {"socket_bind": f"tcp://127.0.0.1:{number}", "socket_type": "PULL"}}
        for name, number in (("one", port), ("two", second))
    }
    outputs = {name: {"class": "File", "options": {"filename": name}} for name in ("a", "b")}
    split = {"class": "T", "output_to": ["a"]}

    def named(ins: list[str], outs: list[str]) -> dict[str, Any]:
        return {
            "inputs": {name: inputs[name] for name in ins},
            "filters": {"split": {**split, "output_to": outs}},
            "outputs": {name: outputs[name] for name in outs},
        }

    write(tmp_path, named(["one"], ["a"]))
    with node("--configfile", "c.json", cwd=tmp_path) as running:
        one = Scene(tmp_path, running, port)
        try:
            one.more_arrive("a")
            one.reload(named(["one", "two"], ["a", "b"]), says=TAKEN + "added b, two")
            one.more_arrive("b")
            with zmq.Context() as context, context.socket(zmq.PUSH) as push:
                push.connect(f"tcp://127.0.0.1:{second}")
                push.send(b'{"n":-1}')
                wait_for(lambda: -1 in one.numbers("b"))
            one.reload(named(["one", "two"], ["a"]), says=TAKEN + "removed b")
            one.more_arrive("a")
            one.reload(named(["one"], ["a"]), says=STAYS)
        finally:
            one.end()
    assert sorted(one.numbers("a")) == [-1, *range(one.sent)]


def test_what_is_fixed_at_the_start_is_said_to_be(tmp_path: Path) -> None:
    """The user, the pid file, where it can be watched: another start is needed."""
    with scene(tmp_path) as one:
        one.reload({**config(one.port, "b"), "pid_file": "x.pid"}, says=STAYS)
        assert "message-passing: c.json: pid_file: has changed: that needs a restart" in one.said
        one.more_arrive("a")
    assert one.numbers("b") == []


def test_a_file_that_is_the_same_is_only_opened_again(tmp_path: Path) -> None:
    """Logrotate's SIGHUP says nothing, and the chain is not touched."""
    with scene(tmp_path) as one:
        (tmp_path / "a").rename(tmp_path / "a.1")
        one.node.signal(signal.SIGHUP)
        one.more_arrive("a")
    assert sorted([*one.numbers("a.1"), *one.numbers("a")]) == [*range(one.sent)]
    assert one.said == []


def test_a_chain_with_workers_says_that_it_cannot(tmp_path: Path) -> None:
    """And goes on."""
    with scene(tmp_path, "--workers", "1") as one:
        one.reload(config(one.port, "b"), says=STAYS)
        assert "message-passing: c.json: has changed: with --workers, that needs a restart" in one.said
        one.more_arrive("a")
    assert sorted(one.numbers("a")) == [*range(one.sent)]


def test_many_signals_end_in_the_last_configuration(tmp_path: Path) -> None:
    """However fast they come, no message is lost and the last file counts."""
    with scene(tmp_path) as one:
        for number in range(20):
            write(tmp_path, config(one.port, f"f{number}"))
            one.node.signal(signal.SIGHUP)
        one.more_arrive("f19")
    names = ["a", *(f"f{number}" for number in range(20))]
    assert sorted(n for name in names for n in one.numbers(name)) == [*range(one.sent)]
