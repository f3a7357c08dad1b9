"""Sentences for users about components: warnings before they run, and losses afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.errors import ComponentError, Fault, collecting, naming_component
from message_passing.escaping import one_line
from message_passing.metrics import lost_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from message_passing.component import Component


def collect_warnings(components: Sequence[Component]) -> list[str]:
    """The warnings of these components, without repetitions.

    Raises:
        ComponentError: a component of the user's own cannot say; with all of these.
    """
    texts: list[str] = []
    faults: list[Fault] = []
    for component in components:
        with collecting(faults), naming_component(component, "warnings"):
            texts += map(one_line, component.warnings())
    if faults:
        raise ComponentError(*faults)
    return list(dict.fromkeys(texts))


def losses(components: Sequence[Component]) -> list[str]:
    """A line for each component that lost messages, or may have: how many, and why; then their summaries."""
    lines = []
    for component in components:
        total, why = lost_words(component.metrics.lost_for_good(), component.possibly_lost())
        if total:
            one = total.rpartition(" ")[2] == "1"
            lines.append(f"{component.title} lost {total} message{'' if one else 's'}: {why}")
        lines += [f"{component.title}: {remark}" for remark in component.summary()]
    return [*map(one_line, lines)]
