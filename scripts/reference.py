"""Writes docs/reference/ from the components' own declarations; `--check` says whether it is stale.

python scripts/reference.py [--check]
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from message_passing.cli.catalogue import default_text
from message_passing.logging.settings import HandlerDeclaration
from message_passing.options import declared
from message_passing.registry import find, names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.component import Component
    from message_passing.options import Option

FOLDER = Path(__file__).parent.parent / "docs" / "reference"

PAGES = {
    "inputs": ("Inputs", "input"),
    "codecs": ("Codecs", "decoder", "encoder"),
    "filters": ("Filters", "filter"),
    "outputs": ("Outputs", "output"),
}
"""Each page: its title, and the kinds of component on it."""

HANDLER = """\
<!-- Written by scripts/reference.py from the declarations: change those. -->

# The log handler

The options of `message_passing.logging.ZeroMQHandler`: keyword arguments in Python, keys in a `dictConfig`. Numbers
and truth values may be given as text. The [guide to logging](../guide-logging.md) says what it does.

| option | type | default | what it does |
|---|---|---|---|
"""

SHARED = ("error", "output_to")

INTRODUCTION = """\
<!-- Written by scripts/reference.py from the components' declarations: change those. -->

# {title}

[What these are](../concepts.md). Each has the options `error` and, unless it is an output, `output_to`: they
connect components in Python, and no file or command line can spell them.
"""

TESTED = "<!-- test: elsewhere tests/docs/test_reference.py::test_{} -->\n"


def built_in(kind: str) -> dict[str, type[Component]]:
    """The components of a kind that are part of this package, by their documented names."""
    found = {name: find(kind, name) for name in names(kind)}
    return {name: cls for name, cls in found.items() if cls.__module__.startswith("message_passing.")}


def page(title: str, *kinds: str) -> str:
    """The text of a page."""
    parts = [INTRODUCTION.format(title=title)]
    for name in sorted({name for kind in kinds for name in built_in(kind)}, key=str.casefold):
        parts.append(f"\n## {name}\n")
        for kind in kinds:
            if name in built_in(kind):
                if len(kinds) > 1:
                    parts.append(f"\n### {name} {kind}\n")
                parts.append(entry(built_in(kind)[name]))
    return "".join(parts)


def entry(cls: type[Component]) -> str:
    """One component's."""
    own = {name: one for name, one in declared(cls).items() if name not in SHARED}
    parts = [f"\n{(inspect.getdoc(cls) or '').strip()}\n"]
    if own:
        rows = [row(one) for one in own.values()]
        parts.append("\n| option | type | default | what it does |\n|---|---|---|---|\n" + "".join(rows))
    parts += ["\n", TESTED.format("examples_in_python"), "```python\n", in_python(cls), "```\n"]
    if not any(own[name].python_only for name in cls.example):
        parts += ["\n", TESTED.format("examples_on_the_command_line"), "```sh\n", in_shell(cls), "```\n"]
    return "".join(parts)


def row(one: Option) -> str:
    """An option's line in the table."""
    default = default_text(one).strip(" ()").removeprefix("default ")
    if one.name == "clock":
        default = "the system's clock"
    elif default and default != "required":
        default = f"`{default}`"
    text = (
        " or ".join(f"`{part}`" for part in one.type_text.split(" or "))
        if "'" in one.type_text
        else one.type_text
    )
    where = " From Python only." if one.python_only else ""
    cells = (f"`{one.name}`", text, default, one.description + where)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def in_python(cls: type[Component]) -> str:
    """The example as a constructor call."""
    given = ", ".join(f"{name}={literal(value)}" for name, value in cls.example.items())
    needs = "import sys\n\n" if "sys." in given else ""
    return f"{needs}from {cls.__module__} import {cls.__name__}\n\n{cls.__name__}({given})\n"


def literal(value: Any) -> str:
    """A value as Python source."""
    if value is sys.__stderr__:
        return "sys.stderr"
    return str(value.__name__) if callable(value) else json_like(value)


def json_like(value: Any) -> str:
    """The source of a plain value, in double quotes as the project writes them."""
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, list):
        return f"[{', '.join(map(json_like, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json_like(key)}: {json_like(one)}' for key, one in value.items())}}}"
    return repr(value).replace("'", '"')


def in_shell(cls: type[Component]) -> str:
    """The example as words for the command."""
    given: Mapping[str, Any] = cls.example
    options = f" --{cls.kind}_options '{json.dumps(dict(given))}'" if given else ""
    return f"message-passing --{cls.kind} {cls.name}{options} ...\n"


def all_pages() -> dict[str, str]:
    """The text of every page, by its name."""
    found = {name: page(title, *kinds) for name, (title, *kinds) in PAGES.items()}
    found["handler"] = HANDLER + "".join(map(row, declared(HandlerDeclaration).values()))
    return found


def stale() -> list[str]:
    """The pages that are not what the declarations say."""
    pages = all_pages()
    found = [name for name, text in pages.items() if read(name) != text]
    return found + [path.stem for path in FOLDER.glob("*.md") if path.stem not in pages]


def read(name: str) -> str:
    """A page as it is."""
    path = FOLDER / f"{name}.md"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main(words: list[str]) -> int:
    """Write or check.

    Returns:
        The exit status.
    """
    if words == ["--check"]:
        pages = stale()
        for name in pages:
            print(f"docs/reference/{name}.md is stale: run python scripts/reference.py", file=sys.stderr)
        return 1 if pages else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in all_pages().items():
        (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
