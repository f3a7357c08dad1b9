"""Conditions: a small expression language about a message's fields, for filters and routes.

Python's expression syntax, whitelisted through `ast` and compiled into one function for a batch.
"""

from __future__ import annotations

from itertools import compress
from operator import not_
from typing import TYPE_CHECKING, Any

from message_passing.clock import wall
from message_passing.conditions.grammar import Translation
from message_passing.conditions.python_warnings import python_warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from message_passing.read_fields import ReadFields

_NOTHING: dict[str, Any] = {}

_PROGRAM = """
def keep(messages, now):
    kept = []
    append = kept.append
    for m in messages:
        d = m if m.__class__ is dict or isinstance(m, dict) else NOTHING
        get = d.get
        if {source}:
            append(m)
    return kept

def split(messages, now):
    kept, others = [], []
    keep, leave = kept.append, others.append
    for m in messages:
        d = m if m.__class__ is dict or isinstance(m, dict) else NOTHING
        get = d.get
        if {source}:
            keep(m)
        else:
            leave(m)
    return kept, others

def value(d, now):
    get = d.get
    return {source}
"""


_MOST_CLASSES = 32
"""Classes of fields that one condition is compiled for: each decoder before it may read other ones, in two ways."""

_FIELDS_PROGRAM = """
def choose(messages, now):
    found = []
    append = found.append
    for d in messages:
        append(True if {source} else False)
    return found
"""


class Condition:
    """A condition, compiled.

    Attributes:
        text: as it was written.
        fields: the names of the fields that it reads.
        reads: these, and those that it looks at for a level or a time.
    """

    def __init__(self, text: str, *, truth: bool = True, linear: bool = False) -> None:
        """Compile it.

        Args:
            text: such as `level >= "WARNING" and not path.startswith("/health")`.
            truth: only whether it holds is asked for; otherwise it may be any expression, such as `took * 1000`.
            linear: refuse regular expressions that may take more than linear time: for conditions of a stranger's.

        Raises:
            OptionError: it is malformed, or has something that no condition may have; with line and column.
        """
        found = Translation(text, truth=truth, linear=linear)
        self.text = text
        self._truth, self._linear = truth, linear
        self._choose: dict[type, Callable[[Sequence[Any], float], list[bool]]] = {}
        self.fields = frozenset(found.fields)
        self.reads = (*sorted(found.reads),)
        names = _run(_PROGRAM, found)
        self._keep: Callable[[Sequence[Any], float], list[Any]] = names["keep"]
        self._split: Callable[[Sequence[Any], float], tuple[list[Any], list[Any]]] = names["split"]
        self._value: Callable[[Any, float], Any] = names["value"]

    @classmethod
    def expression(cls, text: str) -> Condition:
        """One for its `value`: see `truth`."""
        return cls(text, truth=False)

    def keep(self, messages: Sequence[Any]) -> list[Any]:
        """Those of a batch for which it holds; a message that is no dict has no fields."""
        try:
            return self._keep(messages, wall())
        except Exception:  # noqa: BLE001 - objects of a user's own, whose comparison raises, are no reason to lose the others
            return [message for message in messages if self.holds(message)]

    def split(self, messages: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Those of a batch for which it holds, and the others."""
        try:
            return self._split(messages, wall())
        except Exception:  # noqa: BLE001 - as above
            kept = [self.holds(message) for message in messages]
            return list(compress(messages, kept)), list(compress(messages, map(not_, kept)))

    def choose(self, fields: Sequence[ReadFields]) -> list[bool]:
        """Whether it holds, by the fields of each message, which are of one reader and have all that it `reads`."""
        if not fields:
            return []
        cls = type(fields[0])
        if (choose := self._choose.get(cls)) is None:
            found = Translation(self.text, truth=self._truth, linear=self._linear, of=cls)
            choose = _run(_FIELDS_PROGRAM, found)["choose"]
            if len(self._choose) >= _MOST_CLASSES:
                self._choose.clear()
            self._choose[cls] = choose
        try:
            return choose(fields, wall())
        except Exception:  # noqa: BLE001 - as above
            return [self.holds(one.as_dict()) for one in fields]

    def holds(self, message: Any) -> bool:
        """Whether it holds for a message; no if that cannot be computed."""
        try:
            return bool(self.value(message))
        except Exception:  # noqa: BLE001 - as above
            return False

    def value(self, message: Any) -> Any:
        """What the expression gives for a message; None if that cannot be computed."""
        try:
            return self._value(message if isinstance(message, dict) else _NOTHING, wall())
        except Exception:  # noqa: BLE001 - as in `keep`; or lists are nested too deeply to be compared
            return None


def _run(program: str, found: Translation) -> dict[str, Any]:
    """What a program with the source of a condition defines."""
    names: dict[str, Any] = {
        **found.names,
        "NOTHING": _NOTHING,
        "__builtins__": {"isinstance": isinstance, "dict": dict, "str": str},
    }
    with python_warnings("ignore"):
        code = compile(program.format(source=found.source), "<condition>", "exec")
    exec(code, names)  # noqa: S102 - source that `Translation` made of whitelisted parts
    return names
