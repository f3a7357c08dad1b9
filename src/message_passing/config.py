"""From text to values: options on a command line, and config files in JSON, TOML or YAML."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from message_passing.errors import ConfigError, Fault, UserError, needs_extra, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

_TOKEN = re.compile(
    r"""
    (?P<comment> \#[^\n]* )
    | (?P<last_comma> , ) (?= (?: \s | \#[^\n]*(?:\n|$) )* [\]}] )
    | (?P<before_value> [\[{:,] )
    | (?P<value> "(?:[^"\\\n]|\\.)*+"? | [^\s\[{:,\#"]+ )
    """,
    re.VERBOSE,
)


def relaxed_json(text: str) -> Any:
    """Parse JSON in which a comma may end a list or object, and `#` begins a comment (JSON::XS "relaxed").

    Raises:
        ConfigError: it is malformed; the line and column are given.
    """
    try:
        return json.loads(_strict(text))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}" if "\n" in text else f"column {error.colno}"
        raise ConfigError(f"malformed JSON: {error.msg} at {place}") from error
    except ValueError as error:
        raise ConfigError(f"malformed JSON: {error}") from error  # a number of thousands of digits
    except RecursionError as error:
        raise ConfigError("malformed JSON: nested too deeply") from error


def _strict(text: str) -> str:
    """Comments, and commas that follow a last value, as blanks: every position stays what it was."""
    after_value = False

    def replace(found: re.Match[str]) -> str:
        nonlocal after_value
        kind = found.lastgroup
        blank = kind == "comment" or (kind == "last_comma" and after_value)
        if kind != "comment":
            after_value = kind == "value"
        return " " * len(found[0]) if blank else found[0]

    return _TOKEN.sub(replace, text)


def options_from_text(texts: Iterable[str]) -> dict[str, Any]:
    """The options that one command-line word or several give: JSON, `@file`, or `key=value`.

    Raises:
        ConfigError: one of them is none of these, does not parse, or is no object.
    """
    options: dict[str, Any] = {}
    for text in texts:
        options.update(_options_from_word(text))
    return options


def _options_from_word(text: str) -> Mapping[str, Any]:
    stripped = text.strip()
    if stripped.startswith("@"):
        return _as_mapping(load_file(stripped[1:]), stripped[1:])
    key, equals, value = stripped.partition("=")
    if equals and re.fullmatch(r"[A-Za-z_][\w.-]*", key):
        return {key.replace("-", "_"): _value_from_word(value)}
    if not stripped.startswith(("{", "#")):
        raise ConfigError(f'{text!r} is not JSON (like \'{{"key": "value"}}\'), @file or key=value')
    return _as_mapping(relaxed_json(text), "")


def _value_from_word(value: str) -> Any:
    # Only what is plainly a list or an object is read as JSON: numbers and booleans are understood as text,
    # and a text that happens to look like a number stays one.
    return relaxed_json(value) if value[:1] in ("[", "{") else value


def _as_mapping(value: Any, place: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise ConfigError(Fault(f"must be an object of options, not {shown(value)}", place))


def load_file(name: str) -> Mapping[str, Any]:
    """Read a JSON, TOML or YAML file, by its ending.

    Raises:
        ConfigError: it cannot be read, has another ending, or does not parse.
    """
    path = Path(name)
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a byte order mark
    except OSError as error:
        raise ConfigError(Fault(f"cannot be read: {error.strerror}", name)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(Fault("cannot be read: it is not UTF-8", name)) from error
    except ValueError as error:  # a name with a null byte in it
        raise ConfigError(Fault(f"cannot be read: {error}", name)) from error
    parse = {".json": relaxed_json, ".toml": _toml, ".yaml": _yaml, ".yml": _yaml}.get(path.suffix.lower())
    if parse is None:
        raise ConfigError(Fault("its name must end in .json, .toml, .yaml or .yml", name))
    try:
        return _as_mapping(parse(text), "")
    except UserError as error:
        raise ConfigError(*(Fault(fault.text, name) for fault in error.faults)) from error


def _toml(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"malformed TOML: {error}") from error
    except ValueError as error:  # a number of thousands of digits
        raise ConfigError(f"malformed TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError("malformed TOML: nested too deeply") from error


def _yaml(text: str) -> Any:
    with needs_extra("yaml"):
        import yaml  # noqa: PLC0415 - an extra, and slow to import: only for whoever writes YAML
    try:
        value = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"malformed YAML: {error.problem or error.context}{place}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"malformed YAML: {' '.join(str(error).split())}") from error
    except (ValueError, RecursionError) as error:  # a date that does not exist; nested too deeply
        raise ConfigError(f"malformed YAML: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:  # what PyYAML stumbles over
        raise ConfigError(f"malformed YAML: {type(error).__name__}: {error}") from error
    _check_keys(value, set())
    return value


def _check_keys(value: Any, seen: set[int]) -> None:
    """YAML has keys of any type, here they are names; and it has values that hold themselves."""
    if id(value) in seen or not isinstance(value, (dict, list)):
        return
    seen.add(id(value))
    for key in value if isinstance(value, dict) else ():
        if not isinstance(key, str):
            raise ConfigError(f"a key must be text, not {key!r}: put it in quotes")
    for item in value.values() if isinstance(value, dict) else value:
        _check_keys(item, seen)
