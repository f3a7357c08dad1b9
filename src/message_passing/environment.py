"""Environment variables in what a user writes: `env:NAME` for a secret, `${NAME}` within a config file's texts."""

from __future__ import annotations

import os
import re
from pathlib import Path

from message_passing.errors import OpenError, did_you_mean

_PREFIX = "env:"
_VARIABLE = re.compile(r"(?P<escape>\$)?\$\{(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[^}]*))?\}", re.ASCII)


def from_environment(given: str) -> str:
    """What was given, `~` being the home folder, or what the environment variable holds that `env:NAME` names.

    Raises:
        OpenError: there is no such variable, or it is empty.
    """
    if not given.startswith(_PREFIX):
        return str(Path(given).expanduser()) if given.startswith("~") else given
    name = given.removeprefix(_PREFIX)
    if not (text := os.environ.get(name, "").strip()):
        raise OpenError(_lacking(name))
    return text


def missing_secret(given: str) -> str:
    """What is wrong with `env:NAME`, as a sentence; empty for all else."""
    if given.startswith(_PREFIX):
        try:
            from_environment(given)
        except OpenError as error:
            return error.faults[0].text
    return ""


def expand(text: str) -> tuple[str, list[str]]:
    """A text with `${NAME}` replaced by what that variable holds, and `${NAME:-default}` if it is unset or empty.

    Returns:
        The text, in which `$${` has become `${`; and what is wrong, a sentence for each variable that is not set.
    """
    wrong: list[str] = []

    def value(found: re.Match[str]) -> str:
        name, default = found["name"], found["default"]
        if found["escape"]:
            return found[0][1:]
        if default is not None:
            return os.environ.get(name) or default
        if name not in os.environ:
            wrong.append(
                f"{_lacking(name)}: set it, or write ${{{name}:-default}}, or $${{{name}}} for this text"
            )
        return os.environ.get(name, "")

    return _VARIABLE.sub(value, text), wrong


def _lacking(name: str) -> str:
    reason = "empty" if name in os.environ else f"not set{did_you_mean(name, os.environ)}"
    return f"the environment variable {name!r} is {reason}"
