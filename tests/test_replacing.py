"""Nothing of ours replaces a method, a stream or an attribute behind anybody's back: observing is explicit."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import message_passing

ROOT = Path(message_passing.__file__).parent

METHODS = frozenset(
    {
        "close",
        "consume",
        "consume_many",
        "deliver",
        "drain",
        "drop",
        "emit",
        "fail",
        "filter",
        "filter_many",
        "flush",
    }
    | {"hand_to", "keeps", "open", "report", "snapshot", "write", "write_many"}
)
"""Those of components through which messages and counters go."""

STREAMS = {"stdin", "stdout", "stderr", "excepthook"}

MAY = {
    "component.py": "hands a new component the values that are checked already",
    "workers/wire.py": "makes an exception of another process anew",
    "logging/hooks.py": "installs `sys.excepthook` because the application has asked for that",
    "logging/salvage.py": "fills a log record of its own",
    "logging/structlog.py": "likewise",
}
"""Modules that do so, and why."""


def is_replaced(target: ast.expr) -> bool:
    """Whether this is a method, a stream of `sys`, or an entry of a `__dict__`."""
    if isinstance(target, ast.Tuple | ast.List):
        return any(map(is_replaced, target.elts))
    if isinstance(target, ast.Subscript):
        return isinstance(target.value, ast.Attribute) and target.value.attr == "__dict__"
    if not isinstance(target, ast.Attribute):
        return False
    of_sys = isinstance(target.value, ast.Name) and target.value.id == "sys"
    return target.attr in METHODS or (of_sys and target.attr in STREAMS)


def replaces(call: ast.Call) -> bool:
    """Whether a call does so: `setattr` with a method's name, or `__dict__.update`."""
    if isinstance(call.func, ast.Name) and call.func.id == "setattr":
        return isinstance(call.args[1], ast.Constant) and call.args[1].value in METHODS
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "update":
        return False
    return isinstance(call.func.value, ast.Attribute) and call.func.value.attr == "__dict__"


def replacements(source: str) -> set[int]:
    """The lines at which something of that kind is replaced."""
    found: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if (
            (isinstance(node, ast.Assign) and any(map(is_replaced, node.targets)))
            or (isinstance(node, ast.AugAssign | ast.AnnAssign) and is_replaced(node.target))
            or (isinstance(node, ast.Call) and replaces(node))
        ):
            found.add(node.lineno)
    return found


def test_nothing_is_replaced() -> None:
    """Watchers are among a component's observers; progress is drawn without another standard error."""
    found = {
        name: lines
        for path in sorted(ROOT.rglob("*.py"))
        if (name := path.relative_to(ROOT).as_posix()) not in MAY
        and (lines := replacements(path.read_text("utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "component.consume_many = see",
        "one.emit, other = see, 1",
        "setattr(component, 'write', see)",
        "component.__dict__['consume'] = see",
        "component.__dict__.update(consume=see)",
        "sys.stderr = quiet",
    ],
)
def test_the_guard_sees_every_way_to_replace(source: str) -> None:
    """What the search above looks for is found."""
    assert replacements(source) == {1}
