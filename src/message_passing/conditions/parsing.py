"""The text of a condition as Python's syntax tree, and where in it a mistake is."""

from __future__ import annotations

import ast
import re
from typing import NoReturn

from message_passing.conditions.python_warnings import python_warnings
from message_passing.errors import Fault, OptionError

MOST_CHARACTERS = 10_000
"""Characters of a condition."""

_FROM_OTHER_LANGUAGES = (
    (r"&&|\bAND\b", "`and`"),
    (r"\|\||\bOR\b", "`or`"),
    (r"!(?!=)|\bNOT\b", "`not`"),
    (r"=>", "`>=`"),
    (r"=<", "`<=`"),
    (r"<>", "`!=`"),
    (r"=~", "`matches(field, ...)`"),
    (r"===", "`==`"),
    (r"(?<![=!<>])=(?!=)", "`==`"),
    (r"\bcontains\b", "`'text' in field`"),
    (r"\b(?:like|LIKE|ilike|matches|regex)\b(?! *\()", "`matches(field, 'regex')`"),
    (r"\b(?:startswith|startsWith|starts_with)\b(?! *\()", "`field.startswith('text')`"),
    (r"\b(?:endswith|endsWith|ends_with)\b(?! *\()", "`field.endswith('text')`"),
    (r"\bbetween\b|\bBETWEEN\b", "`1 <= field <= 9`"),
    (r"\bIN\b", "`in`"),
    (r"\bIS\b", "`is`"),
    (r"@\w+", "`fields['@name']`"),
)
"""What other languages write, as regular expressions, and what Python has."""


FOREIGN_CALLS = {
    **dict.fromkeys(("exists", "has", "isset", "is_set", "defined", "present"), "FIELD is not None"),
    **dict.fromkeys(("contains", "includes"), '"text" in FIELD'),
    **dict.fromkeys(("int", "float", "to_int", "to_float", "to_number", "double"), "number(FIELD)"),
    **dict.fromkeys(("str", "string", "to_string"), "text(FIELD)"),
    **dict.fromkeys(("match", "search", "regex", "like", "match_regex"), 'matches(FIELD, "regex")'),
    **dict.fromkeys(("size", "length", "strlen"), "len(FIELD)"),
    **dict.fromkeys(("downcase", "lowercase", "to_lower", "tolower"), "FIELD.lower()"),
    **dict.fromkeys(("upcase", "uppercase", "to_upper", "toupper"), "FIELD.upper()"),
    **dict.fromkeys(("starts_with", "startsWith"), 'FIELD.startswith("text")'),
    **dict.fromkeys(("ends_with", "endsWith"), 'FIELD.endswith("text")'),
}
"""What other languages call, and what to write instead."""


class ConditionText:
    """The text of a condition.

    Attributes:
        text: as it was written.
    """

    def __init__(self, text: str) -> None:
        """Keep it."""
        self.text = text

    def parsed(self) -> ast.expr:
        """Its syntax tree.

        Raises:
            OptionError: it is too long, empty, or no expression.
        """
        text = self.text
        if len(text) > MOST_CHARACTERS:
            raise OptionError(Fault(f"it has {len(text):,} characters; {MOST_CHARACTERS:,} are allowed"))
        if not text.strip():
            raise OptionError(Fault("it is empty"))
        try:
            # In parentheses it may have several lines.
            with python_warnings("ignore"):
                return ast.parse(f"({text}\n)", mode="eval").body
        except SyntaxError as error:
            line, column = error.lineno or 1, (error.offset or 1) - (error.lineno == 1)
            raise OptionError(self._syntax_fault(error, line, max(column, 1))) from error
        except (RecursionError, MemoryError, ValueError) as error:  # too deep; a null character
            raise OptionError(Fault(f"Python cannot parse it: {error}")) from error

    def _syntax_fault(self, error: SyntaxError, line: int, column: int) -> Fault:
        lines = self.text.split("\n")
        begin = max(column - 4, 0)
        near = lines[line - 1] if line <= len(lines) else ""
        for foreign, ours in _FROM_OTHER_LANGUAGES:
            if found := re.compile(foreign).search(near, begin):
                text = f"Python has {ours} instead of {found[0]!r}"
                return self._fault(text, line, found.start() + 1)
        text = (error.msg or "it is malformed").partition(". ")[0].partition(" (")[0]
        return self._fault(text, line, column)

    def _fault(self, text: str, line: int, column: int) -> Fault:
        return Fault(text, "", (line if "\n" in self.text else 0, max(column, 1)))

    def between(self, after: ast.expr, node: ast.expr) -> str:
        """What stands between a part and the one that follows it."""
        lines = f"({self.text}".split("\n")
        begin, end = (after.end_lineno or 1, after.end_col_offset or 0), (node.lineno, node.col_offset)
        between = [line.encode() for line in lines[begin[0] - 1 : end[0]]]
        between[-1] = between[-1][: end[1]]
        between[0] = between[0][begin[1] :]
        return b"\n".join(between).decode()

    def refuse(self, node: ast.AST, text: str) -> NoReturn:
        """Raise an error that says what is wrong with a part, and where it stands."""
        line, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        before = f"({self.text}".split("\n")[line - 1].encode()[:offset].decode(errors="replace")
        raise OptionError(self._fault(text, line, len(before) + (line != 1)))


_MOST_PARTS = 20
"""The most parts of a name that was meant to have hyphens, or slashes."""


def names_only(node: ast.AST) -> bool:
    """Whether it is a difference or quotient of nothing but names, such as `x-request-id` or `kubernetes.io/name`."""
    for _ in range(_MOST_PARTS):
        if isinstance(node, (ast.Name, ast.Attribute)):
            return True
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, (ast.Sub, ast.Div)):
            return False
        if not isinstance(node.right, (ast.Name, ast.Attribute)):
            return False
        node = node.left
    return False


def last_name(node: ast.AST) -> ast.expr | None:
    """The name that an expression ends with, if it does."""
    while isinstance(node, (ast.BinOp, ast.UnaryOp)):
        node = node.right if isinstance(node, ast.BinOp) else node.operand
    return node if isinstance(node, (ast.Name, ast.Attribute)) else None


def first_name(node: ast.AST) -> ast.expr | None:
    """The name that an expression begins with, if it does: of `host.lower()`, it is `host`."""
    while isinstance(node, ast.BinOp) or (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ):
        node = node.left if isinstance(node, ast.BinOp) else node.func.value  # type: ignore[attr-defined]
    return node if isinstance(node, (ast.Name, ast.Attribute)) else None
