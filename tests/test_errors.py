"""The error tree, and how a fault says where it is."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Iterator  # noqa: TC003
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from message_passing import errors
from message_passing.errors import (
    _PACKAGES,
    EXTRAS,
    DecodingError,
    Fault,
    MessageError,
    MessagePassingError,
    OptionError,
    OutputClosedError,
    PackageError,
    UserError,
    did_you_mean,
    needs_extra,
)


def test_the_docstring_draws_the_whole_tree() -> None:
    """The drawing names every error class, and every class is in it under its base."""
    drawn = [line for line in (errors.__doc__ or "").splitlines() if "Error" in line]
    depth_of = {line.split("── ")[-1].split()[0]: line.index(line.lstrip("│├└─ ")[0]) for line in drawn}
    classes = {
        name: cls
        for name, cls in vars(errors).items()
        if isinstance(cls, type) and cls.__module__ == errors.__name__
    }
    found = {name for name, cls in classes.items() if issubclass(cls, Exception)}
    assert set(depth_of) == found
    for name in found - {"MessagePassingError"}:
        assert depth_of[name] == depth_of[classes[name].__bases__[0].__name__] + 4


def test_a_fault_says_where_it_is() -> None:
    """The place comes first; a fault without one is the sentence alone."""
    assert str(Fault("too big", "input.options")) == "input.options: too big"
    assert str(Fault("too big")) == "too big"


def test_a_fault_seen_from_outside_has_a_longer_place() -> None:
    """`under` puts a place before the place that is there."""
    assert str(Fault("x", "b").under("a")) == "a.b: x"
    assert str(Fault("x").under("a")) == "a: x"


def test_a_user_error_tells_all_its_faults() -> None:
    """One line for each fault, and `under` reaches all of them and keeps the class."""
    error = OptionError(Fault("one", "x"), "two").under("config.toml")
    assert type(error) is OptionError
    assert str(error).splitlines() == ["config.toml.x: one", "config.toml: two"]


@pytest.mark.parametrize(
    ("cls", "base"),
    [
        (OptionError, UserError),
        (DecodingError, MessageError),
        (OutputClosedError, MessagePassingError),
        (UserError, MessagePassingError),
    ],
)
def test_errors_can_be_caught_by_kind(cls: type, base: type) -> None:
    """A user's mistake, a bad message and a reader that has gone are different kinds."""
    assert issubclass(cls, base)
    assert not (issubclass(cls, UserError) and issubclass(cls, MessageError))


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which packages can be put; what the extras brought is forgotten, and found there only."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "meta_path", [PathFinder])
    outermost = {module.partition(".")[0] for modules in EXTRAS.values() for module in modules}
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in outermost}
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in outermost]:
        del sys.modules[name]
    sys.modules.update(kept)


@pytest.mark.parametrize(
    ("extra", "module"), [(extra, one) for extra, found in EXTRAS.items() for one in found]
)
def test_a_missing_optional_package_says_which_extra_to_install(
    packages: Path, extra: str, module: str
) -> None:
    """The package's and the extra's names are both told."""
    (packages / "backports").mkdir()  # it may be there without what is wanted of it
    with pytest.raises(PackageError) as caught, needs_extra(extra):
        importlib.import_module(module)
    package = _PACKAGES.get(module, module.replace("_", "-"))
    assert str(caught.value) == (
        f"this needs the package {package!r}: install it with `pip install 'message-passing[{extra}]'`"
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("from json import no_such_name", "ImportError: cannot import name 'no_such_name' from 'json'"),
        (
            "raise ImportError('libssl.so.1.1: cannot open shared object file')",
            "ImportError: libssl.so.1.1: ",
        ),
        ("raise ImportError", "ImportError: "),
        ("raise OSError('no such device')", "OSError: no such device"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import cryptography.absent", "ModuleNotFoundError: No module named 'cryptography.absent'"),
    ],
)
def test_a_broken_package_says_why(packages: Path, source: str, reason: str) -> None:
    """It is there, so that installing what is missing helps nobody: its own fault is told, and whose it is."""
    (packages / "cryptography").mkdir()
    (packages / "cryptography" / "__init__.py").write_text(source)
    with pytest.raises(PackageError) as caught, needs_extra("crypt"):
        importlib.import_module("cryptography")
    assert str(caught.value).startswith(
        "the package 'cryptography' is broken, or too old: install it anew with "
        f"`pip install --force-reinstall 'message-passing[crypt]'` ({reason}"
    )


def test_the_extras_are_those_of_the_project() -> None:
    """Each that is named in a message can be installed."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"]) - {"all", "test", "dev"}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sokcet_bind", " (did you mean 'socket_bind'?)"),
        ("ZEROMQ", " (did you mean 'ZeroMQ'?)"),
        ("something quite different", ""),
    ],
)
def test_did_you_mean_names_the_nearest(name: str, hint: str) -> None:
    """The nearest name is spelt as documented, whatever the case, and a far one is not offered."""
    assert did_you_mean(name, ["socket_bind", "connect", "ZeroMQ"]) == hint
