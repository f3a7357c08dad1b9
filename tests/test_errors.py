"""The error tree, and how a fault says where it is."""

from __future__ import annotations

import pytest

from message_passing import errors
from message_passing.errors import (
    ComponentError,
    DecodingError,
    Fault,
    MessageError,
    MessagePassingError,
    OptionError,
    OutputClosedError,
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


def test_a_missing_optional_package_says_which_extra_to_install() -> None:
    """The package's and the extra's names are both told."""
    with (
        pytest.raises(ComponentError, match=r"'no_such_package'.*pip install 'message-passing\[crypt\]'"),
        needs_extra("crypt"),
    ):
        import no_such_package  # type: ignore[import-not-found]  # noqa: F401, PLC0415


def test_needs_extra_leaves_other_errors_alone() -> None:
    """Only a failed import is about an extra."""
    with pytest.raises(ZeroDivisionError), needs_extra("crypt"):
        1 / 0  # noqa: B018


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
