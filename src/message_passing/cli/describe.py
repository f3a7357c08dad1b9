"""`--describe`: the components there are, or one of them with its options, from its own declaration."""

from __future__ import annotations

import inspect
import textwrap
from typing import TYPE_CHECKING

from message_passing.errors import ComponentError, did_you_mean
from message_passing.options import declared
from message_passing.registry import PACKAGES, find, names

if TYPE_CHECKING:
    from message_passing.component import Component
    from message_passing.options import Option

WIDTH = 78


def describe(name: str) -> str:
    """A text about the components called `name`, or about all when it is empty.

    Raises:
        ComponentError: there is none of that name.
    """
    if not name:
        lines = [f"{kind}s:".ljust(10) + ", ".join(names(kind)) for kind in PACKAGES]
        return "\n".join([*lines, "", "--describe NAME tells more of one.", ""])
    texts: list[str] = []
    for kind in PACKAGES:
        try:
            text = _text(find(kind, name))
            if text not in texts:  # a class named by its path may do for several kinds
                texts.append(text)
        except ComponentError as error:
            if name.startswith("+") or "needs the package" in str(error):
                problem = error
            continue
    if texts:
        return "\n".join(texts)
    if name.startswith("+"):
        raise problem
    known = sorted({known for kind in PACKAGES for known in names(kind)})
    raise ComponentError(f"there is no component {name!r}{did_you_mean(name, known)}")


def _text(cls: type[Component]) -> str:
    lines = [cls.describe_self(), "", textwrap.indent(inspect.getdoc(cls) or "", "  "), ""]
    for name, one in declared(cls).items():
        if name not in ("error", "output_to"):
            lines += [f"  {name}: {one.type_text}{default_text(one)}"]
            lines += textwrap.wrap(
                one.description, WIDTH, initial_indent="      ", subsequent_indent="      "
            )
    return "\n".join([*lines, ""])


def default_text(one: Option) -> str:
    """` (required)`, or the default that it has; nothing for one that is off when not given."""
    if one.required:
        return " (required)"
    default = one.make_default()
    return "" if default is None else f" (default {default!r})"
