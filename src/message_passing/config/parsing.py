"""From text to values: options on a command line, and config files in JSON, TOML or YAML."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from message_passing.config.quoting import lost_pair, lost_quotes
from message_passing.config.variables import expand_variables
from message_passing.environment import expand_home
from message_passing.errors import ConfigError, Fault, SourceLocation, UserError, abbreviate, needs_extra
from message_passing.secure_files import read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LARGEST_CONFIG_FILE = 4 * 1024 * 1024  # bytes: reading YAML of so many takes a minute

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
    """Parse JSON in which a list or object may end with a comma, and `#` begins a comment (JSON::XS "relaxed").

    Raises:
        ConfigError: it is malformed; the line and column are given.
    """
    try:
        return json.loads(strict_json(text))
    except json.JSONDecodeError as error:
        mark = (error.lineno if "\n" in text else 0, error.colno)
        raise ConfigError(Fault(f"malformed JSON: {error.msg}", mark=mark)) from error
    except ValueError as error:
        raise ConfigError(f"malformed JSON: {error}") from error  # a number of thousands of digits
    except RecursionError as error:
        raise ConfigError("malformed JSON: nested too deeply") from error


def strict_json(text: str) -> str:
    """Relaxed JSON with comments and trailing commas replaced by blanks, which preserves positions."""
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
    """The options in one or more command-line words: JSON, `@file`, or `key=value`.

    Raises:
        ConfigError: one of them is none of these, does not parse, or is not an object.
    """
    options: dict[str, Any] = {}
    for text in texts:
        options.update(_options_from_word(text))
    return options


def _options_from_word(text: str) -> Mapping[str, Any]:
    stripped = text.strip()
    if stripped.startswith("@"):
        values, unset = expand_variables(load_file(name := expand_home(stripped[1:])), name)
        if unset:
            raise ConfigError(*unset)
        return values
    key, equals, value = stripped.partition("=")
    if equals and re.fullmatch(r"[A-Za-z_][\w.-]*", key):
        return {(name := key.replace("-", "_")): _value_from_word(name, value)}
    if not stripped.startswith(("{", "#", "[")) and not _is_json(stripped):
        what = f'{text!r} is not JSON (like \'{{"key": "value"}}\'), @file or key=value'
        raise ConfigError(f"{what}: {hint}" if (hint := lost_quotes(text)) else what + lost_pair(text))
    return _as_mapping(_json_from_word(text), "")


def _value_from_word(name: str, value: str) -> Any:
    # Only a list or an object is read as JSON: text that looks like a number stays text.
    if value[:1] not in ("[", "{"):
        return value
    try:
        return _json_from_word(value) if value[-1] in "]}" else relaxed_json(value)
    except ConfigError as error:
        text = f"what begins with {value[0]} is read as JSON; as text, it is '{json.dumps({name: value})}'"
        raise ConfigError(Fault(f"{error.faults[0].marked}; {text}", name)) from error


def _json_from_word(text: str) -> Any:
    """As `relaxed_json`; the error also says what the shell has done to the text."""
    try:
        return relaxed_json(text)
    except ConfigError as error:
        if hint := lost_quotes(text):
            (fault,) = error.faults
            raise ConfigError(Fault(f"{hint}: {fault.text}", fault.where, fault.mark)) from error
        raise


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _as_mapping(value: Any, place: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise ConfigError(Fault(f"must be an object of options, not {abbreviate(value)}", place))


def read_text(name: str) -> str:
    """The text of a config file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        content, _ = read_file(name, "file", limit=LARGEST_CONFIG_FILE)
        text = content.decode("utf-8-sig")  # some editors write a byte-order mark
    except (OSError, UserError, UnicodeDecodeError) as error:
        fault = Fault(f"cannot be read: {_why(error, name)}", SourceLocation(name, name))
        raise ConfigError(fault) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _why(error: Exception, name: str) -> str:
    if isinstance(error, UserError):
        return f"it {error.faults[0].text.removeprefix(f'the file {name!r} ')}"
    return str(error.strerror) if isinstance(error, OSError) else "it is not UTF-8"


_FORMATS = {".json": "json", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml"}


def is_config(name: str) -> bool:
    """Whether a file's name ends as a config file's does."""
    return Path(name).suffix.lower() in _FORMATS


def format_of(name: str) -> str:
    """`json`, `toml` or `yaml`, by a file's ending.

    Raises:
        ConfigError: it has another ending.
    """
    known = _FORMATS.get(Path(name).suffix.lower())
    if known is None:
        raise ConfigError(
            Fault("its name must end in .json, .toml, .yaml or .yml", SourceLocation(name, name))
        )
    return known


def load_file(name: str) -> Mapping[str, Any]:
    """Read a JSON, TOML or YAML file, by its ending.

    Raises:
        ConfigError: it cannot be read, has another ending, or does not parse.
    """
    text = read_text(name)
    kind = format_of(name)
    try:
        parse = relaxed_json if kind == "json" else _toml
        value = yaml_document(text)[0] if kind == "yaml" else parse(text)
        if value is None and "#" not in text:
            raise ConfigError("it is empty")
        return _as_mapping({} if value is None else value, "")  # all of it may be commented out
    except UserError as error:
        raise error.under(SourceLocation(name, name)) from error


def _toml(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_of_toml(str(error), text)) from error
    except ValueError as error:  # a number of thousands of digits
        raise ConfigError(f"malformed TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError("malformed TOML: nested too deeply") from error


def _of_toml(problem: str, text: str) -> Fault:
    """A fault whose position tomllib reports in its message, and as numbers only from Python 3.14 on."""
    what, _, place = problem.rpartition(" (at ")
    numbers = [int(number) for number in re.findall(r"\d+", place)]
    last = (text.count("\n") + 1, len(text) - text.rfind("\n"))
    mark = (numbers[0], numbers[1]) if len(numbers) == 2 else last
    return Fault(f"malformed TOML: {what or problem}", mark=mark)


def yaml_document(text: str, look: Callable[[Any], object] = lambda _: None) -> tuple[Any, Any]:
    """The value of a YAML text, and the node it was made from, whose parts know their positions.

    Args:
        text: the text.
        look: called with the node as written, before `<<` is replaced by what it stands for.

    Raises:
        ConfigError: it is malformed, or has keys that are not text.
        ComponentError: PyYAML is not installed.
    """
    with needs_extra("yaml"):
        import yaml  # noqa: PLC0415 - an extra, and slow to import: only for whoever writes YAML
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            look(node)
            _name_null(node)
            value = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        found = error.problem_mark
        mark = (found.line + 1, found.column + 1) if found else None
        raise ConfigError(Fault(f"malformed YAML: {error.problem or error.context}", mark=mark)) from error
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        mark = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise ConfigError(Fault(f"malformed YAML: {' '.join(str(error).split())}", mark=mark)) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"malformed YAML: {' '.join(str(error).split())}") from error
    except (ValueError, RecursionError) as error:  # a date that does not exist
        deep = "nested too deeply" if isinstance(error, RecursionError) else ""
        raise ConfigError(f"malformed YAML: {deep or error}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:  # bugs of PyYAML
        raise ConfigError(f"malformed YAML: {type(error).__name__}: {error}") from error
    _check_keys(node)
    return value, node


COMPONENT_KEYS = ("input", "decoder", "filter", "encoder", "output", "error", "error_encoder")
"""The top-level keys whose values name components; in tables, it is `class`."""


def _name_null(document: Any) -> None:
    """`Null` where a component's name is expected is that name, although YAML reads it as null."""
    for key, value in _pairs(document):
        if key in COMPONENT_KEYS:
            for one in value.value if isinstance(value.value, list) and value.id == "sequence" else [value]:
                _as_name(one)
        for _, table in _pairs(value):
            for inner, name in _pairs(table):
                if inner == "class":
                    _as_name(name)


def _pairs(node: Any) -> Iterator[tuple[Any, Any]]:
    if getattr(node, "id", "") == "mapping":
        for key, value in node.value:
            yield key.value if isinstance(key.value, str) else None, value


def _as_name(node: Any) -> None:
    if node.value == "Null" and node.tag == "tag:yaml.org,2002:null":
        node.tag = "tag:yaml.org,2002:str"


def _check_keys(document: Any) -> None:
    """YAML allows keys of any type, while these must be names; and values that contain themselves."""
    waiting, seen = [document], set[int]()
    while waiting:
        node = waiting.pop()
        inner = getattr(node, "value", None)
        if id(node) in seen or not isinstance(inner, list):
            continue
        seen.add(id(node))
        for item in reversed(inner):
            key, value = item if isinstance(item, tuple) else (None, item)
            if key is not None and not key.tag.endswith(":str"):
                mark = (key.start_mark.line + 1, key.start_mark.column + 1)
                raise ConfigError(
                    Fault(f"a key must be text, not {_shown_key(key)}: put it in quotes", mark=mark)
                )
            waiting.append(value)


def _shown_key(node: Any) -> str:
    """A YAML key as it was written."""
    return node.value or "nothing" if isinstance(node.value, str) else "a list or mapping"
