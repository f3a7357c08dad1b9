"""A working directory full of modules that lie there by accident, or to be executed."""

from __future__ import annotations

import json
import sys
import sysconfig
from pathlib import Path

import pytest

import message_passing
from commands import finished
from message_passing.cli.command import COMMANDS
from message_passing.errors import EXTRAS

_PROGRAM = "import sys; sys.path.append(sys.argv.pop(1)); from message_passing.cli.main import main; main()"

_DECOY = """from pathlib import Path
with (Path(__file__).parent / "executed").open("a") as file:
    file.write(f"{__name__}\\n")
"""

_CHAIN = ("--input", "STDIN", "--output", "STDOUT")
_MINE = (
    "from beside import Filter\nclass Same(Filter):\n    def filter(self, message):\n        return message\n"
)

_BROUGHT = ("_cffi_backend", "anyio", "cffi", "h11", "hiredis", "nacl", "pygments", "ua_parser_builtins")
"""Modules of packages that those of the extras bring along."""

_EVERY = {
    "inputs": {name: {"class": name, "output_to": "geoip"} for name in ("JetStream", "Kafka", "Redis")},
    "filters": {
        "geoip": {"class": "Enrich", "options": {"lookup": "geoip", "file": "absent"}, "output_to": "agent"},
        "agent": {"class": "Enrich", "options": {"lookup": "user_agent"}, "output_to": "where"},
        "where": {"class": "Where", "options": {"condition": 'matches(a, "x*y*z")'}, "output_to": "zstd"},
    },
    "encoders": {"zstd": {"class": "Zstd", "output_to": ["spool", "Streams"]}},
    "outputs": {
        "spool": {
            "class": "ZeroMQ",
            "options": {
                "socket_type": "DEALER",
                "connect": "tcp://127.0.0.1:1",
                "spool": "spool",
                "spool_compress": "zstd",
            },
        },
        "Streams": {"class": "Redis::Streams"},
    },
}
"""A chain of components that need an extra."""

_COMMANDS: dict[str, list[list[str]]] = {
    "": [
        ["--help"],
        ["--describe", "Crypt::CBC"],
        [*_CHAIN, "--workers", "2", "--filter", "+mine:Same"],
        [
            *_CHAIN,
            "--encoder",
            "Crypt::CBC",
            "--decoder",
            "Zstd",
            "--io_priority",
            "be",
            "--http",
            "127.0.0.1:0",
        ],
        ["--configfile", "chain.yaml"],
    ],
    "check": [["every.json", "chain.yaml", "chain.json"], ["--connect", "--filter", "+mine:Same", *_CHAIN]],
    "list": [[]],
    "describe": [["ZeroMQ", "Crypt::CBC", "yaml"], ["+mine:Same"]],
    "create": [["STDIN", "Crypt::CBC", "+mine:Same", "STDOUT", "--format", "yaml"]],
    "graph": [["chain.yaml"], ["--format", "svg", *_CHAIN]],
    "test": [["chain.json", "chain.yaml"]],
    "doctor": [
        ["tcp://127.0.0.1:1", "--timeout", "1"],
        ["nats://127.0.0.1:1"],
        ["kafka://127.0.0.1:1"],
        ["redis://127.0.0.1:1"],
    ],
    "schema": [[], ["+mine:Same"]],
    "send": [["--connect", "tcp://127.0.0.1:1", "--timeout", "0.1", "hello"]],
    "tail": [["/absent"]],
    "trace": [["chain.json", "{}"]],
    "losses": [[]],
    "top": [["--once"]],
    "keys": [["list", "--folder", "absent"]],
    "replay": [
        ["-", "--config", "chain.yaml"],
        ["chain.json", "--to", "tcp://127.0.0.1:1", "--timeout", "0.1"],
    ],
    "spool": [["inspect", "absent"]],
}


@pytest.fixture(scope="module")
def lean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package and what it always needs: no extra is installed there."""
    folder = tmp_path_factory.mktemp("lean")
    (folder / "message_passing").symlink_to(Path(message_passing.__file__).parent)
    for one in Path(sysconfig.get_path("platlib")).iterdir():
        if one.name.startswith(("zmq", "pyzmq", "msgspec")):
            (folder / one.name).symlink_to(one)
    return folder


@pytest.fixture
def decoys(tmp_path: Path) -> Path:
    """The directory. What is executed there says so in the file `executed`."""
    outermost = {module.partition(".")[0] for modules in EXTRAS.values() for module in modules}
    for name in (
        outermost
        | sys.stdlib_module_names
        | {"zmq", "msgspec", "message_passing", "sitecustomize", *_BROUGHT}
    ):
        (tmp_path / f"{name}.py").write_text(_DECOY)
    (tmp_path / "backports.py").unlink()
    (tmp_path / "backports").mkdir()
    (tmp_path / "backports" / "zstd.py").write_text(_DECOY)
    (tmp_path / "mine.py").write_text(_MINE)
    (tmp_path / "beside.py").write_text("from message_passing import Filter\n")
    chain = {"input": "STDIN", "output": "STDOUT", "tests": [{"input": ["{}"], "output": ["{}"]}]}
    for name in ("chain.yaml", "chain.json"):
        (tmp_path / name).write_text(json.dumps(chain))
    (tmp_path / "every.json").write_text(json.dumps(_EVERY))
    return tmp_path


def test_every_command_is_tried() -> None:
    """One that comes later belongs into the table."""
    assert set(_COMMANDS) == {"", *COMMANDS}


@pytest.mark.parametrize("command", _COMMANDS)
def test_a_command_executes_nothing_that_lies_in_the_working_directory(
    lean: Path, decoys: Path, command: str
) -> None:
    """Neither for an extra that is not installed, nor for a module that Python has: a +path alone leads there."""
    python = (sys.executable, "-I", "-S", "-c", _PROGRAM, str(lean))
    for words in _COMMANDS[command]:
        done = finished(*filter(None, [command]), *words, command=python, cwd=decoys, given=b"{}\n")
        assert "Traceback" not in done.err
        assert not (decoys / "executed").exists(), (words, (decoys / "executed").read_text(), done.err)
        if "+mine:Same" in words and "Crypt::CBC" not in words:
            assert (done.status, done.err) == (0, "")


def test_python_with_m_looks_elsewhere_too(decoys: Path) -> None:
    """Python itself puts the working directory first: what it has imported before us is all that is taken there."""
    for name in sys.stdlib_module_names:
        (decoys / f"{name}.py").unlink()
    (decoys / "message_passing.py").unlink()
    done = finished("check", "chain.yaml", command=(sys.executable, "-m", "message_passing"), cwd=decoys)
    assert (done.status, done.err) == (0, "")
    assert not (decoys / "executed").exists()
