"""The command `message-passing replay`: dead letters, or JSON lines, are sent again."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from message_passing.cli.command import Command, add_timeout, positive
from message_passing.cli.endpoint_probe import require_endpoint
from message_passing.cli.progress import ProgressLine
from message_passing.cli.replay_sources import Lines, SpooledMessages
from message_passing.cli.replaying import Position, ReplayInput
from message_passing.cli.run.run_command import check_file
from message_passing.cli.security_options import add_security, joined, security_from, security_options
from message_passing.environment import expand_home
from message_passing.errors import Fault, OpenError
from message_passing.event_loop import obey_signals
from message_passing.graph import close_all, open_all, topological_order, with_parts
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.runner import Server
from message_passing.secure_files import in_shell
from message_passing.spool.directory import DATABASE, kept_from_nodes
from message_passing.spool.reader import SpoolReader
from message_passing.summaries import losses

if TYPE_CHECKING:
    import argparse

    from message_passing.output import Output

_EPILOG = """\
FILE has dead letters, as an error chain with `dead_letters` writes them, or messages, a line of JSON each. Lines that
a running node adds after the start are not read. Or it is the directory of a spool that no node is using, or a
database of one that was set aside. A spool is only read: the messages stay in it.
With --to, messages are sent as they are. With --config, they go through the chain of that file, in place of its
inputs.

examples:
  message-passing replay letters.jsonl --config chain.toml --resume letters.position
  message-passing replay letters.jsonl --to tcp://audit:5600 --rate 100 --reason 'malformed JSON'
  message-passing replay /var/spool/orders --to tcp://audit:5600 --resume orders.position

exit status: 0 all were accepted, 1 not all were (the output says how many, and why), 2 usage error.
After an interruption a message may arrive twice: replaying resumes after the last accepted batch.
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        type=expand_home,
        metavar="FILE",
        help="what to send: a file, or the directory of a spool; - for standard input",
    )
    side = parser.add_mutually_exclusive_group(required=True)
    side.add_argument("--to", metavar="ENDPOINT", help="the receiver: tcp://host:port")
    side.add_argument("--config", metavar="CONFIG", help="a config file whose chain processes them")
    parser.add_argument("--at", metavar="NAME", help="the component of the chain that receives them")
    parser.add_argument(
        "--socket-type",
        choices=("DEALER", "PUSH"),
        default="DEALER",
        help="DEALER for a ROUTER, which acknowledges (default), PUSH for a PULL, which does not",
    )
    parser.add_argument("--rate", type=positive, default=0.0, metavar="N", help="maximum messages per second")
    parser.add_argument(
        "--reason", default="", metavar="TEXT", help="only dead letters whose reason contains TEXT"
    )
    parser.add_argument(
        "--resume",
        type=expand_home,
        default="",
        metavar="POSITION",
        help="file that stores the position reached",
    )
    add_timeout(parser, 30.0, "how long to wait while nothing is accepted")
    add_security(parser)


def _run(given: argparse.Namespace) -> int:
    with contextlib.ExitStack() as stack:
        source = _opened(given, stack)
        if given.resume and not source.size and isinstance(source, Lines):
            raise OpenError(
                "--resume is for a file that is not empty: what comes through a pipe has no position"
            )
        position = Position(given.resume, source)
        stack.callback(position.close)
        progress = stack.enter_context(ProgressLine())
        target = _in_chain(given) if given.config else _endpoint(given)
        replay = ReplayInput(
            source=source,
            position=position,
            tell=COMMAND.tell,
            show=lambda done, total: progress.show(done, total) if total else None,
            rate=given.rate,
            timeout=given.timeout,
            output_to=target,
        )
        server = Server([replay])
        replay.give_up = server.stop  # what is still on its way is waited for no longer
        stack.enter_context(obey_signals(server))
        stack.callback(close_all, [replay], errors=True)
        open_all([replay], errors=True)
        server.run()
    return _told(given, replay, server)


def _opened(given: argparse.Namespace, stack: contextlib.ExitStack) -> Lines | SpooledMessages:
    """What is read.

    Raises:
        OpenError: it cannot be.
    """
    if given.file == "-":
        if sys.stdin is None:
            raise OpenError("standard input is closed")
        file = stack.enter_context(os.fdopen(os.dup(sys.stdin.fileno()), "rb"))
        return Lines(file, given.reason)
    path = Path(given.file)
    try:
        if path.is_dir() or path.name.startswith(DATABASE):
            return _spooled(path, given.reason, stack)
        return Lines(stack.enter_context(path.open("rb")), given.reason)
    except (OSError, ValueError) as error:
        raise OpenError(f"{given.file}: {getattr(error, 'strerror', error)}") from error


def _spooled(path: Path, reason: str, stack: contextlib.ExitStack) -> SpooledMessages:
    if reason:
        raise OpenError(
            "--reason selects dead letters in a file; the messages of a spool are sent as they are. To select among "
            f"dead letters in it: message-passing spool export {in_shell(str(path))} | message-passing replay - ..."
        )
    if path.is_dir() and (path / DATABASE).exists():
        stack.enter_context(kept_from_nodes(path))
    return SpooledMessages(stack.enter_context(SpoolReader(path)))


def _endpoint(given: argparse.Namespace) -> Output:
    if given.at:
        raise OpenError("--at names a component of a chain: it goes with --config")
    require_endpoint(given.to, binds=False)
    security_from(given)  # what is wrong with it is told in the command's words
    options = {"connect": given.to, "socket_type": given.socket_type, **security_options(given)}
    return ZeroMQOutput.make(options)


def _in_chain(given: argparse.Namespace) -> Output:
    """What takes the messages in a config file's chain.

    Raises:
        OpenError: the file is wrong, or does not say which.
    """
    found = check_file(given.config)
    if found.chain is None:
        raise OpenError(*(Fault(str(one)) for one in found.diagnostics if not one.warning))
    chain = found.chain
    able = {name: one for name, one in chain.components.items() if one not in chain.heads}
    if given.at:
        if given.at not in able:
            raise OpenError(f"--at: there is no {given.at!r} in {given.config}: it has {', '.join(able)}")
        return able[given.at]  # type: ignore[return-value] # all but inputs take messages
    targets = list(dict.fromkeys(one for head in chain.heads for one in head.outputs()))
    if len(targets) != 1:
        names = [name for name, one in able.items() if one in targets]
        raise OpenError(f"{given.config} has several entry points: choose one with --at: {', '.join(names)}")
    return targets[0]


def _told(given: argparse.Namespace, replay: ReplayInput, server: Server) -> int:
    """Say what became of them; the exit status."""
    counts = replay.counts
    failures = [f"{one.title} failed: {error}" for one, error in server.failures]
    components = with_parts(topological_order([replay], errors=True))
    for text in (*failures, *losses(components), *([counts.stuck] if counts.stuck else ())):
        COMMAND.tell(text)
    parts = [f"{counts.taken} taken"]
    parts += [f"{counts.left_out} left out (--reason)"] if counts.left_out else []
    one = "line" if replay.source.units == "byte" else "frame"
    several = "s" if counts.wrong > 1 else ""
    parts += [f"{counts.wrong} {one}{several} without a whole message"] if counts.wrong else []
    if not counts.ended:
        again = (
            "run the same command to resume here" if given.resume else "with --resume it could continue here"
        )
        parts.append(f"stopped before the end: {again}")
    COMMAND.tell(", ".join(parts))
    wrong = any(one.metrics.lost_for_good() for one in components)
    return 0 if counts.ended and not (failures or wrong or counts.wrong) else 1


COMMAND = Command(
    name="replay",
    description="Send dead letters, or messages in a file or spool, again: to an endpoint, or through a chain.",
    epilog=_EPILOG,
    arguments=_arguments,
    run=_run,
    prepare=joined,
)
