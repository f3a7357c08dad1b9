"""Mistakes, made in the real command, and exactly what is said of them."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import pytest

from commands import STDIN_TO_STDOUT, WITHOUT_RIGHTS, finished
from message_passing.cli.run.run_command import MessagePassing
from mistakes import FILES, Mistake, table

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the command runs: with config files and modules, most of them wrong."""
    for name, text in FILES.items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path


def test_the_table_is_read() -> None:
    """A test that looks at nothing would hold everything."""
    rows = table()
    assert len(rows) > 40
    assert all(row.told for row in rows)


@pytest.mark.parametrize("row", table(), ids=lambda row: row.title)
def test_a_mistake_is_told_in_exactly_these_lines(folder: Path, row: Mistake) -> None:
    """Status 2, one line for each mistake, no traceback, and nothing on standard output."""
    done = finished(*row.words, cwd=folder)
    assert done.told == row.told
    assert (done.status, done.out) == (2, b"")


def test_options_of_several_lines() -> None:
    """The place in them is told with its line."""
    done = finished(*STDIN_TO_STDOUT, "--output_options", '{"a": 1, # one\n "b" 2}')
    problem = "malformed JSON: Expecting ':' delimiter at line 2, column 6"
    assert done == (2, b"", f"message-passing: --output_options: {problem}\n")


def test_an_address_in_use(tmp_path: Path) -> None:
    """For each kind of socket, with the address."""
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        udp.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{tcp.getsockname()[1]}"
        port = udp.getsockname()[1]
        options = f'{{"hostname": "127.0.0.1", "port": {port}}}'
        done = finished(
            "--input", "Socket::UDP", "--input_options", options,
            "--output", "ZeroMQ", "--output_options", f"socket_bind={address}",
            "--error", "ZeroMQ", "--error-options", f"socket_bind={address}",
            cwd=tmp_path,
        )  # fmt: skip
    in_use = f"message-passing: ZeroMQ output: {address}: address in use: another socket is bound to it"
    udp_in_use = "message-passing: Socket::UDP input: cannot bind to UDP 127.0.0.1:"
    assert done.told == [in_use, in_use, f"{udp_in_use}{port}: Address already in use"]
    assert (done.status, done.out) == (2, b"")


def test_permission_denied() -> None:
    """Without rights: a file, an ipc address and a pid file at the root, another user, and a priority."""
    done = finished(
        "--input", "ZeroMQ", "--input_options", "socket_bind=ipc:///refused.sock",
        "--output", "File", "--output_options", "filename=/refused.log",
        command=WITHOUT_RIGHTS,
    )  # fmt: skip
    assert (done.status, done.out) == (2, b"")
    reason = "permission denied: a port below 1024 or this path needs more privileges"
    assert done.told == [
        "message-passing: File output: cannot write to the file '/refused.log': Permission denied",
        f"message-passing: ZeroMQ input: ipc:///refused.sock: {reason}",
    ]
    done = finished(*STDIN_TO_STDOUT, "--pid_file", "/refused.pid", command=WITHOUT_RIGHTS)
    assert done == (
        2,
        b"",
        "message-passing: --pid_file /refused.pid: cannot be written: Permission denied\n",
    )
    done = finished(*STDIN_TO_STDOUT, "--user", "root", "--io_priority", "rt", command=WITHOUT_RIGHTS)
    assert (done.status, done.out) == (2, b"")
    assert done.told == [
        "message-passing: --user: only root can become user 'root'",
        "message-passing: --io_priority: only root can set the class 'rt'",
    ]


_COMPRESS = "--output_options.spool_compress: ZeroMQ output: option 'spool_compress'"
COMPRESSED_SPOOL = [
    *("--input", "STDIN", "--output", "ZeroMQ", "--output_options"),
    '{"connect":"tcp://127.0.0.1:9","socket_type":"DEALER","spool":"s","spool_compress":"zstd"}',
]


@pytest.mark.parametrize(
    ("package", "extra", "words", "place"),
    [
        ("psutil", "io-priority", [*STDIN_TO_STDOUT, "--io_priority", "be"], "--io_priority"),
        ("yaml", "yaml", ["--configfile", "numbers.yaml"], "numbers.yaml"),
        ("cryptography", "crypt", [*STDIN_TO_STDOUT, "--encoder", "Crypt::CBC"], "--encoder"),
        pytest.param(
            *("backports.zstd", "zstd", [*STDIN_TO_STDOUT, "--encoder", "Zstd"], "--encoder"),
            marks=pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python has it"),
        ),
        pytest.param(
            *("backports.zstd", "zstd", COMPRESSED_SPOOL, _COMPRESS),
            marks=pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python has it"),
        ),
    ],
)
def test_a_missing_extra(folder: Path, package: str, extra: str, words: list[str], place: str) -> None:
    """Which package is missing, and how to install it."""
    program = f"import sys; sys.modules[{package!r}] = None; import message_passing.__main__"
    done = finished(*words, command=(sys.executable, "-W", "error", "-c", program), cwd=folder)
    what = f"{words[-2][2:]} {words[-1]!r}: " if place == "--encoder" else ""
    name = {"yaml": "PyYAML"}.get(package, package)  # what the package index calls it
    text = f"this needs the package {name!r}: install it with `pip install 'message-passing[{extra}]'`"
    assert done == (2, b"", f"message-passing: {place}: {what}{text}\n")


@pytest.mark.parametrize(
    ("name", "method", "what", "label"),
    [
        ("Looks", "preflight", "RuntimeError: no luck", "Looks filter: "),
        ("Warns", "warnings", "LookupError: no words", ""),
        ("Opens", "on_open", "ValueError: no door", "Opens filter: "),
    ],
)
def test_whatever_a_component_of_the_user_raises(
    folder: Path, name: str, method: str, what: str, label: str
) -> None:
    """One sentence that names the component, its class, and the line."""
    done = finished(*STDIN_TO_STDOUT, "--filter", f"+mine:{name}", cwd=folder)
    lines = (folder / "mine.py").read_text().splitlines()
    place = f"{folder / 'mine.py'}:{lines.index(f'    def {method}(self):') + 2}"
    text = f"{label}{method}() of 'filter' (mine.{name}) raised {what} at {place}"
    assert done == (2, b"", f"message-passing: {text}\n")


def test_a_file_where_a_module_is_named(folder: Path) -> None:
    """What to write instead."""
    done = finished(*STDIN_TO_STDOUT, "--filter", "+mine.py:Same", cwd=folder)
    assert (done.status, done.out) == (2, b"")
    assert done.err.endswith(" (did you mean '+mine:Same'?)\n")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "text", "place"),
    [
        (["--control"], "", "--control"),
        (["--http", "127.0.0.1:9"], "", "--http"),
        ([], "control = true", "chain.toml: control"),
        ([], 'http = "127.0.0.1:9"', "chain.toml: http"),
    ],
)
def test_a_console_without_its_packages(folder: Path, words: list[str], text: str, place: str) -> None:
    """The option, or the key, that needs them is named."""
    (folder / "chain.toml").write_text(f'input = "STDIN"\noutput = "STDOUT"\n{text}\n')
    program = "import sys; sys.modules['starlette'] = None; import message_passing.__main__"
    command = (sys.executable, "-W", "error", "-c", program)
    done = finished("--configfile", "chain.toml", *words, command=command, cwd=folder)
    hint = "install it with `pip install 'message-passing[console]'`"
    text = f"this needs the package 'starlette': {hint}"
    assert done == (2, b"", f"message-passing: {place}: {text}\n")


def test_options_of_the_console_that_do_nothing(folder: Path) -> None:
    """A token that nobody has to give, and an option of which only the last one counts."""
    done = finished(*STDIN_TO_STDOUT, "--http_token", "x", "--name", "a", "--name", "b", cwd=folder)
    assert (done.status, done.out) == (0, b"")
    warning = "message-passing: warning: "
    assert done.err.splitlines()[:2] == [
        f"{warning}--name is given more than once: only the last one counts",
        f"{warning}--http_token has no effect without --http",
    ]


@pytest.mark.parametrize("given", ["true", "false"])
def test_a_control_socket_that_is_true_in_a_file(folder: Path, given: str) -> None:
    """It is where `--control` alone has it; false is none."""
    (folder / "chain.toml").write_text(f'input = "STDIN"\noutput = "STDOUT"\ncontrol = {given}\n')
    script = MessagePassing.read(["--configfile", str(folder / "chain.toml")])
    assert (script.control, script.given.faults) == ("default" if given == "true" else "", [])
