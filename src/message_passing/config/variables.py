"""`${NAME}` in a config file: each replaced by its environment variable, and those that are not set reported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from message_passing.declaration import UnreadText
from message_passing.environment import expand
from message_passing.errors import Fault, SourceLocation, child_location


def expand_variables(
    values: Mapping[str, Any], source: str, *, but: str = ""
) -> tuple[dict[str, Any], list[Fault]]:
    """A file's values with their variables replaced, and what is wrong with them.

    Args:
        values: as they were parsed.
        source: the file's name.
        but: a key whose value stays as it is.

    Returns:
        The values, in which an `UnreadText` stands for each text with a variable that is not set; and these.
    """
    faults: list[Fault] = []
    file = SourceLocation(source, source)

    def expanded(value: Any, place: str, said: str) -> Any:
        if isinstance(value, Mapping):
            return {key: inner(item, place, said, key) for key, item in value.items()}
        if isinstance(value, list):
            return [inner(item, place, said, number) for number, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        text, wrong = expand(value)
        faults.extend(Fault(sentence, place) for sentence in wrong)
        return UnreadText(value) if wrong else text

    def inner(value: Any, place: str, said: str, key: str | int) -> Any:
        said = f"{said}.{key}" if said != source else f"{source}: {key}"
        return expanded(value, child_location(place, said, key), said)

    return {
        key: value if key == but else inner(value, file, source, key) for key, value in values.items()
    }, faults
