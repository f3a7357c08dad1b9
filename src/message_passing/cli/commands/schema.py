"""The command `message-passing schema`: the JSON Schema of config files, for editors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from message_passing.cli.catalogue import look_up_all
from message_passing.cli.command import Command
from message_passing.cli.run.run_command import MessagePassing
from message_passing.cli.terminal import print_out
from message_passing.config.json_schema import schema_of
from message_passing.errors import ComponentError, Fault, collecting
from message_passing.options import declared

if TYPE_CHECKING:
    import argparse

_EPILOG = """\
JSON Schema, draft 2020-12, of the components that are installed, and of your own that are named. An editor takes it
from a comment at the beginning of a file, which `message-passing create` prints as well:

  # yaml-language-server: $schema=message-passing.schema.json      (YAML)
  #:schema ./message-passing.schema.json                           (TOML: Even Better TOML, taplo)

exit status: 0, or 2 when a component of your own cannot be imported

examples:
  message-passing schema > message-passing.schema.json
  message-passing schema +myapp:Tag +myapp:Archive > message-passing.schema.json
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("component", metavar="+COMPONENT", nargs="*", help="a class of your own")


def _run(given: argparse.Namespace) -> int:
    own = []
    faults: list[Fault] = []
    for word in given.component:
        if not word.startswith("+"):
            faults.append(
                Fault(f"{word!r} is not a component of your own: name those as +package.module:Class")
            )
            continue
        with collecting(faults):
            own += [(word, one.cls) for one in look_up_all(word)]
    if faults:
        raise ComponentError(*faults)
    schema = schema_of(declared(MessagePassing), own)
    print_out(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
    return 0


COMMAND = Command(
    name="schema",
    description="Print the JSON Schema of config files, for editors.",
    epilog=_EPILOG,
    arguments=_arguments,
    run=_run,
)
