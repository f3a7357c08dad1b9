"""`${NAME}` in a config file: each replaced by its environment variable, and those that are not set reported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from message_passing.declaration import UnreadText
from message_passing.environment import expand
from message_passing.errors import ConfigError, Fault, SourceLocation, child_location


def expand_variables(
    values: Mapping[str, Any], source: str, *, but: str = ""
) -> tuple[dict[str, Any], list[Fault]]:
    """A file's values with their variables replaced, and the errors in them.

    Args:
        values: as they were parsed.
        source: the file's name.
        but: a key whose value is left unchanged.

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
        text, wrong = expand(value)
        faults.extend(Fault(sentence, place) for sentence in wrong)
        return UnreadText(value) if wrong else text

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
