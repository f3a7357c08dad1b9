"""A chain as the text of a config file, in each format, with a comment above every option."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.cli.catalogue import default_text, summary
from message_passing.cli.create.layout import spelt_options
from message_passing.options import convert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from message_passing.cli.create.layout import Table
    from message_passing.options import Option

_WIDTH = 100
_STANDING_IN: tuple[Any, ...] = (1, 0.5, "...", [], {}, ["..."])
"""Placeholder values for commented-out options without a default: the first that fits the type."""


def as_toml(tables: Sequence[Table]) -> str:
    """TOML: a table for each component, and one for its options."""
    lines: list[str] = []
    for one in tables:
        path = f"{one.chosen.kind}s.{one.name}"
        lines += ["", *_heading(one), f"[{path}]", f"class = {_json(one.chosen.word)}"]
        if one.targets:
            lines.append(f"output_to = {_json(_target(one))}")
        options = list(_options(one, lambda name, value: f"{name} = {_toml(value)}"))
        lines += ["", f"[{path}.options]", *options] if options else []
    return _file_text(lines)


def as_yaml(tables: Sequence[Table]) -> str:
    """YAML: a mapping for each kind of component."""
    lines: list[str] = []
    for kind, group in _by_kind(tables):
        lines += ["", f"{kind}s:"]
        for one in group:
            inner = [f"class: {_json(one.chosen.word)}"]
            if one.targets:
                inner.append(f"output_to: {_json(_target(one))}")
            options = list(_options(one, lambda name, value: f"{name}: {_json(value)}"))
            inner += ["options:", *_indented(options)] if options else []
            lines += _indented([*_heading(one), f"{one.name}:", *_indented(inner)])
    return _file_text(lines)


def commented_json(tables: Sequence[Table]) -> str:
    """JSON with comments and trailing commas: an object for each kind of component."""
    lines: list[str] = []
    for kind, group in _by_kind(tables):
        lines += ["", f'"{kind}s": {{']
        for one in group:
            inner = [f'"class": {_json(one.chosen.word)},']
            if one.targets:
                inner.append(f'"output_to": {_json(_target(one))},')
            options = list(_options(one, lambda name, value: f'"{name}": {_json(value)},'))
            inner += ['"options": {', *_indented(options), "},"] if options else []
            lines += _indented([*_heading(one), f'"{one.name}": {{', *_indented(inner), "},"])
        lines.append("},")
    return _file_text(["{", *_indented(lines[1:]), "}"])


FORMATS: dict[str, Callable[[Sequence[Table]], str]] = {
    "toml": as_toml,
    "yaml": as_yaml,
    "json": commented_json,
}


def _file_text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines).lstrip("\n")


def _by_kind(tables: Sequence[Table]) -> Iterator[tuple[str, list[Table]]]:
    for kind in dict.fromkeys(one.chosen.kind for one in tables):
        yield kind, [one for one in tables if one.chosen.kind == kind]


def _target(one: Table) -> str | list[str]:
    return one.targets[0] if len(one.targets) == 1 else list(one.targets)


def _heading(one: Table) -> list[str]:
    added = " It was not asked for, but a chain needs one." if one.chosen.added else ""
    return _comment(f"{one.chosen.cls.describe_self()}: {summary(one.chosen.cls)}.{added}")


def _options(table: Table, written: Callable[[str, Any], str]) -> Iterator[str]:
    """Each option below its description; those that need not be given with a `#` right before them.

    One whose default is that it is not given (a key, a password) has `# `: it needs a value besides.
    """
    given = table.options
    for one in spelt_options(table.chosen.cls):
        yield from _comment(f"{one.name}: {one.type_text}{default_text(one)}. {one.description}".rstrip())
        if one.name in given:
            yield written(one.name, given[one.name])
        else:
            default = one.make_default()
            mark = "#" if default is None or _fits(one, default) else "# "
            example = next(
                (value for value in _STANDING_IN if _fits(one, value)), "..."
            )  # of any other pattern
            yield mark + written(one.name, example if default is None or mark == "# " else default)


def _fits(one: Option, value: Any) -> bool:
    try:
        convert(one, value)
    except msgspec.ValidationError:
        return False
    return True


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" if line else line for line in lines]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_json(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return _json(value)
