"""Change messages by a few lines in the language of conditions."""

from __future__ import annotations

import ast
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from message_passing.conditions import Condition
from message_passing.conditions.python_warnings import python_warnings
from message_passing.dotted import with_value, without
from message_passing.errors import Fault, OptionError
from message_passing.flow import Filter
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Statement = tuple[str, str, Condition | None, "Sequence[Statement]", "Sequence[Statement]"]

MOST_LINES, DEEPEST_BLOCK = 200, 10
"""Statements of a script, and how deep its `if` may be nested."""

MOST_SCRIPT = 20_000
"""Characters of a script."""


class ScriptFilter(Filter):
    """Runs a few lines for each message, which set and remove fields.

    | a line | what it does |
    |---|---|
    | `seconds = took / 1000` | sets a field to the value of an expression in the language of \
[conditions](../guide-filters.md#conditions) |
    | `user.name = text(id)` | sets the field `name` of the dict in the field `user` |
    | `fields["@timestamp"] = time` | sets a field of any name |
    | `del password` | removes a field |
    | `if slow:` ... `elif status >= 500:` ... `else:` | runs the indented lines below, if that holds |

    Each line sees what those before it have set. What cannot be calculated is null, and no message makes a line fail.
    There is nothing else: no loops, no functions of one's own, no imports. A message that is not an object passes
    unchanged.
    """

    name = "Script"
    example = MappingProxyType(
        {"script": 'seconds = took / 1000\nif seconds > 1.5:\n    level = "WARNING"\ndel took'}
    )

    script: str = option(description="The lines.", min_length=1)

    def on_init(self) -> None:
        """Compile it.

        Raises:
            OptionError: it is malformed, or has something that no script may have; with line and column.
        """
        super().on_init()
        try:
            self._statements = _ScriptText(self.script).statements
        except OptionError as error:
            raise OptionError(*(one.under("script") for one in error.faults)) from error

    def filter(self, message: Any) -> Any:
        """Return the message after the script."""
        return _run(self._statements, message.copy()) if isinstance(message, dict) else message


def _run(statements: Sequence[Statement], message: dict[str, Any]) -> dict[str, Any]:
    for kind, name, condition, body, otherwise in statements:
        if condition is None:
            message = without(message, name)
        elif kind == "if":
            message = _run(body if condition.holds(message) else otherwise, message)
        elif kind == "set":
            message[name] = condition.value(message)
        else:
            message = with_value(message, name, condition.value(message))
    return message


class _ScriptText:
    """A script as statements."""

    def __init__(self, text: str) -> None:
        text = text.replace("\r\n", "\n").replace("\r", "\n")  # as Python reads it
        self._lines = text.split("\n")
        self._count = 0
        if len(text) > MOST_SCRIPT:
            raise OptionError(Fault(f"it has {len(text):,} characters; {MOST_SCRIPT:,} are allowed"))
        try:
            with python_warnings("ignore"):
                body = ast.parse(text).body
        except SyntaxError as error:
            mark = (error.lineno or 1, error.offset or 1)
            raise OptionError(Fault((error.msg or "it is malformed").partition(". ")[0], "", mark)) from error
        except (RecursionError, MemoryError, ValueError) as error:  # too deep; a null character
            raise OptionError(Fault(f"Python cannot parse it: {error}")) from error
        if not body:
            raise OptionError(Fault("it is empty"))
        self._text = text
        self.statements = [*self._translated(body, 0)]

    def _translated(self, body: Sequence[ast.stmt], depth: int) -> Iterator[Statement]:
        for node in body:
            self._count += 1
            if self._count > MOST_LINES or depth > DEEPEST_BLOCK:
                text = f"a script has at most {MOST_LINES} lines, and `if` at most {DEEPEST_BLOCK} within another"
                self._refuse(node, text)
            match node:
                case ast.Assign(targets=[target], value=value):
                    name, plain = self._target(target)
                    yield (
                        "set" if plain else "set within",
                        name,
                        self._expression(value, truth=False),
                        (),
                        (),
                    )
                case ast.Delete(targets=targets):
                    for target in targets:
                        yield ("del", self._target(target)[0], None, (), ())
                case ast.If(test=test, body=then, orelse=otherwise):
                    condition = self._expression(test, truth=True)
                    is_elif = len(otherwise) == 1 and isinstance(otherwise[0], ast.If)
                    below = self._translated(then, depth + 1)
                    else_ = self._translated(otherwise, depth if is_elif else depth + 1)
                    yield ("if", "", condition, [*below], [*else_])
                case ast.Pass():
                    pass
                case _:
                    self._refuse(
                        node, "a line is `field = ...`, `del field`, or `if ...:` with lines below it"
                    )

    def _target(self, node: ast.expr) -> tuple[str, bool]:
        """The name of a field that is set or removed, and whether it is one of the message itself."""
        match node:
            case ast.Name(id=name) if name not in ("now", "fields"):
                return name, True
            case ast.Subscript(value=ast.Name(id="fields"), slice=ast.Constant(value=str(name))) if name:
                return name, "." not in name
        parts: list[str] = []
        inner = node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if not parts or not isinstance(inner, ast.Name):
            self._refuse(node, 'what is set is a field: `name`, `user.name` or `fields["any name"]`')
        return ".".join([inner.id, *reversed(parts)]), False

    def _expression(self, node: ast.expr, *, truth: bool) -> Condition:
        text = ast.get_source_segment(self._text, node) or ""
        try:
            return Condition(text, truth=truth)
        except OptionError as error:
            raise OptionError(*(self._moved(one, node) for one in error.faults)) from error

    def _moved(self, fault: Fault, node: ast.expr) -> Fault:
        """A fault of an expression, where it stands in the script."""
        line, column = fault.mark or (0, 1)
        line = max(line, 1)
        if line == 1:
            column += self._column(node)
        return Fault(fault.text, fault.where, (node.lineno + line - 1, column))

    def _column(self, node: ast.AST) -> int:
        line, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        return len(self._lines[line - 1].encode()[:offset].decode(errors="replace"))

    def _refuse(self, node: ast.AST, text: str) -> NoReturn:
        raise OptionError(Fault(text, "", (getattr(node, "lineno", 1), self._column(node) + 1)))
