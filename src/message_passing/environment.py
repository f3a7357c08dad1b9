"""The environment in what a user writes: `env:NAME` for secrets, `${NAME}` in a config file's texts, `~` in paths."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from message_passing.errors import OpenError, UserError, abbreviate, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

_PREFIX = "env:"
_REFERENCE = re.compile(r"(?P<escape>\$)?\$\{(?P<name>[A-Za-z_]\w*)", re.ASCII)
_BRACE = re.compile(r"\$\{|\}")
_HOME = re.compile(r"~([\w.@+\\-]*\$?)(?=/|\Z)")
_OPERATORS = ("-", "?", "+", "=")
"""What a shell knows and this does not: `${NAME-x}`, and each after a colon."""

_DEEPEST = 10
"""How many variables may be in one another's defaults."""


def expand_home(path: str) -> str:
    """A path, with the `~` or `~user` that it begins with replaced by that home directory.

    That is tilde expansion as in POSIX (Shell Command Language, 2.6.1), except that a user who does not exist is an
    error: a shell leaves the text as it is, and a directory of that name would be made where nobody looks. Where no
    name of a user follows, as in the pattern `~*`, the text stays.

    Raises:
        OpenError: there is no such user, or this one has no home directory.
    """
    if not (found := _HOME.match(path)):
        return path
    expanded = os.path.expanduser(path)  # noqa: PTH111 - a Path loses a slash at the end
    if not expanded.startswith("~"):
        return expanded
    wrong = f"there is no user {found[1]!r}: a file whose name begins with ~ is {abbreviate('./' + path)}"
    if not found[1]:
        wrong = "HOME is not set, and this user has no home directory: write the path in full"
    raise OpenError(f"{abbreviate(path)}: {wrong}")


def from_environment(given: str) -> str:
    """What was given, or what the environment variable holds that `env:NAME` names.

    Raises:
        OpenError: there is no such variable, or it is empty.
    """
    if not given.startswith(_PREFIX):
        return given
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


def expand(text: str, read_file: Callable[[str], str] | None = None) -> tuple[str, list[str]]:
    """A text with `${NAME}` replaced by what that variable holds, and `${NAME:-default}` if it is unset or empty.

    `${file:PATH}` is replaced by what that file holds. Defaults and paths may have variables in them; what is put in
    their place is not looked at again.

    Args:
        text: the text.
        read_file: what reads a file, and raises a `UserError`; without it, `${file:PATH}` is no more than text.

    Returns:
        The text, in which `$${` has become `${`; and what is wrong, a sentence for each.
    """
    wrong: list[str] = []
    return _Expansion(wrong, read_file).of(text, 0), wrong


class _Expansion:
    """Replaces what a text refers to."""

    def __init__(self, wrong: list[str], read_file: Callable[[str], str] | None) -> None:
        self._wrong = wrong
        self._read_file = read_file

    def of(self, text: str, depth: int) -> str:
        """A text, which is in so many others."""
        parts: list[str] = []
        at = 0
        while found := _REFERENCE.search(text, at):
            parts.append(text[at : found.start()])
            at = found.end()
            if found["escape"]:
                parts.append(found[0][1:])
                continue
            end, after = self._end(text, at)
            if after < 0:
                self._wrong.append(f"{text[found.start() :][:50]!r} has no }}: write $${{ for this text")
                return ""
            parts.append(self._value(found["name"], text[at:end], text[found.start() : after], depth))
            at = after
        return "".join([*parts, text[at:]])

    @staticmethod
    def _end(text: str, at: int) -> tuple[int, int]:
        """Where the reference ends that `at` is in, and what follows it; -1 if it does not."""
        depth = 1
        for one in _BRACE.finditer(text, at):
            depth += 1 if one[0] == "${" else -1
            if not depth:
                return one.start(), one.end()
        return -1, -1

    def _value(self, name: str, body: str, written: str, depth: int) -> str:
        """What a reference stands for: `body` is what follows the name in it."""
        if depth > _DEEPEST:
            self._wrong.append(f"variables are nested deeper than {_DEEPEST} levels")
        elif name == "file" and body.startswith(":") and self._read_file and body[1:2] not in _OPERATORS:
            path = self.of(body[1:], depth + 1)
            try:
                return self._read_file(path)
            except UserError as error:
                self._wrong += [fault.text for fault in error.faults]
        elif not body:
            if name in os.environ:
                return os.environ[name]
            self._wrong.append(
                f"{_lacking(name)}: set it, or write ${{{name}:-default}}, or $${{{name}}} for this text"
            )
        elif body.startswith(":-"):
            return os.environ.get(name) or self.of(body[2:], depth + 1)
        elif body[0] in _OPERATORS or body[:2] in (":?", ":+", ":="):
            known = f"${{{name}}}, ${{{name}:-default}} and ${{file:PATH}}"
            self._wrong.append(f"{written[:50]!r} is none of {known}: write $${{ for this text")
        else:
            return f"${{{name}{self.of(body, depth + 1)}}}"
        return ""


def _lacking(name: str) -> str:
    reason = "empty" if name in os.environ else f"not set{did_you_mean(name, os.environ)}"
    return f"the environment variable {name!r} is {reason}"
