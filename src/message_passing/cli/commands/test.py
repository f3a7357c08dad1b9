"""The command `message-passing test`: its arguments, and the report of the results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from message_passing.cli.command import Command
from message_passing.cli.config_tests.compare import problems
from message_passing.cli.config_tests.runner import run_case
from message_passing.cli.run.run_command import check_file
from message_passing.cli.terminal import print_out
from message_passing.config.forms import TESTS
from message_passing.config.validation import Positions
from message_passing.escaping import escape_control

if TYPE_CHECKING:
    import argparse

    from message_passing.cli.run.run_command import CheckResult

_EPILOG = """\
A file's tests are its list `tests`. Each has `input`, a list of messages, and the expected results:

  [[tests]]
  name = "errors pass"
  input = ['{"level":"error"}', { level = "info" }, "no JSON"]
  output = [{ level = "error" }]      # exactly these; text is compared literally, objects as JSON
  errors = ["malformed JSON"]         # each in one of the reports, and no others
  filtered = 1                        # the number of messages that filters remove
  at = "decoder"                      # the component that receives them; default: the only input

With several outputs, `output` is a table of lists by their names. Inputs and outputs are replaced, so that nothing
is opened; all other components are real, and created anew for each test.

exit status: 0 all tests pass, 1 a test fails, 2 the file or its tests are invalid

examples:
  message-passing test app.toml
  message-passing test --json app.toml | jq '.[] | select(.ok | not)'
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", nargs="+", help="a config file with `tests`")
    parser.add_argument("--json", action="store_true", help="a list of file, line, name, ok and problems")


def _run(given: argparse.Namespace) -> int:
    looked = {name: check_file(name) for name in given.file}
    wrong = {name: _wrong(name, one) for name, one in looked.items()}
    results = [result for name, one in looked.items() if not wrong[name] for result in _results(one)]
    if given.json:
        unrun = [_result(name, None, "", lines) for name, lines in wrong.items() if lines]
        print_out(json.dumps([*unrun, *results], indent=2, ensure_ascii=False) + "\n")
    else:
        lines = [line for told in wrong.values() for line in told]
        print_out("".join(f"{line}\n" for line in (*lines, *_as_text(results))))
    if any(wrong.values()):
        return 2
    return 0 if all(result["ok"] for result in results) else 1


def _wrong(name: str, one: CheckResult) -> list[str]:
    """Why a file's tests cannot be run."""
    if one.right and not one.cases:
        return [f"{name}: it has no tests: they are the list `{TESTS}`, see {COMMAND.title} --help"]
    return [] if one.right else [str(mistake) for mistake in one.diagnostics if not mistake.warning]


def _results(one: CheckResult) -> list[dict[str, Any]]:
    places = Positions()
    found = []
    for case in one.cases:
        entry = places.index(case.file).find((TESTS, case.number))
        told = problems(case, run_case(one.script, case)) if one.script else []
        found.append(_result(case.file, entry.line if entry else None, case.name, told))
    return found


def _result(file: str, line: int | None, name: str, told: list[str]) -> dict[str, Any]:
    return {"file": file, "line": line, "name": name, "ok": not told, "problems": told}


def _as_text(results: list[dict[str, Any]]) -> list[str]:
    lines: list[str] = []
    for one in results:
        lines.append(f"{'ok' if one['ok'] else 'FAILED':7} {one['file']}:{one['line']}: {one['name']}")
        lines += [f"        {problem}" for problem in one["problems"]]
    failed = sum(not one["ok"] for one in results)
    lines = [*map(escape_control, lines)]
    if results:
        lines.append(f"{len(results)} test{'' if len(results) == 1 else 's'}, {failed or 'none'} failed")
    return lines


COMMAND = Command(
    name="test",
    description="Run the tests in config files on their chains.",
    epilog=_EPILOG,
    arguments=_arguments,
    run=_run,
)
