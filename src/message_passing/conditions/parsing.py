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
    (r"@\w+", "`fields['@name']`"),
)
"""What other languages write, as regular expressions, and what Python has."""


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

    def refuse(self, node: ast.AST, text: str) -> NoReturn:
        """Raise an error that says what is wrong with a part, and where it stands."""
        line, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        before = f"({self.text}".split("\n")[line - 1].encode()[:offset].decode(errors="replace")
        raise OptionError(self._fault(text, line, len(before) + (line != 1)))
