"""From the text of a condition to Python source that computes it: of Python's expression syntax, a part is allowed.

Whatever is not named here is refused, so a condition reaches nothing but fields, constants and the functions of
`operations`. The source is made of names and numbers of our own: of the text, only constants get into it.
"""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from message_passing.conditions.levels import (
    LEVEL_FIELDS,
    LISTS,
    field_path,
    level_comparison,
    level_of_constant,
)
from message_passing.conditions.operations import (
    CALCULATE,
    COMPARE,
    FUNCTIONS,
    METHODS,
    NUMERIC,
    age_of_fields,
    call_method,
    contains,
    field_at,
    item,
    length,
    level_number_of,
    level_number_of_fields,
    message_age,
    negative,
    spelled_level,
)
from message_passing.conditions.parsing import FOREIGN_CALLS, ConditionText, first_name, last_name, names_only
from message_passing.conditions.patterns import searcher
from message_passing.errors import did_you_mean
from message_passing.message_fields import LEVELS, NAMES, SPELLED
from message_passing.read_fields import LEVEL

if TYPE_CHECKING:
    from message_passing.read_fields import ReadFields

MOST_NODES, DEEPEST = 1000, 50
"""Parts of a condition, and how deep they may be nested."""

_COMPARISONS: dict[type[ast.cmpop], str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
}
_CONSTANTS = {
    "true": "True",
    "false": "False",
    "null": "None",
    "none": "None",
    "nil": "None",
    "undefined": "None",
}

ALL_FIELDS = "fields"
"""What `fields["@timestamp"]` begins with: the message itself, for names that are no Python names."""


_REFUSED: dict[type[ast.AST], str] = {
    ast.Tuple: "a list that does not stand after `in`",
    ast.List: "a list that does not stand after `in`",
    ast.Set: "a list that does not stand after `in`",
    ast.Lambda: "a lambda",
    ast.JoinedStr: "an f-string",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a generator",
    ast.Dict: "a dict",
    ast.NamedExpr: ":=",
    ast.Await: "await",
    ast.Yield: "yield",
    ast.YieldFrom: "yield",
    ast.Starred: "*",
    ast.Slice: "a slice",
}


class Translation:
    """One condition as Python source.

    Attributes:
        source: an expression; `d` is the message, a dict, or its fields.
        names: what the source refers to.
        fields: the names of the fields that it reads.
        reads: these, and those that it looks at for a level or a time.
    """

    def __init__(
        self, text: str, *, truth: bool = True, linear: bool = False, of: type[ReadFields] | None = None
    ) -> None:
        """Translate it.

        Args:
            text: the condition.
            truth: see `Condition`.
            linear: likewise.
            of: the class of the fields, if these are what it is about, and not dicts.

        Raises:
            OptionError: it is malformed, or has something that no condition may have; with the column.
        """
        self._text = ConditionText(text)
        self._linear = linear
        self._count = 0
        self._depth = self._nodes = 0
        self.names: dict[str, Any] = {
            "NUM": NUMERIC,
            "_contains": contains,
            "_at": field_at,
            "_item": item,
            "_level": level_number_of,
            "_spelled": spelled_level,
            "_age": message_age,
            "_negative": negative,
            "_len": length,
        }
        self._places = None if of is None else of.places()
        self._spelled = of is not None and of.spelled
        if of is not None:
            self.names |= {
                "UNSET": UNSET,
                "NUMBERS": SPELLED,
                "_at": of.get,
                "_level": level_number_of_fields,
                "_age": age_of_fields,
            }
        self.fields: set[str] = set()
        self.reads: set[str] = set()
        body = self._text.parsed()
        self._truth = truth
        if truth:
            self._no_text(body)
        self.source = self._write(body)
        self.reads |= self.fields

    def _name(self, prefix: str, value: Any) -> str:
        """A name for a value in the source."""
        name = f"{prefix}{len(self.names)}"
        self.names[name] = value
        return name

    def _variable(self) -> str:
        self._count += 1
        return f"v{self._count}"

    def _write(self, node: ast.AST) -> str:
        """The source of one part."""
        self._nodes += 1
        if self._nodes > MOST_NODES:
            self._text.refuse(node, f"it has more than {MOST_NODES:,} parts")
        self._depth += 1
        if self._depth > DEEPEST:
            self._text.refuse(node, f"it is nested deeper than {DEEPEST} levels")
        try:
            return self._written(node)
        finally:
            self._depth -= 1

    def _written(self, node: ast.AST) -> str:  # noqa: C901 - one line for each kind of part
        match node:
            case ast.Constant():
                return self._constant(node)
            case ast.Name():
                return self._field(node)
            case ast.Attribute():
                return self._attribute(node)
            case ast.Subscript():
                return self._subscript(node)
            case ast.BoolOp():
                return self._bool(node)
            case ast.UnaryOp():
                return self._unary(node)
            case ast.BinOp():
                return self._binary(node)
            case ast.IfExp():
                return self._choice(node)
            case ast.Compare():
                return self._compare(node)
            case ast.Call():
                return self._call(node)
        return self._text.refuse(node, f"{_REFUSED.get(type(node), 'this')} is not part of a condition")

    # Values

    def _constant(self, node: ast.Constant) -> str:
        value = node.value
        if value is None or isinstance(value, (bool, str)):
            return repr(value)
        if isinstance(value, int) and abs(value) < 1 << 64:
            return repr(value)
        if isinstance(value, float) and math.isfinite(value):
            return repr(value)
        return self._text.refuse(
            node, f"{type(value).__name__} {ast.unparse(node)[:30]} is no value that a field can have"
        )

    def _tuple(self, node: Any) -> str:
        return f"({' '.join(f'{self._write(one)},' for one in node.elts)})"

    def _field(self, node: ast.Name) -> str:
        name = node.id
        if (python := _CONSTANTS.get(name)) is not None:
            self._text.refuse(
                node, f"write {python}, as in Python, or {ALL_FIELDS}[{name!r}] for the field {name!r}"
            )
        if name == "now":
            return "now"
        return self._value_of(name)

    def _value_of(self, name: str) -> str:
        """The value of the field of this very name; None if there is none."""
        self.fields.add(name)
        if self._places is None:
            return f"get({name!r})"
        variable = self._variable()
        return f"(None if ({variable} := d.{self._places[name]}) is UNSET else {variable})"

    def _attribute(self, node: ast.Attribute) -> str:
        path = field_path(node)
        if path is None:
            return f"_item({self._write(node.value)}, {node.attr!r})"
        if node.attr in METHODS:
            self._text.refuse(node, f"{node.attr} is a method of a text: write {path}(...)")
        self.fields.add(path)
        return f"_at(d, {path!r})"

    def _subscript(self, node: ast.Subscript) -> str:
        key = node.slice
        if (
            isinstance(key, ast.UnaryOp)
            and isinstance(key.op, ast.USub)
            and isinstance(key.operand, ast.Constant)
        ):
            key = (
                ast.copy_location(ast.Constant(-key.operand.value), key)
                if isinstance(key.operand.value, int)
                else key
            )
        if not isinstance(key, ast.Constant) or type(key.value) not in (str, int):
            self._text.refuse(key, "brackets take the name of a field in quotes, or the number of an item")
        if isinstance(node.value, ast.Name) and node.value.id == ALL_FIELDS and isinstance(key.value, str):
            return self._value_of(key.value)
        return f"_item({self._write(node.value)}, {key.value!r})"

    # Operators

    def _bool(self, node: ast.BoolOp) -> str:
        *values, _ = node.values
        is_default = (
            not self._truth and isinstance(node.op, ast.Or) and not isinstance(values[-1], ast.Compare)
        )
        for one in values if is_default else node.values:  # `level or "INFO"`
            self._no_text(one)
        word = " and " if isinstance(node.op, ast.And) else " or "
        return f"({word.join(map(self._write, node.values))})"

    def _no_text(self, node: ast.AST) -> None:
        """Refuse a text where its truth would be asked for, as in `level == "ERROR" or "CRITICAL"`."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            choice = "" if self._truth else "; to choose a value, write `'yes' if slow else 'no'`"
            self._text.refuse(
                node,
                f"a text by itself is always true: compare it with a field, as in field == 'text'{choice}",
            )

    def _unary(self, node: ast.UnaryOp) -> str:
        value = self._write(node.operand)
        if isinstance(node.op, ast.Not):
            return f"(not {value})"
        if isinstance(node.op, ast.USub):
            return f"_negative({value})"
        return self._text.refuse(
            node, f"{'~' if isinstance(node.op, ast.Invert) else '+'} is not part of a condition"
        )

    def _binary(self, node: ast.BinOp) -> str:
        sign = _ARITHMETIC.get(type(node.op))
        if sign is None:
            self._text.refuse(
                node, f"this operator is not part of a condition: allowed are {' '.join(CALCULATE)}"
            )
        if sign == "-":
            self._no_hyphen(node)
        name = self._name("_calculate", CALCULATE[sign])
        return f"{name}({self._write(node.left)}, {self._write(node.right)})"

    def _choice(self, node: ast.IfExp) -> str:
        return f"({self._write(node.body)} if {self._write(node.test)} else {self._write(node.orelse)})"

    def _compare(self, node: ast.Compare) -> str:
        found: list[str] = []
        left: ast.expr = node.left
        written: str | None = None  # the left side, where it was computed already
        for index, (sign, right) in enumerate(zip(node.ops, node.comparators, strict=True)):
            more = index + 1 < len(node.ops)
            text, written = self._compared(left, sign, right, written, keep=more)
            found.append(text)
            left = right
        return f"({' and '.join(found)})"

    def _compared(
        self, left: ast.expr, sign: ast.cmpop, right: ast.expr, written: str | None, *, keep: bool
    ) -> tuple[str, str | None]:
        """One comparison, and the name of the right side's value where another one follows."""
        for side, value in ((left, right), (right, left)):
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                self._no_difference(side)
        if isinstance(sign, (ast.In, ast.NotIn)) and isinstance(right, ast.Constant):
            self._no_false_list(left, right)
        if text := self._of_level(
            left, sign, right
        ):  # of a field and constants, so nothing is computed twice
            return text, None
        one = written or self._write(left)
        listed = isinstance(sign, (ast.In, ast.NotIn)) and isinstance(right, LISTS)
        other = self._tuple(right) if listed else self._write(right)
        name = None
        if keep:
            name = self._variable()
            # `and` may leave out what follows, never what stands before.
            other = f"({name} := {other})"
        return self._comparison(one, sign, other, (left, right), node=right), name

    def _comparison(
        self, one: str, sign: ast.cmpop, other: str, sides: tuple[ast.AST, ast.AST], *, node: ast.AST
    ) -> str:
        if isinstance(sign, (ast.Eq, ast.NotEq)):
            return f"({one} {'==' if isinstance(sign, ast.Eq) else '!='} {other})"
        if isinstance(sign, (ast.In, ast.NotIn)):
            within = f"({one} in {other})" if isinstance(sides[1], LISTS) else f"_contains({one}, {other})"
            return within if isinstance(sign, ast.In) else f"(not {within})"
        if isinstance(sign, (ast.Is, ast.IsNot)):
            if not (isinstance(sides[1], ast.Constant) and sides[1].value is None):
                self._text.refuse(node, "only None can stand after `is`: compare with ==")
            return f"({one} is {'not ' if isinstance(sign, ast.IsNot) else ''}None)"
        word = _COMPARISONS[type(sign)]
        for (side, value), constant, operator in (
            ((sides[1], one), other, word),
            ((sides[0], other), one, _MIRRORED[word]),
        ):
            if (
                isinstance(side, ast.Constant)
                and type(side.value) in (int, float, str)
                and ":=" not in constant
            ):
                variable = self._variable()
                kind = "is str" if isinstance(side.value, str) else "in NUM"
                return f"(({variable} := {value}).__class__ {kind} and {variable} {operator} {constant})"
        return f"{self._name('_compare', COMPARE[word])}({one}, {other})"

    def _of_level(self, left: ast.expr, sign: ast.cmpop, right: ast.expr) -> str | None:
        """A comparison of a level with levels, by their numbers; None if it is none."""
        for side, other in ((left, right), (right, left)):
            if field_path(side) in LEVEL_FIELDS:
                for one in other.elts if isinstance(other, LISTS) else [other]:
                    self._check_level(one, ordered=type(sign) in _COMPARISONS)
                break
        found = level_comparison(left, sign, right)
        if found is None:
            return None
        side, numbers, kind = found
        if isinstance(sign, (ast.In, ast.NotIn)):
            return f"({self._level(side)} {'not ' * isinstance(sign, ast.NotIn)}in {(*numbers,)!r})"
        (number,) = numbers
        if kind in (ast.Eq, ast.NotEq):
            return f"({self._level(side)} {'==' if kind is ast.Eq else '!='} {number!r})"
        level = self._level(side)
        if self._spelled and field_path(side) == "level":
            return f"({level} {_COMPARISONS[kind]} {number!r})"
        variable = self._variable()
        return f"(({variable} := {level}) is not None and {variable} {_COMPARISONS[kind]} {number!r})"

    def _level(self, node: ast.AST) -> str:
        """The number of a level: `level` in whatever way the message says it, another field by its value."""
        value = self._write(node)
        if field_path(node) != "level":
            return f"_spelled({value})"
        self.reads.add(LEVEL)
        # One that a filter wrote anew may have any level: a KeyError, after which each is asked by itself (`choose`).
        return (
            "(NUMBERS[d.level] if d.level_number is UNSET else _level(d))" if self._spelled else "_level(d)"
        )

    def _check_level(self, node: ast.AST, *, ordered: bool) -> None:
        """Refuse what looks like a level that a level is compared with, and is none."""
        if isinstance(node, ast.Name) and (name := node.id.upper()) in LEVELS:
            hint = "a shell removes quotes that are not inside others"
            self._text.refuse(node, f'put the level in quotes: "{name}" ({hint})')
        if (
            ordered
            and isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and level_of_constant(node) is None
        ):
            hint = did_you_mean(node.value.upper()[:50], LEVELS)
            self._text.refuse(node, f"there is no level {node.value[:50]!r}{hint}")

    def _no_difference(self, node: ast.AST) -> None:
        """Refuse `user - agent` and `example.org/name` where a text is meant: numbers are no texts."""
        if isinstance(node, ast.BinOp) and names_only(node):
            does = "subtracts" if isinstance(node.op, ast.Sub) else "divides"
            name = ast.unparse(node).replace(" ", "")[:50]
            self._text.refuse(node, f'this {does}; the field of that name is {ALL_FIELDS}["{name}"]')

    def _no_hyphen(self, node: ast.BinOp) -> None:
        """Refuse `http-status >= 500`: without spaces it may be one name, and two fields that a message has not."""
        before, after = last_name(node.left), first_name(node.right)
        if not (before and after) or self._text.between(node.left, node.right) != "-":
            return
        left: ast.expr = node.left
        while isinstance(left, ast.BinOp) and self._text.between(left.left, left.right) == "-":
            left = left.left
        if names_only(node.left) and not isinstance(left, ast.BinOp):
            before = node.left
        name = f"{ast.unparse(before)}-{ast.unparse(after)}".replace(" ", "")[:50]
        meant = f"did you mean the field {ALL_FIELDS}[{name!r}]? A difference has spaces around its minus"
        self._text.refuse(before, f"this subtracts; {meant}")

    def _no_false_list(self, left: ast.expr, right: ast.Constant) -> None:
        """Refuse `host in ("web")`, which looks into a text, where a list is meant; and `host in 5`."""
        if not isinstance(right.value, str):
            self._text.refuse(right, "`in` takes a field, a text, or a list as in (200, 404)")
        if "(" in self._text.between(left, right):
            self._text.refuse(right, f"this is a text, and not a list: write ({right.value[:50]!r},)")

    # Calls

    def _call(self, node: ast.Call) -> str:
        if node.keywords or any(isinstance(one, ast.Starred) for one in node.args):
            self._text.refuse(node, "arguments have no names, and no stars, in a condition")
        if isinstance(node.func, ast.Attribute):
            return self._method(node, node.func)
        if not isinstance(node.func, ast.Name):
            self._text.refuse(node, "this cannot be called")
        name = node.func.id
        if name == "matches":
            return self._matches(node)
        if name == "age" and not node.args:
            return self._age()
        function = FUNCTIONS.get(name)
        if function is None:
            known = (*FUNCTIONS, "matches")
            if name in METHODS:
                self._text.refuse(node, f"{name} is a method of a text: write TEXT.{name}(...)")
            hint = (
                f": write {FOREIGN_CALLS[name]}" if name in FOREIGN_CALLS else did_you_mean(name[:50], known)
            )
            self._text.refuse(
                node, f"there is no function {name[:50]!r}{hint or ': there are ' + ', '.join(sorted(known))}"
            )
        if len(node.args) != 1:
            self._text.refuse(node, f"{name} takes one value")
        if name == "age" and field_path(node.args[0]) == "time":
            return self._age()
        return f"{self._name('_function', function)}({self._write(node.args[0])})"

    def _age(self) -> str:
        self.reads.update(NAMES["time"])
        return "_age(d)"

    def _method(self, node: ast.Call, called: ast.Attribute) -> str:
        name = called.attr
        if name not in METHODS:
            hint = f": write {FOREIGN_CALLS[name]}" if name in FOREIGN_CALLS else ""
            hint = hint or did_you_mean(name[:50], METHODS)
            self._text.refuse(
                called,
                f"there is no method {name[:50]!r}{hint or ': there are ' + ', '.join(sorted(METHODS))}",
            )
        least = name in ("startswith", "endswith", "removeprefix", "removesuffix")
        if not least <= len(node.args) <= METHODS[name]:
            takes = "one text" if least else f"at most {METHODS[name]} text" if METHODS[name] else "nothing"
            self._text.refuse(node, f"{name} takes {takes}")
        texts = [one for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if (
            given := next(
                (one for one in node.args if isinstance(one, ast.Constant) and one not in texts), None
            )
        ) is not None:
            self._text.refuse(given, f"{name} takes a text")
        if any(isinstance(one, ast.Tuple) for one in node.args):
            self._text.refuse(node, f"{name} takes one text: join several with `or`")
        value = self._write(called.value)
        arguments = ", ".join(map(self._write, node.args))
        if len(texts) == len(node.args):
            variable = self._variable()
            return f"({variable}.{name}({arguments}) if ({variable} := {value}).__class__ is str else None)"
        return f"{self._name('_method', call_method(name))}({value}, {arguments})"

    def _matches(self, node: ast.Call) -> str:
        match node.args:
            case [value, ast.Constant(value=str(pattern))]:
                pass
            case _:
                self._text.refuse(
                    node, 'matches takes a field and a regular expression in quotes: matches(path, "^/api/")'
                )
        self._no_difference(value)
        try:
            search = searcher(pattern, linear=self._linear)
        except ValueError as error:
            self._text.refuse(node.args[1], str(error))
        variable = self._variable()
        name = self._name("_search", search)
        return f"(({variable} := {self._write(value)}).__class__ is str and {name}({variable}) is not None)"
