"""The command `message-passing check`: every mistake with its line and column, and the ends of a chain tried."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING

import pytest
import zmq

from commands import finished
from message_passing.cli.commands import check as command
from message_passing.testing import free_port
from mistakes import FILES
from nodes import node, part, wait_for_port

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs: with config files, most of them wrong."""
    for name, text in FILES.items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str]]:
    """The exit status, and the lines on standard output; there is nothing else."""
    status = command.COMMAND.main(words)
    out, err = capsys.readouterr()
    assert err == ""
    return status, out.splitlines()


NO_KEY = "Expecting property name enclosed in double quotes"
NOT_BOTH = "cannot be combined with it"

NAMED = {
    "app.toml": '[inputs.apps]\nclass = "ZeroMQ"\noutput_to = "out"\n\n[inputs.apps.options]\n# it binds\n'
    '  sokcet_bind = "tcp://*:5558"\n[outputs.out]\nclass = "STDOUT"\n',
    "app.json": '{\n  "inputs": {"apps": {"class": "ZeroMQ", "output_to": "out", "options": {\n'
    '    # it binds\n    "linger": 5,\n  "sokcet_bind": "tcp://*:5558"}}},\n'
    '  "outputs": {"out": {"class": "STDOUT"},},\n}\n',
    "app.yaml": "inputs:\n  apps:\n    class: ZeroMQ\n    output_to: out\n    options:\n      # it binds\n"
    "      sokcet_bind: tcp://*:5558\noutputs:\n  out: {class: STDOUT}\n",
}


@pytest.mark.parametrize(("name", "place"), [("app.toml", "7:3"), ("app.json", "5:3"), ("app.yaml", "7:7")])
def test_a_misspelt_option_of_the_named_form(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, place: str
) -> None:
    """In each format, at the line and column of its own name."""
    (folder / name).write_text(NAMED[name])
    text = "ZeroMQ input has no option 'sokcet_bind' (did you mean 'socket_bind'?)"
    assert told(capsys, name) == (2, [f"{name}:{place}: {text}"])


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.toml", 'input = "ZeroMQ"\noutput = "STDOUT"\ninput_options.linger = -1\n', "3:15: "),
        ("a.json", '{"input": "ZeroMQ", "output": "STDOUT",\n "input_options": {"linger": -1}}', "2:20: "),
        ("a.yaml", "input: ZeroMQ\noutput: STDOUT\ninput_options:\n  {linger: -1}\n", "4:4: "),
    ],
)
def test_a_wrong_value_of_the_flat_form(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, line: str
) -> None:
    """Likewise."""
    (folder / name).write_text(text)
    assert told(capsys, name) == (
        2,
        [f"{name}:{line}ZeroMQ input: option 'linger' must be int from 0 to 2147483647, not -1"],
    )


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("malformed.json", [":3:12: malformed JSON: Expecting ':' delimiter"]),
        ("malformed.toml", [":2:9: malformed TOML: Invalid value"]),
        ("malformed.yaml", [":3:7: malformed YAML: expected ',' or ']', but got ':'"]),
        ("numbers.yaml", [":3:1: a key must be text, not 5: put it in quotes"]),
        ("absent.toml", [": cannot be read: No such file or directory"]),
        ("chain.ini", [": its name must end in .json, .toml, .yaml or .yml"]),
        ("latin.json", [": cannot be read: it is not UTF-8"]),
        (
            "unknown.toml",
            [
                ":2:1: there is no option 'ouptut' (did you mean 'output'?)",
                ":3:1: there is no option 'linger'",
            ],
        ),
        (
            "shapes.json",
            [
                ":1:2: input: must be a component's name, not 5",
                ":1:34: output_options: must be an object of options, not 7",
                f":1:55: filter_options: malformed JSON: {NO_KEY} at column 2",
            ],
        ),
        ("mixed.toml", [f":1:1: output: it names its components itself, so mixed.toml: output {NOT_BOTH}"]),
        (
            "named.toml",
            [
                ":2:9: error_log: there is no component named 'xyzzy' for the errors to go to",
                ":5:9: inputs.in.output_to: there is no component named 'dcoder' (did you mean 'decoder'?)",
                ":8:9: there is no key 'ouput_to' here (did you mean 'output_to'?); options go into `options`",
                ":11:29: decoders.decoder.output_to.1: 'in' is an input: nothing can output to it",
                ":15:18: there is already a component named 'loop': the filter",
                ":18:9: outputs.out.class: there is no output 'STDUOT' (did you mean 'STDOUT'?)",
                ":19:9: outputs.out.output_to: an output has no output_to: messages end there",
                ":19:9: outputs.out.output_to: 'in' is an input: nothing can output to it",
                ":22:37: File output has no option 'appnd' (did you mean 'append'?)",
            ],
        ),
    ],
)  # fmt: skip
def test_mistakes(folder: Path, capsys: pytest.CaptureFixture[str], name: str, lines: list[str]) -> None:
    """What the command itself would say of these files, each with its position, in the order of the file."""
    status, found = told(capsys, name)
    assert (status, [line.removeprefix(name) for line in found]) == (2, lines)
    assert folder.is_dir()


def test_what_lacks_is_placed_at_its_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Options that must be given, and a loop, which has no one place."""
    (folder / "a.toml").write_text(
        '[inputs.in]\nclass = "STDIN"\noutput_to = "a"\n\n[filters.a]\nclass = "Key"\n'
        'output_to = "b"\n[filters.a.options]\nkey = "x"\n[filters.b]\nclass = "Null"\noutput_to = "a"\n'
    )
    status, lines = told(capsys, "a.toml")
    assert status == 2
    assert lines[0].startswith("a.toml:8:12: filters.a.options: Key filter needs the option 'match'")
    assert lines[1] == "a.toml:12:1: filters.b.output_to: loop in the chain: a -> b -> a"


def test_several_files_at_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Right ones are named too, and one that is wrong makes the status."""
    (folder / "right.yaml").write_text("input: STDIN\noutput: STDOUT\n")
    assert told(capsys, "right.yaml") == (0, ["right.yaml: no errors"])
    status, lines = told(capsys, "unknown.toml", "right.yaml", "absent.json")
    assert status == 2
    assert [line.partition(":")[0] for line in lines] == ["unknown.toml"] * 2 + ["right.yaml", "absent.json"]


def test_for_a_program(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list of objects; an empty one when all is right."""
    assert command.COMMAND.main(["--json", "unknown.toml"]) == 2
    first = json.loads(capsys.readouterr().out)[0]
    text = "there is no option 'ouptut' (did you mean 'output'?)"
    place = {"file": "unknown.toml", "line": 2, "column": 1, "where": "ouptut"}
    assert first == {**place, "text": text, "severity": "error"}
    (folder / "right.yaml").write_text("input: STDIN\noutput: STDOUT\n")
    assert command.COMMAND.main(["--json", "right.yaml"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("twice.json", '{"input": "STDIN", "output": "STDOUT",\n "input": "STDIN"}', "2:2"),
        ("twice.yaml", "input: STDIN\noutput: STDOUT\ninput: STDIN\n", "3:1"),
    ],
)
def test_a_key_that_is_there_twice(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, place: str
) -> None:
    """The parsers take the last one in silence, and somebody meant both."""
    (folder / name).write_text(text)
    line = f"{name}:{place}: the key 'input' is given more than once: only the last one counts"
    assert told(capsys, name) == (2, [line])


def test_the_words_of_a_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same words as for running it, with a config file among them or not."""
    words = ["--input", "ZeroMQ", "--input_options", "sokcet_bind=tcp://*:5558", "--output", "STDOUT"]
    option = "--input_options.sokcet_bind: ZeroMQ input has no option 'sokcet_bind'"
    assert told(capsys, *words) == (2, [f"{option} (did you mean 'socket_bind'?)"])
    assert told(capsys, "--input", "STDIN", "--output", "STDOUT") == (0, ["no errors"])
    assert command.COMMAND.main(["--json", "--configfile", "unknown.toml", "--filter", "Nul"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert [(one["file"], one["line"], one["where"]) for one in found] == [
        (None, None, "--filter"), ("unknown.toml", 2, "ouptut"), ("unknown.toml", 3, "linger")
    ]  # fmt: skip
    assert folder.is_dir()


def test_what_runs_all_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings have their place, and the status stays 0."""
    (folder / "a.toml").write_text(
        '[inputs.in]\nclass = "ZeroMQ"\noutput_to = "out"\noptions.socket_bind = "tcp://*:5558"\n'
        '[outputs.out]\nclass = "STDOUT"\n[filters.alone]\nclass = "Null"\noutput_to = "out"\n'
    )
    status, lines = told(capsys, "a.toml")
    assert status == 0
    assert any("everybody who can reach" in line for line in lines)
    unused = "unused filter 'alone' in the chain: nothing outputs to it"
    assert f"a.toml:7:10: warning: {unused}" in lines


def test_nothing_is_opened(folder: Path) -> None:
    """No file is made, and an address in use or a host that does not exist is no mistake of the file's."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        (folder / "a.json").write_text(
            json.dumps(
                {
                    "inputs": {
                        "a": {"class": "ZeroMQ", "options": {"socket_bind": endpoint}, "output_to": "out"},
                        "b": {
                            "class": "ZeroMQ",
                            "options": {"connect": "tcp://no.such.invalid:1"},
                            "output_to": "out",
                        },
                    },
                    "outputs": {"out": {"class": "File", "options": {"filename": "made.log"}}},
                }
            )
        )
        done = finished("check", "a.json", cwd=folder)
    assert (done.status, done.out, done.err) == (0, b"a.json: no errors\n", "")
    assert not (folder / "made.log").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "name config files, or give the options of a chain"),
        (["--timeout", "0", "a.toml"], "argument --timeout: must be a number above 0, not '0'"),
        (["--timeout", "soon", "a.toml"], "must be a number above 0, not 'soon'"),
    ],
)
def test_mistakes_in_its_own_words(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and a sentence."""
    assert command.COMMAND.main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("message-passing check: ")
    assert text in said


def tried(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str]]:
    """The exit status of `--connect`, and what was tried; STDIN and STDOUT need no trial."""
    status, lines = told(capsys, "--connect", "--timeout", "2", *words)
    return status, [line for line in lines if line.startswith(("ok", "FAILED"))]


def sends_to(endpoint: str, **options: object) -> list[str]:
    """A chain with a PUB that connects."""
    return ["--input", "STDIN", *part("output", "ZeroMQ", connect=endpoint, **options)]


def test_an_endpoint_that_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """A real node of ours binds, and the handshake is seen to succeed."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with node(*part("input", "ZeroMQ", socket_bind=endpoint), "--output", "STDOUT"):
        wait_for_port(int(endpoint.rpartition(":")[2]))
        assert tried(capsys, *sends_to(endpoint)) == (
            0, [f"ok      ZeroMQ output {endpoint}: connected, and the handshake is done (NULL)"]
        )  # fmt: skip
        status, lines = tried(capsys, *part("input", "ZeroMQ", socket_bind=endpoint), "--output", "STDOUT")
        in_use = "address in use: another socket is bound to it"
        assert (status, lines) == (1, [f"FAILED  ZeroMQ input {endpoint}: {in_use}"])


def test_an_endpoint_where_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    """The reason is told, which ZeroMQ keeps to itself; for a program too."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    text = "nobody listens there: the connection was refused"
    assert tried(capsys, *sends_to(endpoint)) == (1, [f"FAILED  ZeroMQ output {endpoint}: {text}"])
    assert command.COMMAND.main(["--connect", "--timeout", "1", "--json", *sends_to(endpoint)]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["where"], found["text"]) == (f"ZeroMQ output {endpoint}", text)


def test_an_endpoint_that_is_no_zeromq(capsys: pytest.CaptureFixture[str]) -> None:
    """It is reached, and says nothing that ZeroMQ understands."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        status, (line,) = tried(capsys, *sends_to(endpoint))
    assert status == 1
    assert "something listens there, but the handshake was not done within 2 s" in line


def test_a_server_with_another_key(capsys: pytest.CaptureFixture[str]) -> None:
    """CURVE: what is wrong is said; with the right key all is well."""
    (public, secret), (own_public, own_secret) = zmq.curve_keypair(), zmq.curve_keypair()
    with zmq.Context() as context, context.socket(zmq.PULL) as server:
        server.linger = 0
        server.curve_server, server.curve_secretkey = True, secret
        port = server.bind_to_random_port("tcp://127.0.0.1")
        endpoint = f"tcp://127.0.0.1:{port}"
        keys = {"socket_type": "PUSH", "curve_secret_key": own_secret.decode()}
        status, (line,) = tried(capsys, *sends_to(endpoint, **keys, curve_server_key=public.decode()))
        assert (status, line[-8:]) == (0, " (CURVE)")
        status, (line,) = tried(capsys, *sends_to(endpoint, **keys, curve_server_key=own_public.decode()))
        assert status == 1
        assert "curve_server_key is not its key" in line


def test_a_pull_takes_no_messages_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever pushes would deal to it, and what it was dealt would be lost."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as server:
        server.linger = 0
        endpoint = f"tcp://127.0.0.1:{server.bind_to_random_port('tcp://127.0.0.1')}"
        sender = threading.Thread(target=server.send, args=(b"waits for a worker",))
        sender.start()
        words = [*part("input", "ZeroMQ", connect=endpoint, socket_type="PULL"), "--output", "STDOUT"]
        assert tried(capsys, *words)[0] == 0
        with context.socket(zmq.PULL) as worker:
            worker.connect(endpoint)
            assert worker.poll(10_000)
            assert worker.recv() == b"waits for a worker"
        sender.join()


def test_an_ipc_path_is_not_taken_from_who_has_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Binding would, so it is asked in another way; one that nobody has any more is free."""
    endpoint = f"ipc://{tmp_path}/s"
    words = [*part("input", "ZeroMQ", socket_bind=endpoint), "--output", "STDOUT"]
    with zmq.Context() as context, context.socket(zmq.PULL) as server:
        server.bind(endpoint)
        status, (line,) = tried(capsys, *words)
        assert status == 1
        assert line.endswith("address in use: another process is bound to it")
        with context.socket(zmq.PUSH) as client:
            client.connect(endpoint)
            client.send(b"still there")
            assert server.poll(10_000)
    with socket.socket(socket.AF_UNIX) as gone:
        (tmp_path / "s").unlink(missing_ok=True)
        gone.bind(str(tmp_path / "s"))
    assert tried(capsys, *words)[0] == 0
    (tmp_path / "s").unlink()
    assert tried(capsys, *words) == (0, [f"ok      ZeroMQ input {endpoint}: it can be bound"])


def test_files_and_folders(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that can be made, one whose folder is not there, and a folder."""
    (folder / "is").mkdir()
    results = {"new.log": "it can be made", "none/x.log": "there is no folder 'none'", "is": "it is a folder"}
    for name, text in results.items():
        status, (line,) = tried(capsys, "--input", "STDIN", *part("output", "File", filename=name))
        assert text in line
        assert status == (name != "new.log")
    assert not (folder / "new.log").exists()


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    """A file's name may have any bytes, and the terminal not the letters."""
    name = b"\xff\xc3\xa9.toml".decode("utf-8", "surrogateescape")
    done = finished("check", name, cwd=tmp_path, env={"PYTHONIOENCODING": "ascii"})
    assert (done.status, done.err) == (2, "")
    assert done.out == rb"\udcff\xe9.toml: cannot be read: No such file or directory" + b"\n"


def test_it_is_a_word_of_the_command() -> None:
    """And has a help of its own, with examples."""
    done = finished("check", "--help")
    assert (done.status, done.err) == (0, "")
    assert b"message-passing check --connect" in done.out
