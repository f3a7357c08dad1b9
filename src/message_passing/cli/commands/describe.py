"""`--describe` and `message-passing describe`: one component with its options, from its own declaration."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

from message_passing.cli.catalogue import described, look_up_all, own_options, summary
from message_passing.cli.command import Command
from message_passing.cli.terminal import print_out

if TYPE_CHECKING:
    import argparse

    from message_passing.options import Option
    from message_passing.registry import Found

_EPILOG = """\
NAME is a component's name, for all kinds with a component of that name; KIND:NAME for one of them; or a class of
your own, +package.module:Class.

exit status: 0, or 2 when there is no such component

examples:
  message-passing describe ZeroMQ
  message-passing describe input:ZeroMQ
  message-passing describe +myapp:Worker
  message-passing describe --json Key | jq '.[].options[].name'
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="+", help="a component")
    parser.add_argument("--json", action="store_true", help="a list of objects, one for each kind")


def _run(given: argparse.Namespace) -> int:
    found = [one for name in given.name for one in look_up_all(name)]
    if given.json:
        about = [as_object(one) for one in found]
        print_out(json.dumps(about, indent=2, ensure_ascii=False, default=str) + "\n")
    else:
        print_out("\n".join(map(described, found)))
    return 0


def as_object(found: Found) -> dict[str, Any]:
    """Everything declared of a component, for a program."""
    cls, name = found
    return {
        "kind": cls.kind,
        "name": name,
        "class": f"{cls.__module__}:{cls.__qualname__}",
        "summary": summary(cls),
        "description": inspect.getdoc(cls) or "",
        "options": [_option(one) for one in own_options(cls).values()],
        "example": dict(cls.example),
    }


def _option(one: Option) -> dict[str, Any]:
    found = {"name": one.name, "type": one.type_text, "required": one.required}
    default = {} if one.required else {"default": one.make_default()}
    return {
        **found,
        **default,
        "bounds": one.limits,
        "python_only": one.python_only,
        "description": one.description,
    }


COMMAND = Command(
    name="describe",
    description="Show components with their options, defaults, limits and an example.",
    epilog=_EPILOG,
    arguments=_arguments,
    run=_run,
)
