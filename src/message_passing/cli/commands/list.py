"""The command `message-passing list`: the available components, with a line about each."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

from message_passing.cli.catalogue import WIDTH, summary
from message_passing.cli.command import Command
from message_passing.cli.terminal import print_out
from message_passing.errors import ComponentError, did_you_mean
from message_passing.registry import PACKAGES, find, names

if TYPE_CHECKING:
    import argparse

_EPILOG = """\
Installed plug-ins are listed too. A component that needs a package that is not installed shows how to install it.

exit status: 0, or 2 for an unknown kind

examples:
  message-passing list
  message-passing list filters
  message-passing list --json | jq -r '.[] | select(.kind == "output") | .name'
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    kinds = ", ".join(PACKAGES)
    parser.add_argument("kind", metavar="KIND", nargs="*", help=f"{kinds} (also with an s); default: all")
    parser.add_argument(
        "--json", action="store_true", help="a list of kind, name, summary, and what it needs"
    )


def _run(given: argparse.Namespace) -> int:
    chosen = [_kind(word) for word in given.kind] or list(PACKAGES)
    found = {kind: [_about(kind, name) for name in names(kind)] for kind in chosen}
    if given.json:
        every = [one for group in found.values() for one in group]
        print_out(json.dumps(every, indent=2, ensure_ascii=False) + "\n")
    else:
        print_out("\n".join(_kind_text(kind, group) for kind, group in found.items()))
    return 0


def _kind(word: str) -> str:
    kind = word.casefold().removesuffix("s")
    if kind not in PACKAGES:
        hint = did_you_mean(kind, PACKAGES) or f" (there are {', '.join(PACKAGES)})"
        raise ComponentError(f"there is no kind {word!r}{hint}")
    return kind


def _about(kind: str, name: str) -> dict[str, Any]:
    needs = text = ""
    try:
        text = summary(find(kind, name))
    except ComponentError as error:
        needs = "; ".join(fault.text for fault in error.faults).partition(": ")[2] or str(error)
    return {"kind": kind, "name": name, "summary": text, "needs": needs or None}


def _kind_text(kind: str, group: list[dict[str, Any]]) -> str:
    width = max((len(one["name"]) for one in group), default=0) + 2
    lines = [f"{kind}s:"]
    for one in group:
        text = one["summary"] or one["needs"]
        first = f"  {one['name']}".ljust(width + 2)
        lines += textwrap.wrap(
            text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
        )
    return "\n".join([*lines, ""])


COMMAND = Command(
    name="list",
    description="List the components, each with a one-line description.",
    epilog=_EPILOG,
    arguments=_arguments,
    run=_run,
)
