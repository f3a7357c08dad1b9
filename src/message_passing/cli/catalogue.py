"""Descriptions of components: which exist, what each does, its options, and an example."""

from __future__ import annotations

import inspect
import json
import shlex
import textwrap
from typing import TYPE_CHECKING

from message_passing.errors import ComponentError, PackageError, did_you_mean
from message_passing.options import declared
from message_passing.registry import PACKAGES, look_up, names, path_hint

if TYPE_CHECKING:
    from message_passing.component import Component
    from message_passing.options import Option
    from message_passing.registry import Found

WIDTH = 78

CONNECTING = ("error", "output_to")
"""Options that connect components: in a file or command, the chain's form does that."""

COMMON = ("report_limit", "dead_letters")
"""Options that every component has."""


def describe(name: str) -> str:
    """A text about the components called `name`, or about all if it is empty.

    Raises:
        ComponentError: there is none of that name.
    """
    if name:
        return "\n".join(map(described, look_up_all(name)))
    lines = [f"{kind}s:".ljust(10) + ", ".join(names(kind)) for kind in PACKAGES]
    return "\n".join([*lines, "", "--describe NAME shows the details of one.", ""])


def look_up_all(name: str) -> list[Found]:
    """The components called `name`, which may be `KIND:NAME` or `+package.module:Class`.

    Raises:
        ComponentError: there is none, it cannot be imported, or lacks what it needs.
    """
    kind, _, rest = name.partition(":")
    kinds, short = ([kind], rest) if kind in PACKAGES and rest else (list(PACKAGES), name)
    found: list[Found] = []
    problem: ComponentError | None = None
    for one in kinds:
        try:
            here = look_up(one, short)
        except ComponentError as error:
            if len(kinds) == 1 or short.startswith("+") or isinstance(error, PackageError):
                problem = problem or error
        else:
            found += [] if here in found else [here]  # a class named by its path may do for several kinds
    if found:
        return found
    if problem:
        raise problem
    known = sorted({known for kind in PACKAGES for known in names(kind)})
    raise ComponentError(f"there is no component {name!r}{path_hint(name) or did_you_mean(name, known)}")


def summary(cls: type[Component]) -> str:
    """The first sentence about a component."""
    text = " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())
    return text.partition(". ")[0].rstrip(".")


def own_options(cls: type[Component]) -> dict[str, Option]:
    """Its options, except those that connect it to others; those that every component has come last."""
    found = {name: one for name, one in declared(cls).items() if name not in CONNECTING}
    return {**{name: one for name, one in found.items() if name not in COMMON}, **found}


def described(found: Found) -> str:
    """A text about one component, with its options and an example."""
    cls = found.cls
    lines = [cls.describe_self(), "", textwrap.indent(inspect.getdoc(cls) or "", "  "), ""]
    for name, one in own_options(cls).items():
        python = " (from Python only)" if one.python_only else ""
        lines += [f"  {name}: {one.type_text}{default_text(one)}{python}"]
        lines += textwrap.wrap(
            one.description,
            WIDTH,
            initial_indent="      ",
            subsequent_indent="      ",
            break_on_hyphens=False,
        )
    if example := _example(found):
        lines += ["", f"  example: {example}"]
    return "\n".join([*lines, ""])


def _example(found: Found) -> str:
    """The words of a command that uses it with its example; empty if no command can express it."""
    cls, name = found
    own = own_options(cls)
    if not cls.example or any(key in own and own[key].python_only for key in cls.example):
        return ""
    try:
        options = json.dumps(dict(cls.example))
    except (TypeError, ValueError):
        return ""
    return shlex.join([f"--{cls.kind}", name, f"--{cls.kind}_options", options])


def default_text(one: Option) -> str:
    """` (required)`, or its default; empty for an option that is off by default."""
    if one.required:
        return " (required)"
    default = one.make_default()
    return "" if default is None else f" (default {default!r})"
