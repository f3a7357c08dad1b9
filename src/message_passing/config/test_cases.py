"""The format of a test case in a config file, and the errors in it.

    [[tests]]
    name = "errors pass, the rest does not"
    input = ['{"level":"error"}', '{"level":"info"}', "no JSON"]
    output = [{ level = "error" }]
    errors = ["malformed JSON"]
    filtered = 1

`at` names the component that receives the messages, unless that is the only input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from message_passing.config.forms import TESTS
from message_passing.errors import Fault, SourceLocation, abbreviate, child_location, did_you_mean
from message_passing.graph import topological_order

if TYPE_CHECKING:
    from message_passing.component import Component

CASE_KEYS = ("name", "at", "input", "output", "errors", "filtered")
_EXPECTED = ("output", "errors", "filtered")


@dataclass(frozen=True, slots=True)
class Case:
    """One test case.

    Attributes:
        file: where it was written; and
        number: its place in the list there, from 0.
        name: its name.
        at: the component that receives the messages; an input emits them.
        messages: the messages.
        output: the messages expected, by the outputs' names; None for any.
        errors: texts, each of which must be in a report.
        filtered: how many messages filters remove; None for any number.
    """

    file: str
    number: int
    name: str
    at: str
    messages: list[Any]
    output: dict[str, list[Any]] | None
    errors: list[str]
    filtered: int | None


def read_cases(
    tables: Any, source: str, components: Mapping[str, Component] | None
) -> tuple[list[Case], list[Fault]]:
    """The test cases of a config file, and the errors in them.

    Args:
        tables: the value of the file's key `tests`; None if it has none.
        source: its name.
        components: of its chain, by name; None if the chain has errors, so that they are not known.
    """
    place = SourceLocation(f"{source}: {TESTS}", source, (TESTS,))
    tables = [] if tables is None else tables
    if not isinstance(tables, list):
        return [], [Fault(f"must be a list of cases, not {abbreviate(tables)}", place)]
    cases: list[Case] = []
    faults: list[Fault] = []
    for number, table in enumerate(tables):
        reader = _Reader(table, child_location(place, f"{place}.{number}", number), components)
        cases.append(reader.case(number))
        faults += reader.faults
        if any(one.name == cases[-1].name for one in cases[:-1]):
            faults.append(Fault(f"there is already a case named {cases[-1].name!r}", reader.at("name")))
    return cases, faults


def reached_from(name: str, components: Mapping[str, Component]) -> dict[str, Component]:
    """The outputs that messages passed to a component can reach."""
    after = {id(one) for one in topological_order([components[name]])}
    return {key: one for key, one in components.items() if one.kind == "output" and id(one) in after}


class _Reader:
    """Reads one table."""

    def __init__(self, table: Any, place: str, components: Mapping[str, Component] | None) -> None:
        self.faults: list[Fault] = []
        self._place = place
        self._known = components is not None
        self._components = components or {}
        self._table: Mapping[str, Any] = table if isinstance(table, Mapping) else {}
        if not isinstance(table, Mapping):
            self.faults.append(
                Fault(f"must be a table with {', '.join(CASE_KEYS)}, not {abbreviate(table)}", place)
            )

    def at(self, key: str) -> str:
        """The place of one of its keys."""
        return child_location(self._place, f"{self._place}.{key}", key)

    def _fault(self, key: str, text: str) -> None:
        self.faults.append(Fault(text, self.at(key)))

    def _take(self, key: str, kind: type, what: str, default: Any) -> Any:
        """The value of a key; its default if it is missing, or wrong, which is reported."""
        value = self._table.get(key, default)
        if key in self._table and (not isinstance(value, kind) or isinstance(value, bool)):
            self._fault(key, f"must be {what}, not {abbreviate(value)}")
            return default
        return value

    def case(self, number: int) -> Case:
        """The test case; its errors are recorded."""
        if self._table or not self.faults:
            self._check_keys()
        start = self._start()
        errors = self._take("errors", list, "a list of strings", [])
        if not all(isinstance(text, str) for text in errors):
            self._fault("errors", f"must be a list of strings, not {abbreviate(errors)}")
        filtered = self._take("filtered", int, "a number of messages", None)
        return Case(
            file=getattr(self._place, "file", ""),
            number=number,
            name=self._take("name", str, "a text", f"case {number + 1}"),
            at=start,
            messages=self._take("input", list, "a list of messages", []),
            output=self._output(start),
            errors=errors,
            filtered=filtered,
        )

    def _check_keys(self) -> None:
        for key in self._table:
            if key not in CASE_KEYS:
                hint = did_you_mean(key, CASE_KEYS) or f" (it has {', '.join(CASE_KEYS)})"
                self._fault(key, f"a case has no key {key!r}{hint}")
        if "input" not in self._table:
            self.faults.append(Fault("a case needs 'input', a list of messages", self._place))
        if not any(key in self._table for key in _EXPECTED):
            text = f"a case needs one of {', '.join(_EXPECTED)}, otherwise it checks nothing"
            self.faults.append(Fault(text, self._place))

    def _start(self) -> str:
        """The component that receives the messages."""
        at = str(self._take("at", str, "the name of a component", ""))
        inputs = [name for name, one in self._components.items() if one.kind == "input"]
        if not self._known:
            return at
        if at and at not in self._components:
            self._fault("at", f"there is no component named {at!r}{did_you_mean(at, self._components)}")
        elif not at and len(inputs) > 1:
            text = f"there are several inputs, so a case must name one in `at`: {', '.join(inputs)}"
            self.faults.append(Fault(text, self._place))
        return at if at in self._components else next(iter(inputs), "")

    def _output(self, start: str) -> dict[str, list[Any]] | None:
        """The messages expected, by output."""
        expected = self._table.get("output")
        if expected is None:
            return None
        if not self._known and isinstance(expected, (list, Mapping)):
            return None
        outputs = reached_from(start, self._components) if start in self._components else {}
        if isinstance(expected, list):
            if len(outputs) == 1:
                return dict.fromkeys(outputs, expected)
            names = ", ".join(outputs)
            self._fault("output", f"must be a table of lists, one for each of the outputs {names}")
            return None
        if not isinstance(expected, Mapping):
            self._fault("output", f"must be a list of messages, not {abbreviate(expected)}")
            return None
        for name, messages in expected.items():
            place = child_location(self.at("output"), f"{self.at('output')}.{name}", name)
            if name not in outputs:
                hint = did_you_mean(name, outputs) or f" (there are {', '.join(outputs)})"
                self.faults.append(
                    Fault(f"there is no output {name!r} that these messages come to{hint}", place)
                )
            elif not isinstance(messages, list):
                self.faults.append(Fault(f"must be a list of messages, not {abbreviate(messages)}", place))
        return dict(expected)
