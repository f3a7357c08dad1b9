"""From `+package.module:name` to the object."""

from __future__ import annotations

import collections
import importlib
import sys
from collections.abc import Iterator  # noqa: TC003
from pathlib import Path  # noqa: TC003

import pytest

from message_passing.errors import ComponentError, PackageError
from message_passing.paths import load, needs_python_modules


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize("path", ["collections:OrderedDict", "collections.OrderedDict"])
def test_a_colon_or_a_dot_leads_to_the_name(path: str) -> None:
    """Both spellings are understood."""
    assert load(path, "Class") is collections.OrderedDict


def test_a_name_within_a_class_is_found() -> None:
    """After the colon there may be dots."""
    assert load("collections:OrderedDict.fromkeys", "function") == collections.OrderedDict.fromkeys


def test_the_working_directory_is_searched(here: Path) -> None:
    """A script's neighbours need no installation."""
    (here / "neighbour_of_a_test.py").write_text("def greet(): return 'hello'\n")
    greet = load("neighbour_of_a_test:greet", "function")
    assert callable(greet)
    assert greet() == "hello"


def test_the_working_directory_comes_last(here: Path) -> None:
    """A file that is there by accident does not replace an installed package."""
    (here / "msgspec.py").write_text("raise RuntimeError('the wrong one')\n")
    before = list(sys.path)
    (here / "colorsys.py").write_text("raise RuntimeError('the wrong one')\n")
    sys.modules.pop("colorsys", None)
    assert callable(load("colorsys:rgb_to_hsv", "function"))
    assert sys.path == before


def test_the_working_directory_is_for_the_named_module_and_its_neighbours_alone(here: Path) -> None:
    """What a user's module imports from beside it is found; who else imports a name that lies there is not served."""
    (here / "named_for_a_test.py").write_text(
        "import beside_for_a_test\nfrom beside_for_a_test import value\n"
    )
    (here / "beside_for_a_test.py").write_text(
        "def value():\n    import late_for_a_test as late\n    return late\n"
    )
    (here / "late_for_a_test.py").write_text("")
    (here / "decoy_for_a_test.py").write_text("raise RuntimeError('the wrong one')\n")
    value = load("named_for_a_test:value", "function")
    assert callable(value)
    assert value().__name__ == "late_for_a_test"
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("decoy_for_a_test")


def test_a_package_without_an_init_file_is_found(here: Path) -> None:
    """A namespace package is one too (docs.python.org/3/glossary.html#term-namespace-package)."""
    (here / "space_for_a_test").mkdir()
    (here / "space_for_a_test" / "inner.py").write_text("from space_for_a_test.other import greet\n")
    (here / "space_for_a_test" / "other.py").write_text("def greet(): return 'hello'\n")
    greet = load("space_for_a_test.inner:greet", "function")
    assert callable(greet)
    assert greet() == "hello"


@pytest.mark.parametrize("path", ["nothing", ":name", "module:", "a:b:c", "", "."])
def test_what_is_no_path_is_refused(path: str) -> None:
    """The message shows the form."""
    with pytest.raises(ComponentError, match=r"is not a class's path: write \+package\.module:Class"):
        load(path, "Class")


def test_a_missing_module_is_told_with_the_place_that_was_searched(here: Path) -> None:
    """The working directory is often the mistake."""
    with pytest.raises(ComponentError) as caught:
        load("no_such_module.inner:Name", "Class")
    text = str(caught.value)
    assert (
        text == f"'+no_such_module.inner:Name': there is no module 'no_such_module' on the path or in {here}"
    )


def test_a_missing_name_is_told_with_the_nearest() -> None:
    """A misspelt class is the usual case."""
    with pytest.raises(ComponentError, match=r"has no 'OrderdDict' \(did you mean 'OrderedDict'\?\)"):
        load("collections:OrderdDict", "Class")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import another_missing_one", "it imports 'another_missing_one', which is missing"),
        ("def broken(:", "SyntaxError: "),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_module_that_cannot_be_imported_says_why(here: Path, source: str, reason: str) -> None:
    """Its own fault is not taken for a missing module."""
    (here / "broken_for_a_test.py").write_text(source)
    with pytest.raises(ComponentError) as caught:
        load("broken_for_a_test:Name", "Class")
    assert str(caught.value).startswith(f"'+broken_for_a_test:Name' cannot be imported: {reason}")


@pytest.mark.parametrize(
    ("missing", "named"), [("bz2", "bz2"), ("_sqlite3", "sqlite3"), ("xml.sax", "xml.sax")]
)
def test_a_module_that_python_was_built_without_is_named(
    missing: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No package brings it."""
    monkeypatch.setitem(sys.modules, missing, None)  # so that it cannot be imported
    with pytest.raises(PackageError) as caught, needs_python_modules():
        importlib.import_module(missing)
    assert str(caught.value) == (
        f"this needs Python's module '{named}', which is missing here: build or install a Python that has it"
    )


def test_a_module_that_is_not_pythons_is_no_matter_of_its_build() -> None:
    """It is a fault of ours, and keeps its traceback."""
    with pytest.raises(ModuleNotFoundError), needs_python_modules():
        importlib.import_module("message_passing.no_such_module")
