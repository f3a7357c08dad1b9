"""The command `message-passing`: one chain of the components that its words or its config file name."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn, Self

from message_passing import options as option_rules
from message_passing.cli.completion import completion
from message_passing.cli.describe import describe
from message_passing.cli.script import CLIComponent, Script
from message_passing.config import load_file
from message_passing.errors import ConfigError, Fault, did_you_mean
from message_passing.forms import DEFAULTS, FLAT_KEYS, NAMED_KEYS, flat_chain, is_named, named_chain
from message_passing.options import option
from message_passing.registry import PACKAGES, names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from message_passing.chain import Chain


class MessagePassing(Script):
    """Run a chain of components: Input -> Decoder -> Filter -> Encoder -> Output."""

    prog = "message-passing"

    input = CLIComponent("input")
    output = CLIComponent("output")
    filter = CLIComponent("filter", default=DEFAULTS["filter"])
    decoder = CLIComponent("decoder", default=DEFAULTS["decoder"])
    encoder = CLIComponent("encoder", default=DEFAULTS["encoder"])
    error = CLIComponent("output", default=DEFAULTS["error"])
    error_encoder = CLIComponent("encoder", default=DEFAULTS["error_encoder"])

    configfile: str | None = option(default=None, description="JSON, TOML or YAML file with these options.")

    @classmethod
    def read(cls, words: Sequence[str]) -> Self:
        """What the words ask for, and what the config file adds: the words win.

        Raises:
            UserError: with every fault of both.
        """
        values, places = cls.read_words(words)
        name = values.get("configfile")
        if name:
            from_file = load_file(name)
            _check_keys(from_file, name, own=list(option_rules.declared(cls)))
            for key, value in from_file.items():
                if key not in values:
                    values[key], places[key] = value, f"{name}: {key}"
            if is_named(from_file):
                both = [f"--{key}" for key in FLAT_KEYS if key in values]
                if both:
                    text = f"it names its components itself, so {', '.join(both)} cannot be combined with it"
                    raise ConfigError(Fault(text, name))
        return cls(values, places)

    def build_chain(self) -> Chain:
        """The chain, in the form in which it was written."""
        if is_named(self.values):
            return named_chain(self.values, self.configfile or "")
        return flat_chain(self.values, self.places)

    @classmethod
    def printers(cls) -> dict[str, Callable[[str], str]]:
        """Those of every command, and two more."""
        return {**super().printers(), "describe": describe, "completion": completion}

    @classmethod
    def help_text(cls) -> str:
        """One screen, with examples."""
        return HELP.format(**{kind: ", ".join(names(kind)) for kind in PACKAGES})


HELP = """\
Usage: message-passing --input NAME --output NAME [OPTION...]
Run Input -> Decoder -> Filter -> Encoder -> Output until the input ends or a signal.

  --input NAME      {input}
  --output NAME     {output}
  --filter NAME     {filter} (default Null)
  --decoder NAME, --encoder NAME     {decoder} (default JSON)
  --error NAME, --error_encoder NAME     where errors go (STDERR, JSON)
  --input_options, --output_options, ... OPTIONS
                    the component's: JSON, @file, or key=value; may be repeated
  --configfile FILE .json, .toml or .yaml with all of these; the command line wins
  --daemonize  --pid_file FILE  --user NAME  --io_priority none|be|rt|idle
  --describe [NAME] the components, or one of them with its options
  --completion bash|zsh  --version  --help

NAME may be +package.module:Class. Examples:
  message-passing --input STDIN --output ZeroMQ \\
      --output_options connect=tcp://127.0.0.1:5558
  message-passing --input ZeroMQ --input_options '{{"socket_bind":"tcp://*:5558"}}' \\
      --output File --output_options '{{"filename":"/tmp/my_test.log"}}'
  message-passing --input ZeroMQ --input_options '{{"socket_type":"PULL",
      "connect":"tcp://127.0.0.1:5223"}}' --filter +myapp:MessageWorker --output STDOUT
"""


def _check_keys(values: Mapping[str, Any], source: str, *, own: list[str]) -> None:
    known = [*FLAT_KEYS, *own, *NAMED_KEYS, "error_log"]
    faults = [
        Fault(f"there is no option {key!r}{did_you_mean(key, known)}", source)
        for key in values
        if key not in known
    ]
    if faults:
        raise ConfigError(*faults)


def main() -> NoReturn:
    """The entry point of both command names."""
    MessagePassing.start(sys.argv[1:])
