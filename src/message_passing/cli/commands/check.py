"""The command `message-passing check`: all errors in config files, each with its file, line and column."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from message_passing.cli.chain_probe import try_ends
from message_passing.cli.command import Command, add_timeout
from message_passing.cli.run.run_command import check_file, check_words
from message_passing.cli.terminal import print_out
from message_passing.errors import OpenError
from message_passing.graph import topological_order, with_parts

if TYPE_CHECKING:
    import argparse

    from message_passing.cli.chain_probe import Trial
    from message_passing.cli.run.run_command import CheckResult

_EPILOG = """\
Nothing is opened, and no host is looked up, except with --connect. Classes named by a +path are imported.
With --connect, it connects to endpoints, binds and releases those to bind, and checks output files and
spools. The addresses and spools of a running server are reported as in use.

exit status: 0 valid, 1 --connect found a problem, 2 there are errors

examples:
  message-passing check app.toml
  message-passing check --connect --timeout 10 /etc/message-passing/*.toml
  message-passing check --json app.yaml | jq '.[].text'
  message-passing check --input ZeroMQ --input_options socket_bind=tcp://*:5558 --output STDOUT
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="a list of file, line, column, where and text")
    parser.add_argument("--connect", action="store_true", help="also try the endpoints and files")
    add_timeout(parser, 3.0, "how long each endpoint may take")


def _run(given: argparse.Namespace) -> int:
    looked: dict[str, CheckResult] = {}
    if any(word.startswith("-") for word in given.chain):
        looked[""] = check_words(given.chain)
    elif given.chain:
        looked = {name: check_file(name) for name in given.chain}
    else:
        raise OpenError("name config files, or give the options of a chain; see --help")
    trials = {
        name: list(try_ends(_components(one), given.timeout)) if given.connect else []
        for name, one in looked.items()
    }
    print_out((_as_json if given.json else _as_text)(looked, trials))
    if not all(one.right for one in looked.values()):
        return 2
    return 0 if all(trial.right for tried in trials.values() for trial in tried) else 1


def _components(one: CheckResult) -> list[Any]:
    return with_parts(topological_order(one.chain.heads, errors=True)) if one.chain else []


def _as_text(looked: dict[str, CheckResult], trials: dict[str, list[Trial]]) -> str:
    lines: list[str] = []
    for name, one in looked.items():
        lines += map(str, one.diagnostics)
        lines += [f"{name}: {trial}" if name else str(trial) for trial in trials[name]]
        if one.right:
            lines.append(f"{name}: no errors" if name else "no errors")
    return "".join(f"{line}\n" for line in lines)


def _as_json(looked: dict[str, CheckResult], trials: dict[str, list[Trial]]) -> str:
    found = [mistake.as_object() for one in looked.values() for mistake in one.diagnostics]
    for name, tried in trials.items():
        unplaced = {"file": name or None, "line": None, "column": None}
        found += [
            {**unplaced, "where": trial.what, "text": trial.text, "severity": "error"}
            for trial in tried
            if not trial.right
        ]
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


COMMAND = Command(
    name="check",
    description="Report all errors in config files at once, each with its file, line and column.",
    epilog=_EPILOG,
    arguments=_arguments,
    run=_run,
    usage="[--json] [--connect] [--timeout SECONDS] FILE... | OPTIONS OF message-passing",
    runs_chains=True,
)
