"""Commands of one's own on the machinery of `message-passing`, in real processes."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from commands import finished
from message_passing.cli import script as module
from message_passing.testing import free_port, wait_for
from nodes import node, part, wait_for_port

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """\
from message_passing import Chain, message_chain, option
from message_passing.cli.script import CLIComponent, Script
"""

TWO_ENDS = (
    HEAD
    + '''
class Copy(Script):
    """Copy messages."""

    prog = "copy-messages"
    source = CLIComponent("input")
    target = CLIComponent("output", default="STDOUT")
    count: int = option(description="How many targets.", ge=1)
    label: str = option(default="none", description="What to call it.")

    def build_chain(self) -> Chain:
        with message_chain() as chain:
            targets = [f"target {n}" for n in range(self.count)]
            self.source.declare(chain, "source", output_to="split")
            chain.filter("split", "T", output_to=targets)
            for name in targets:
                self.target.declare(chain, name)
            chain.filter("spare", "Null", output_to="split")
        return chain

if __name__ == "__main__":
    Copy.start()
'''
)


@pytest.fixture
def copy(tmp_path: Path) -> tuple[str, ...]:
    """The command of a user's script."""
    (tmp_path / "copier.py").write_text(TWO_ENDS)
    return (sys.executable, "-W", "error", str(tmp_path / "copier.py"))


def test_the_example_of_the_module_works(tmp_path: Path) -> None:
    """As it stands in the documentation: it listens, and prints."""
    assert module.__doc__
    example = module.__doc__[module.__doc__.index("    class Collector") : module.__doc__.index("It has ")]
    program = tmp_path / "collector.py"
    program.write_text(HEAD + textwrap.dedent(example))
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    words = [f"--socket-bind={address}", "--pid_file", str(tmp_path / "pid"), "--quiet"]
    with node(*words, command=(sys.executable, "-W", "error", str(program))) as collector:
        wait_for_port(port)
        wait_for((tmp_path / "pid").exists)
        with node("--input", "STDIN", *part("output", "ZeroMQ", connect=address)) as sender:
            sender.write(b'{"n":1}\n')
            assert sender.end() == (0, b"", b"")
        assert collector.process.stdout
        assert collector.process.stdout.readline() == b'{"n":1}\n'
        assert collector.stop() == (0, b"", b"")
    assert not (tmp_path / "pid").exists()


def test_its_components_are_chosen_by_its_user(copy: tuple[str, ...]) -> None:
    """With options for each; what is declared and not used is a warning, and does no harm."""
    words = ["--source", "STDIN", "--target", "STDERR", "--count", "3"]
    done = finished(*words, given=b"x\n", command=copy)
    warning = "copy-messages: warning: unused filter 'spare' in the chain: nothing outputs to it\n"
    assert done == (0, b"", warning + "x\n" * 3)


def test_its_faults_are_told_together(copy: tuple[str, ...]) -> None:
    """Its own options, in its own name, and those of the components."""
    done = finished("--target_options", "{", "--labl", "x", "--count", "0", "--user", "nosuch", command=copy)
    assert (done.status, done.out) == (2, b"")
    assert done.told == [
        "copy-messages: there is no option --labl (did you mean '--label'?)",
        "copy-messages: --count: option 'count' must be int >= 1, not '0'",
    ]
    assert finished(command=copy) == (2, b"", "copy-messages: --count is required (int >= 1)\n")
    assert finished("--count", command=copy) == (2, b"", "copy-messages: --count needs a value\n")
    done = finished(
        "--target", "Fiel", "--target_options", "{", "--count", "1", "--user", "nosuch", command=copy
    )
    assert done.told[0].startswith("copy-messages: --source is required: one of FileTail, ")
    assert done.told[1].startswith("copy-messages: --target_options: malformed JSON: ")
    assert done.told[2:] == [
        "copy-messages: --target: there is no output 'Fiel' (did you mean 'File'?)",
        "copy-messages: --user: there is no user 'nosuch'",
    ]


def test_its_help_lists_its_options(copy: tuple[str, ...]) -> None:
    """Those of its components, its own, and what every command has; --version is ours."""
    done = finished("--help", command=copy)
    assert (done.status, done.err) == (0, "")
    assert done.out.decode() == textwrap.dedent("""\
        Usage: copy-messages [OPTION...]

        Copy messages.

          --source NAME         The input (required).
          --source_options OPT  Its options: JSON, @file or key=value.
          --target NAME         The output (default STDOUT).
          --target_options OPT  Its options: JSON, @file or key=value.
          --daemonize           Go to the background once the chain runs.
          --quiet               Report only problems: no signs of life, no totals at the end.
          --pid_file VALUE      File to write the process id to.
          --user VALUE          User to become, once privileged sockets are open.
          --io_priority VALUE   Input/output scheduling class.
          --control [VALUE]     Unix socket to serve `top`, `tail` and `doctor` on.
          --http VALUE          HOST:PORT to serve the monitoring page and metrics on.
          --http_token VALUE    Token that clients of --http must present, or env:NAME.
          --name VALUE          Its name in `top`, on the page and in `ps`.
          --state_dir VALUE     Directory of the ledger of losses. With --control or --http, there is always a ledger.
          --ledger_days VALUE   Days for which losses are kept.
          --ledger_bytes VALUE  Maximum size of the ledger in bytes; the oldest losses are removed first.
          --count VALUE         How many targets.
          --label VALUE         What to call it.
    """)
    done = finished("--version", command=copy)
    assert done.out.startswith(b"copy-messages ")


def test_a_script_without_a_chain(tmp_path: Path) -> None:
    """Its author is told what to define."""
    program = f"{HEAD}\nclass Empty(Script):\n    pass\nEmpty.start()"
    done = finished(command=(sys.executable, "-W", "error", "-c", program), cwd=tmp_path)
    assert done.status == 1
    assert done.told[-1] == "NotImplementedError: Empty must define build_chain"
