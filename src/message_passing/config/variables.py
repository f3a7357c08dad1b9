"""`${NAME}` and `${file:PATH}` in a config file: each replaced by its value, or reported if there is none."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from typing import Any

from message_passing.declaration import UnreadText
from message_passing.environment import expand, expand_home
from message_passing.errors import ConfigError, Fault, OpenError, SourceLocation, child_location
from message_passing.secure_files import in_shell, read_file

LARGEST_FILE_VALUE = 64 * 1024
"""Bytes of a file that a value may be read from."""

_CONTAINER = "/run/secrets/"
"""Where containers have their secrets, readable by all who are in there."""


def expand_variables(
    values: Mapping[str, Any], source: str, *, but: str = "", warnings: list[str] | None = None
) -> tuple[dict[str, Any], list[Fault]]:
    """A file's values with their variables replaced, and the errors in them.

    Args:
        values: as they were parsed.
        source: the file's name.
        but: a key whose value is left unchanged.
        warnings: where to add what is to be said though it is no error.

    Returns:
        The values, in which an `UnreadText` stands for each text with a variable that is not set; and the errors.

    Raises:
        ConfigError: they are nested too deeply.
    """
    faults: list[Fault] = []
    file = SourceLocation(source, source)
    done: dict[int, Any] = {}  # YAML's aliases can lead to one value along billions of paths

    def expanded(value: Any, place: str, said: str) -> Any:
        if id(value) in done:
            return done[id(value)]
        if isinstance(value, Mapping):
            table: dict[Any, Any] = {}
            done[id(value)] = table
            table.update((key, inner(item, place, said, key)) for key, item in value.items())
            return table
        if isinstance(value, list):
            items: list[Any] = []
            done[id(value)] = items
            items.extend(inner(item, place, said, number) for number, item in enumerate(value))
            return items
        if not isinstance(value, str) or "${" not in value:
            return value
        text, wrong = expand(value, read)
        faults.extend(Fault(sentence, place) for sentence in wrong)
        return UnreadText(value) if wrong else text

    def read(path: str) -> str:
        return _file_value(path, [] if warnings is None else warnings)

    def inner(value: Any, place: str, said: str, key: str | int) -> Any:
        said = f"{said}.{key}" if said != source else f"{source}: {key}"
        return expanded(value, child_location(place, said, key), said)

    try:
        found = {
            key: value if key == but else inner(value, file, source, key) for key, value in values.items()
        }
    except RecursionError as error:
        raise ConfigError(Fault("nested too deeply", file)) from error
    return found, faults


def _file_value(path: str, warnings: list[str]) -> str:
    """What a file holds, without the line ends at its end.

    Raises:
        OpenError: it cannot be read, is empty, too large or no text, or everybody may change it.
    """
    path = expand_home(path)
    try:
        content, found = read_file(path, "file", limit=LARGEST_FILE_VALUE)
    except OSError as error:
        raise OpenError(f"the file {path!r} cannot be read: {error.strerror}") from error
    mode = stat.S_IMODE(found.st_mode)
    if mode & stat.S_IWOTH:
        text = f"the file {path!r} can be written by everybody (its mode is {mode:04o})"
        raise OpenError(f"{text}: run `chmod o-w {in_shell(path)}`")
    if mode & stat.S_IROTH and not path.startswith(_CONTAINER):
        text = f"the file {path!r} can be read by everybody (its mode is {mode:04o})"
        text += f": if it holds a secret, run `chmod o-r {in_shell(path)}`"
        warnings += [text] if text not in warnings else []
    try:
        text = content.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise OpenError(f"the file {path!r} cannot be read: it is not UTF-8") from error
    if not text:
        raise OpenError(f"the file {path!r} is empty")
    return text
