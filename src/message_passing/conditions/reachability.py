"""Whether a condition can hold for any message that conditions before it have not taken, as far as can be determined.

A condition is reduced to `and`, `or` and `not` of comparisons. Each comparison of a field with constants says in
which intervals of numbers, texts or None its value is; all else (`matches(...)`, a comparison of two fields) is
either true or false, and nothing more is known of it. What contradicts itself on every way through can never hold.
Where it is too large to be tried, or nothing is known, it counts as one that can.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from message_passing.conditions import Condition
from message_passing.conditions.grammar import ALL_FIELDS
from message_passing.conditions.levels import MIRRORED_SIGNS, level_comparison
from message_passing.conditions.parsing import ConditionText

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MOST_STEPS = 5000
"""Parts that are tried before a condition counts as one that can hold."""

_NEGATED = {ast.NotEq: ast.Eq, ast.NotIn: ast.In, ast.IsNot: ast.Is}


def never_holds(text: str, before: Sequence[str] = ()) -> str:
    """Why a condition can hold for no message, or for none that is left of those before it; empty if it may.

    Args:
        text: a valid condition; `True` stands for all that is left.
        before: valid conditions, each of which takes the messages for which it holds.

    Returns:
        The end of a sentence: `it can hold for no message`.
    """
    wanted = _formula(ConditionText(text).parsed(), wanted=True)
    if not _can_hold([wanted]):
        return "it can hold for no message"
    taken = [_formula(ConditionText(one).parsed(), wanted=False) for one in before]
    for one, without in zip(before, taken, strict=True):
        if not _can_hold([without]):
            return f"{one!r}, before it, holds for every message"
        if not _can_hold([wanted, without]):
            return f"{one!r}, before it, takes all of them"
    if len(taken) > 1 and not _can_hold([wanted, *taken]):
        return "those before it take all of them"
    return ""


@dataclass(frozen=True, slots=True)
class _Interval:
    """Values of one type, from one to another; None is without a bound."""

    kind: str
    low: Any = None
    low_in: bool = True
    high: Any = None
    high_in: bool = True

    def is_empty(self) -> bool:
        if self.low is None or self.high is None:
            return False
        return bool(self.low > self.high) or (self.low == self.high and not (self.low_in and self.high_in))

    def within(self, other: _Interval) -> Iterator[_Interval]:
        """What both have."""
        if self.kind == other.kind:
            low, low_in = max(
                (one for one in ((self.low, self.low_in), (other.low, other.low_in)) if one[0] is not None),
                key=lambda one: (one[0], not one[1]),
                default=(None, True),
            )
            high, high_in = min(
                (
                    one
                    for one in ((self.high, self.high_in), (other.high, other.high_in))
                    if one[0] is not None
                ),
                key=lambda one: (one[0], one[1]),
                default=(None, True),
            )
            found = _Interval(self.kind, low, low_in, high, high_in)
            if not found.is_empty():
                yield found

    def without(self, other: _Interval) -> Iterator[_Interval]:
        """What this has and the other has not: at most two."""
        if self.kind != other.kind:
            yield self
            return
        if other.low is not None:
            yield from self.within(_Interval(self.kind, high=other.low, high_in=not other.low_in))
        if other.high is not None:
            yield from self.within(_Interval(self.kind, low=other.high, low_in=not other.high_in))


@dataclass(frozen=True, slots=True)
class _Fact:
    """A comparison: that a value is in these intervals; or without any, that something is true."""

    subject: str
    values: tuple[_Interval, ...] | None
    wanted: bool

    def denied(self) -> _Fact:
        return replace(self, wanted=not self.wanted)


_Formula = bool | _Fact | tuple[str, list[Any]]
"""`True`, `False`, a fact, or `and` or `or` with its parts."""


@dataclass(slots=True)
class _Known:
    """What the facts of one way say of one subject."""

    is_true: bool | None = None
    values: tuple[_Interval, ...] | None = None  # None: any
    excluded: tuple[_Interval, ...] = field(default_factory=tuple)

    def add(self, fact: _Fact) -> _Known | None:
        """The same, and this; None if they contradict each other."""
        if fact.values is None:
            return None if self.is_true is (not fact.wanted) else replace(self, is_true=fact.wanted)
        if not fact.wanted:
            found = replace(self, excluded=(*self.excluded, *fact.values))
        elif self.values is None:
            found = replace(self, values=fact.values)
        else:
            both = tuple(part for one in self.values for two in fact.values for part in one.within(two))
            found = replace(self, values=both)
        if found.values is not None:
            left = list(found.values)
            for gone in found.excluded:
                left = [part for one in left for part in one.without(gone)]
            if not left:
                return None
        return found


class _TooManyError(Exception):
    """There is too much to try."""


def _can_hold(formulas: list[Any]) -> bool:
    """Whether all of these can be true at once."""
    try:
        return _holds(formulas, {}, count(1))
    except (RecursionError, _TooManyError):
        return True


def _holds(waiting: list[Any], known: dict[str, _Known], steps: Iterator[int]) -> bool:
    """Whether they can be true besides what is known: facts first, then each choice in turn."""
    waiting, known = list(waiting), dict(known)
    choices: list[Any] = []
    while waiting:
        if next(steps) > _MOST_STEPS:
            raise _TooManyError
        one = waiting.pop()
        if isinstance(one, _Fact):
            found = known.get(one.subject, _Known()).add(one)
            if found is None:
                return False
            known[one.subject] = found
        elif one is False:
            return False
        elif one is not True:
            (waiting if one[0] == "and" else choices).extend(one[1] if one[0] == "and" else [one])
    if not choices:
        return True
    *others, (_, parts) = choices
    return any(_holds([part, *others], known, steps) for part in parts)


def _formula(node: ast.expr, *, wanted: bool) -> _Formula:
    """A part of a condition, or its negation."""
    if not any(isinstance(one, ast.Name) for one in ast.walk(node)):
        return Condition.expression(ast.unparse(node)).holds({}) is wanted
    match node:
        case ast.BoolOp():
            word = "and" if isinstance(node.op, ast.And) is wanted else "or"
            return word, [_formula(one, wanted=wanted) for one in node.values]
        case ast.UnaryOp(op=ast.Not()):
            return _formula(node.operand, wanted=not wanted)
        case ast.IfExp():
            first = [_formula(node.test, wanted=True), _formula(node.body, wanted=wanted)]
            second = [_formula(node.test, wanted=False), _formula(node.orelse, wanted=wanted)]
            return "or", [("and", first), ("and", second)]
        case ast.Compare():
            sides = [node.left, *node.comparators]
            facts = [
                _comparison(left, sign, right)
                for left, sign, right in zip(sides, node.ops, sides[1:], strict=False)
            ]
            return "and" if wanted else "or", [one if wanted else one.denied() for one in facts]
        case ast.Call(func=ast.Attribute(value=of, attr="startswith"), args=[ast.Constant(value=str(text))]):
            return _Fact(_subject(of), (_beginning(text),), wanted)
    return _Fact(f"whether {_subject(node)}", None, wanted)


def _comparison(left: ast.expr, sign: ast.cmpop, right: ast.expr) -> _Fact:
    """One comparison."""
    kind = type(sign)
    if positive := _NEGATED.get(kind):
        return _comparison(left, positive(), right).denied()
    if found := level_comparison(left, sign, right):
        side, numbers, word = found
        return _Fact(f"level {_subject(side)}", tuple(_of_sign(word, number) for number in numbers), True)
    if isinstance(left, ast.Constant) and kind in (ast.Eq, *MIRRORED_SIGNS):
        left, right, kind = right, left, MIRRORED_SIGNS.get(kind, kind)
    given = right.elts if kind is ast.In and isinstance(right, (ast.Tuple, ast.List, ast.Set)) else [right]
    if all(isinstance(one, ast.Constant) for one in given) and not (kind is ast.In and given == [right]):
        values = [_of_sign(kind, one.value) for one in given if isinstance(one, ast.Constant)]
        return _Fact(_subject(left), tuple(one for one in values if one is not None), True)
    return _Fact(f"whether {_subject(left)} {kind.__name__} {_subject(right)}", None, True)


def _of_sign(sign: type[ast.cmpop], value: Any) -> Any:
    """The values that compare so with this one; None if there are none."""
    kind = "text" if isinstance(value, str) else "none" if value is None else "number"
    if kind == "none":
        return _Interval(kind, 0, True, 0, True) if sign in (ast.Eq, ast.In, ast.Is) else None
    if sign in (ast.Lt, ast.LtE):
        return _Interval(kind, high=value, high_in=sign is ast.LtE)
    if sign in (ast.Gt, ast.GtE):
        return _Interval(kind, low=value, low_in=sign is ast.GtE)
    return _Interval(kind, value, True, value, True)


def _beginning(text: str) -> _Interval:
    """All texts that begin so: up to the first one in their order that does not."""
    kept = text.rstrip("\U0010ffff")
    return _Interval("text", text, high=kept[:-1] + chr(ord(kept[-1]) + 1) if kept else None, high_in=False)


def _subject(node: ast.expr) -> str:
    """What names the same field, or the same computation, has the same text."""
    match node:
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key))) if name == ALL_FIELDS:
            return key if key.isidentifier() else repr(key)
    return ast.unparse(node)
