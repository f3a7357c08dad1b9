"""The command `message-passing trace`: its arguments, and the output of a message's path."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from message_passing.cli.command import Command
from message_passing.cli.run.run_command import check_words
from message_passing.cli.terminal import print_out, tell
from message_passing.cli.tracing import SHOWN_MESSAGES, trace
from message_passing.config.validation import Positions
from message_passing.errors import Fault, OpenError, did_you_mean
from message_passing.escaping import escape_control

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from message_passing.chain import Chain
    from message_passing.cli.tracing import Trace, TraceStep

_LONGEST_LINE = 16 << 20
"""Bytes of a line on standard input."""

_EPILOG = """\
Nothing is opened, sent or written: inputs and outputs are replaced, all other components are real, and created
anew for each message. Without MESSAGE, or where it is `-`, each line on standard input is a message.

exit status: 0 each message reaches an output, 1 one does not, 2 the chain has errors

examples:
  message-passing trace app.toml '{"level":"info","message":"started"}'
  grep 4711 sent.log | message-passing trace app.toml
  message-passing trace --at errors app.toml '{"level":"error"}'
  echo '{"level":"info"}' | message-passing trace --input STDIN --output STDOUT --filter Key \\
      --filter_options key=level --filter_options match=error
"""

_VERBS = {
    "removed": "removes it",
    "failed": "fails",
    "dropped": "drops it",
    "refused": "does not receive it",
}


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--at", metavar="NAME", default="", help="the component that receives the message")
    parser.add_argument("--json", action="store_true", help="a list of message, steps, outputs and ends")


def _run(given: argparse.Namespace) -> int:
    words: list[str] = given.chain
    in_words = bool(words) and words[0].startswith("-")
    if not words:
        raise OpenError("name a config file, or give the options of a chain; see --help")
    looked = check_words(words if in_words else words[:1])
    if not looked.chain or not looked.script:
        tell("".join(f"{mistake}\n" for mistake in looked.diagnostics if not mistake.warning))
        return 2
    at = _start_of(looked.chain, given.at)
    places = Positions()
    missed, told = 0, []
    for number, text in enumerate(_typed([] if in_words else words[1:])):
        found = trace(looked.script, looked.chain, text, at)
        missed += bool(found.failure) or not found.having("output")
        if given.json:
            told.append(_as_object(text, found, places))
        else:
            print_out("\n" * bool(number) + "".join(f"{line}\n" for line in _as_lines(found, places)))
    if given.json:
        print_out(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    return 1 if missed else 0


def _typed(words: Sequence[str]) -> Iterator[str]:
    """The messages that were typed; or the lines of standard input, which may be endless.

    Raises:
        OpenError: a line is too long.
    """
    if words and [*words] != ["-"]:
        yield from words
        return
    while line := sys.stdin.buffer.readline(_LONGEST_LINE + 1):
        if len(line) > _LONGEST_LINE:
            raise OpenError(f"a line on standard input is longer than {_LONGEST_LINE >> 20} MiB")
        yield line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape")


def _start_of(chain: Chain, at: str) -> str:
    """The name of the component that receives the messages.

    Raises:
        OpenError: there is none of this name, or there are several inputs.
    """
    inputs = [name for name, one in chain.components.items() if one.kind == "input"]
    if at and (at not in chain.components or chain.components[at].kind == "workers"):
        known = f" (there are {', '.join(chain.components)})"
        raise OpenError(
            Fault(f"--at: there is no component {at!r}{did_you_mean(at, chain.components) or known}")
        )
    if not at and len(inputs) > 1:
        raise OpenError(Fault(f"there are several inputs: choose one with --at: {', '.join(inputs)}"))
    return at or inputs[0]


def _place_of(step: TraceStep, files: Positions) -> str:
    """File and line where a component was declared; empty if that was on the command line."""
    found = files.diagnostic(Fault("", step.declared), None)
    return f"{found.file}:{found.line}" if found.file and found.line else ""


def _title(step: TraceStep, files: Positions) -> str:
    return ", ".join(part for part in (step.label, _place_of(step, files)) if part)


def _as_lines(found: Trace, files: Positions) -> Iterator[str]:
    by_name = {step.name: step for step in found.steps}
    reached = [step for step in found.steps if step.outcome != "not reached"]
    for step in reached:
        lines = [
            f"{step.name} ({_title(step, files)}){': ' if step.rule else ''}{step.rule}",
            *_told_of(step, by_name),
        ]
        yield from map(escape_control, lines)
    if missed := [step.name for step in found.steps if step not in reached]:
        yield escape_control(f"not reached: {', '.join(missed)}")
    yield escape_control(f"Result: {_outcome_of(found, files)}")


def _told_of(step: TraceStep, steps: dict[str, TraceStep]) -> Iterator[str]:
    """What it did to the message, in lines below its name."""
    if step.outcome in _VERBS:
        reasons = "; ".join(step.reasons)
        yield f"    {_VERBS[step.outcome]}{': ' if reasons else ''}{reasons}"
        return
    if step.outcome in ("emitted", "output"):
        yield f"    {'emits' if step.outcome == 'emitted' else 'writes'}:"
        yield from _listed(step.received, step.count)
        return
    targets = [steps[name] for name in step.to]
    whose = {one.name: sum(one.name in other.to for other in steps.values()) for one in targets}
    known = next((one for one in targets if whose[one.name] == 1 and one.count), None)
    to = " and ".join(step.to)
    if known is None or known.received == step.received:
        yield f"    passes it on{'' if known is None else ' unchanged'} to {to}"
    else:
        yield f"    passes on to {to}:"
        yield from _listed(known.received, known.count)


def _listed(messages: list[str], count: int) -> Iterator[str]:
    for text in messages:
        for line in text.split("\n"):
            yield f"        {line}"
    if count > SHOWN_MESSAGES:
        yield f"        ... and {count - SHOWN_MESSAGES:,} more"


def _outcome_of(found: Trace, files: Positions) -> str:
    """Where the message ended, as a sentence."""
    if found.failure:
        return f"the chain cannot be run: {found.failure}"
    parts = [f"reaches {step.name} ({_title(step, files)})" for step in found.having("output")]
    for step in found.having("removed", "failed", "dropped", "refused"):
        verb = {"removed": "removed by", "failed": "failed in", "dropped": "dropped by"}.get(
            step.outcome, "not received by"
        )
        parts.append(f"{verb} {step.name} ({_title(step, files)})")
    if not found.having("output"):
        parts.append("no output receives it")
    return "; ".join(parts)


def _as_object(text: str, found: Trace, files: Positions) -> dict[str, Any]:
    steps = []
    for step in found.steps:
        described = asdict(step)
        del described["declared"]
        steps.append({**described, "place": _place_of(step, files)})
    return {
        "message": text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"),
        "steps": steps,
        "outputs": [step.name for step in found.having("output")],
        "ends": [step.name for step in found.having("removed", "failed", "dropped", "refused")],
        "failure": found.failure,
    }


COMMAND = Command(
    name="trace",
    description="Show a message's path through a chain: what each component does to it, and where it ends.",
    epilog=_EPILOG,
    arguments=_arguments,
    run=_run,
    usage="[--at NAME] [--json] FILE [MESSAGE...] | OPTIONS OF message-passing",
    runs_chains=True,
)
