"""Comparisons of a message's level with levels, in a condition's syntax tree."""

from __future__ import annotations

import ast

from message_passing.message_fields import LEVELS, NAMES

MIRRORED_SIGNS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
}
"""What a comparison is with its sides exchanged."""

LEVEL_FIELDS = frozenset((*NAMES["level"], "level_number"))
"""Fields that hold a level."""

LISTS = (ast.Tuple, ast.List, ast.Set)
"""What may stand after `in`."""


def field_path(node: ast.AST) -> str | None:
    """The dotted name that a part is; None if it is none."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id == "now":
        return None
    return ".".join([node.id, *reversed(parts)])


def level_comparison(
    left: ast.expr, sign: ast.cmpop, right: ast.expr
) -> tuple[ast.expr, list[float], type[ast.cmpop]] | None:
    """A comparison of a level with levels: its field, their numbers, and how they compare, the field on the left.

    None for any other comparison, also of a level with what is no level.
    """
    mirrored = field_path(left) not in LEVEL_FIELDS
    side, other = (right, left) if mirrored else (left, right)
    kind = MIRRORED_SIGNS.get(type(sign), type(sign)) if mirrored else type(sign)
    if field_path(side) not in LEVEL_FIELDS or kind in (ast.Is, ast.IsNot):
        return None
    listed = kind in (ast.In, ast.NotIn)
    if listed and (mirrored or not isinstance(other, LISTS)):
        return None
    given = [*map(level_of_constant, other.elts if isinstance(other, LISTS) else [other])]
    numbers = [number for number in given if number is not None]
    return (side, numbers, kind) if numbers and len(numbers) == len(given) else None


def level_of_constant(node: ast.AST) -> int | float | None:
    """The number of a level that a constant names, or is."""
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
        return None
    if isinstance(node.value, str):
        return LEVELS.get(node.value.upper())
    return node.value if isinstance(node.value, (int, float)) else None
