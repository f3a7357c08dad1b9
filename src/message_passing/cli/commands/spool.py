"""The command `message-passing spool`: what is in a spool, whether it is intact, and its messages."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from message_passing.cli.command import Command
from message_passing.cli.formatting import span
from message_passing.cli.terminal import print_out, write_exactly
from message_passing.clock import iso_time
from message_passing.environment import expand_home
from message_passing.errors import Fault, OpenError
from message_passing.escaping import ascii_json, escape_lines
from message_passing.metrics import plural
from message_passing.spool.directory import DATABASE
from message_passing.spool.reader import SpoolReader
from message_passing.spool.repair import repair
from message_passing.spool.rows import SpoolFrame
from message_passing.spool.slots import owner, spools_in

if TYPE_CHECKING:
    import argparse

_EPILOG = """\
examples:
  message-passing spool inspect /var/spool/orders      how much is in it, and how old it is
  message-passing spool verify /var/spool/orders       compare every checksum
  message-passing spool repair /var/spool/orders       set damaged frames aside, and release free space
  message-passing spool export /var/spool/orders       its messages, a line each; a database that was set aside, too

A log handler's directory has a spool for each process: each is dealt with.

inspect, verify and export work while a node is running. exit status: 0 intact, 1 something is damaged, 2 usage
error, or the spool cannot be read.
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("inspect", "verify", "repair", "export"), help="what to do")
    parser.add_argument(
        "directory",
        type=expand_home,
        metavar="DIR",
        help="the directory given to the option spool, or a file in it",
    )
    parser.add_argument(
        "--json", action="store_true", help="as JSON (export: a line for each message and its frame)"
    )


def _run(given: argparse.Namespace) -> int:
    action, target = _ACTIONS[given.action], Path(given.directory)
    spools = (
        []
        if (target / DATABASE).exists()
        else [one for one in spools_in(target) if (one / DATABASE).exists()]
    )
    if not spools:
        return action(target, given.json)
    status, faults = 0, list[Fault]()
    for one in spools:
        if not given.json and given.action != "export":
            print_out(escape_lines(f"{one}:\n"), safe=True)
        try:
            status = max(status, action(one, given.json))
        except OpenError as error:  # the others may be usable
            faults += error.faults
    if faults:
        raise OpenError(*faults)
    return status


def _show(found: dict[str, Any], text: str, *, as_json: bool) -> None:
    print_out(ascii_json(json.dumps(found)) + "\n" if as_json else escape_lines(f"{text}\n"), safe=True)


def _inspect(target: Path, as_json: bool) -> int:
    with SpoolReader(target) as spool:
        content, damaged, facts = spool.content(), spool.content("damaged"), spool.facts()
        path = spool.path
    process = owner(path.parent)
    age = None if facts["oldest"] is None else max(0.0, time.time() - facts["oldest"])
    found = {
        "path": str(path),
        "frames": content.frames,
        "messages": content.messages,
        "bytes": content.size,
        "file_bytes": sum(one.stat().st_size for one in path.parent.glob(f"{path.name}*") if one.is_file()),
        "oldest": facts["oldest"],
        "newest": facts["newest"],
        "age": age,
        "sender": facts["sender"],
        "next": facts["next"],
        "damaged": damaged.frames,
        "process": process,
    }
    text = f"{plural(content.messages)} in {_frames(content.frames)}, {content.size:,} bytes"
    if age is not None:
        text += f"; the oldest since {iso_time(facts['oldest'])} ({span(age)})"
    text += f"\nsender {facts['sender']}, next number {facts['next']}, files of {found['file_bytes']:,} bytes"
    if process is not None:
        text += f"\nin use by the process {process}" if process else "\nno process uses it"
    if damaged.frames:
        text += f"\n{_frames(damaged.frames)} set aside as damaged, of {plural(damaged.messages)}"
    _show(found, text, as_json=as_json)
    return 1 if damaged.frames else 0


def _frames(count: int) -> str:
    return f"{count} frame{'' if count == 1 else 's'}"


def _verify(target: Path, as_json: bool) -> int:
    counted: Counter[str] = Counter()
    bad: list[int] = []
    with SpoolReader(target) as spool:
        for frame in spool.frames():
            if isinstance(frame, SpoolFrame):
                counted.update(frames=1, messages=frame.count, bytes=len(frame.body))
            else:
                counted["damaged"] += 1
                bad.append(frame)
        unreadable = spool.unreadable
    found = {
        "path": str(target),
        **{name: counted[name] for name in ("frames", "messages", "bytes", "damaged")},
        "unreadable": unreadable,
        "damaged_numbers": bad[:100],
    }
    text = f"{plural(counted['messages'])} in {_frames(counted['frames'])} are intact"
    if bad:
        text += f"; {_frames(len(bad))} with a wrong checksum: {', '.join(map(str, bad[:10]))}"
    if unreadable:
        text += f"; {unreadable} parts of the file cannot be read"
    if bad or unreadable:
        text += f"\nrun: message-passing spool repair {target}"
    _show(found, text, as_json=as_json)
    return 1 if bad or unreadable else 0


def _repair(target: Path, as_json: bool) -> int:
    found = repair(target)
    text = f"{plural(found.messages)} in {_frames(found.frames)} are in the spool"
    if found.set_aside:
        text += f"; {_frames(found.set_aside)} set aside in its table `damaged`"
    if found.rebuilt:
        text += f"; the file was damaged: it is set aside as {found.rebuilt}, and everything readable is in a new one"
    _show(
        {
            "path": str(target),
            "messages": found.messages,
            "frames": found.frames,
            "set_aside": found.set_aside,
            "rebuilt": found.rebuilt,
        },
        text,
        as_json=as_json,
    )
    return 0


def _export(target: Path, as_json: bool) -> int:
    bad = messages = 0
    with SpoolReader(target) as spool:
        for frame in spool.frames():
            if not isinstance(frame, SpoolFrame):
                bad += 1
                continue
            messages += frame.count
            write_exactly(_described(frame) if as_json else frame.body + b"\n")
        bad += spool.unreadable
    COMMAND.tell(f"{plural(messages)} exported" + (f"; {bad} parts are damaged" if bad else ""))
    return 1 if bad else 0


def _described(frame: SpoolFrame) -> bytes:
    found = [
        {
            "sequence": frame.sequence,
            "time": iso_time(frame.time),
            "message": one.decode("utf-8", "backslashreplace"),
        }
        for one in frame.messages()
    ]
    return "".join(f"{json.dumps(one)}\n" for one in found).encode()


_ACTIONS = {"inspect": _inspect, "verify": _verify, "repair": _repair, "export": _export}

COMMAND = Command(
    name="spool",
    description="Inspect the spool of an output or log handler: contents, whether it is intact, messages.",
    epilog=_EPILOG,
    arguments=_arguments,
    run=_run,
)
