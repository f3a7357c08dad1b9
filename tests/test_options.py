"""Declaring and checking options."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - options are read from annotations while the program runs
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing import options
from message_passing.errors import OptionError
from message_passing.options import option


class Base:
    """Declares one option."""

    first: str = option(default="a", description="The first.")


class Sample(Base):
    """Declares one of each sort."""

    shared: ClassVar[int] = 5
    _own: int = 6
    count: int = option(default=1, description="How many.", ge=0, le=10)
    ratio: float = option(default=0.5, description="How much.", gt=0)
    mode: Literal["fast", "safe"] = option(default="safe", description="Which way.")
    names: list[str] = option(default_factory=list, description="Which.", max_length=3)
    table: dict[str, int] = option(default_factory=dict, description="How many of each.")
    limit: int | None = option(default=None, description="At most.")
    flag: bool = option(default=False, description="Whether.")
    hook: Callable[[Any], Any] | None = option(default=None, description="Called.")
    either: str | Callable[[Any], Any] = option(default="x", description="Called, or its name.")
    thing: Any = option(default=None, description="An object.", python_only=True)
    plain: int = 3


class Needy:
    """Cannot do without."""

    address: str = option(description="Where.", min_length=1, pattern="^tcp://")


def check(given_options: dict[str, Any], *, cls: type = Sample, from_text: bool = True) -> dict[str, Any]:
    """Check as the command line does."""
    known = options.accepted(cls) if from_text else options.declared(cls)
    return options.check(known, given_options, label="Sample filter", from_text=from_text)


def faults(given_options: dict[str, Any], *, cls: type = Sample, from_text: bool = True) -> list[str]:
    """What is said of options that are wrong."""
    with pytest.raises(OptionError) as caught:
        check(given_options, cls=cls, from_text=from_text)
    return [str(fault) for fault in caught.value.faults]


def test_the_bases_options_come_first() -> None:
    """Then the class's own, in the order of declaration; ClassVars and `_own` are none."""
    assert list(options.declared(Sample)) == [
        "first", "count", "ratio", "mode", "names", "table",
        "limit", "flag", "hook", "either", "thing", "plain",
    ]  # fmt: skip


def test_a_plain_annotated_attribute_is_an_option() -> None:
    """Without a description; its value is the default."""
    plain = options.declared(Sample)["plain"]
    assert (plain.description, plain.make_default(), plain.required) == ("", 3, False)


def test_an_option_without_default_is_required() -> None:
    """And says what type it wants when it is missing."""
    assert options.declared(Needy)["address"].required
    assert faults({}, cls=Needy) == [
        "Sample filter needs the option 'address' (non-empty str matching ^tcp://)"
    ]


def test_a_subclass_may_give_another_default() -> None:
    """The nearest declaration counts."""

    class Louder(Base):
        first: str = option(default="b", description="The first, but louder.")

    assert options.declared(Louder)["first"].make_default() == "b"


def test_defaults_are_filled_in() -> None:
    """Every declared option has a value, and a list is a new one each time."""
    first, second = check({}), check({})
    assert set(first) == set(options.declared(Sample))
    assert first == second
    assert first["names"] is not second["names"]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "5", 5),
        ("count", 5.0, 5),
        ("ratio", "0.25", 0.25),
        ("ratio", 2, 2.0),
        ("flag", "true", True),
        ("flag", 0, False),
        ("flag", "1", True),
        ("limit", None, None),
        ("limit", "7", 7),
        ("mode", "fast", "fast"),
        ("names", ["x"], ["x"]),
        ("table", {"a": "1"}, {"a": 1}),
    ],
)
def test_what_a_shell_can_write_is_read(name: str, text: Any, value: Any) -> None:
    """Text stands for numbers and booleans."""
    read = check({name: text})[name]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("count", -1, "int from 0 to 10"),
        ("count", 11, "int from 0 to 10"),
        ("count", "many", "int from 0 to 10"),
        ("ratio", 0, "float > 0"),
        ("mode", "slow", "'fast' or 'safe'"),
        ("names", "x", "list of str|: put it in brackets"),
        ("count", "10MB", "int from 0 to 10|: it is a number without a unit"),
        ("ratio", "5m", "float > 0|: it is a number without a unit"),
        ("first", True, "str|: put it in quotes"),
        ("names", [1], "list of str"),
        ("table", [], "mapping of str to int"),
        ("first", 5, "str|: put it in quotes"),
        ("first", None, "str"),
        ("flag", "perhaps", "bool"),
        ("limit", "much", "int"),
        ("either", 5, "str or callable"),
        ("either", None, "str or callable"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_allowed(name: str, value: Any, wanted: str) -> None:
    """Which option, what it takes, what was found, and how that is written; placed at the option's name."""
    wanted, _, hint = wanted.partition("|")
    assert faults({name: value}) == [
        f"{name}: Sample filter: option {name!r} must be {wanted}, not {value!r}{hint}"
    ]


def test_a_choice_in_a_list_is_told_with_the_nearest() -> None:
    """As one that stands alone."""

    class Several(Base):
        ways: list[Literal["fast", "safe"]] = option(default_factory=list, description="Which ways.")

    with pytest.raises(OptionError, match=r"not \['safe', 'fsat'\] \(did you mean 'fast'\?\)"):
        check({"ways": ["safe", "fsat"]}, cls=Several)


def test_a_long_wrong_value_is_cut() -> None:
    """The message stays readable."""
    (fault,) = faults({"count": "x" * 500})
    assert len(fault) < 150
    assert fault.endswith("...")


def test_an_unknown_option_is_refused_with_the_nearest_name() -> None:
    """The original ignored it in silence."""
    assert faults({"coutn": 1}) == ["coutn: Sample filter has no option 'coutn' (did you mean 'count'?)"]


def test_an_unknown_option_like_none_is_refused_with_all_names() -> None:
    """Those that can be written in text, when the options come from text."""
    (fault,) = faults({"zzz": 1})
    assert fault.endswith("(it has first, count, ratio, mode, names, table, limit, flag, either, plain)")
    (fault,) = faults({"zzz": 1}, from_text=False)
    assert "thing" in fault


def test_all_faults_are_told_at_once() -> None:
    """Unknown, missing and wrong ones together."""
    assert len(faults({"coutn": 1, "flag": "perhaps", "mode": 5})) == 3


def test_an_object_cannot_come_from_text() -> None:
    """The message says so, rather than take the text for the object."""
    assert faults({"thing": "x"}) == ["thing: Sample filter: option 'thing' can only be given from Python"]
    assert faults({"hook": "x"}) == ["hook: Sample filter: option 'hook' can only be given from Python"]


def test_from_python_objects_pass_and_callables_are_checked() -> None:
    """A string where a function belongs is refused."""
    thing = object()
    given_options = {"thing": thing, "hook": print, "either": print}
    values = check(given_options, from_text=False)
    assert (values["thing"], values["hook"], values["either"]) == (thing, print, print)
    assert check({"hook": None}, from_text=False)["hook"] is None
    assert faults({"hook": "x"}, from_text=False) == [
        "Sample filter: option 'hook' must be callable, not 'x'"
    ]


def test_text_may_name_a_callable_where_the_option_says_so() -> None:
    """`str | Callable` is no option for Python alone."""
    assert not options.declared(Sample)["either"].python_only
    assert check({"either": "+m:f"})["either"] == "+m:f"


def test_a_function_that_returns_text_is_not_taken_for_text() -> None:
    """Only a union with `str` takes text, not a `Callable` that mentions it."""

    class Naming:
        namer: Callable[[Any], str] = option(description="Names it.")

    assert options.declared(Naming)["namer"].python_only


def test_a_constructors_own_arguments_are_accepted_from_text() -> None:
    """A class that writes its own constructor is checked too."""

    class Own:
        def __init__(self, path: str, mode: str = "r") -> None: ...

    assert check({"path": "x"}, cls=Own) == {"path": "x", "mode": "r"}
    assert faults({"mode": "w"}, cls=Own) == ["Sample filter needs the option 'path' (any object)"]


@given(st.integers())
def test_bounds_are_held(number: int) -> None:
    """A number passes exactly when it is within them, as number and as text alike."""
    for written in (number, str(number)):
        if 0 <= number <= 10:
            assert check({"count": written})["count"] == number
        else:
            assert len(faults({"count": written})) == 1


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.dictionaries(st.one_of(st.sampled_from(sorted(options.declared(Sample))), st.text()), json_values))
def test_any_json_is_accepted_or_refused_with_a_sentence_each(given_options: dict[str, Any]) -> None:
    """Nothing that a file can hold raises anything else; each fault has its place, each value its type."""
    try:
        values = check(given_options)
    except OptionError as error:
        for fault in error.faults:
            assert fault.where in given_options
            assert fault.text.startswith("Sample filter")
    else:
        assert given_options.keys() <= values.keys()
        assert isinstance(values["count"], int)
        assert values["mode"] in ("fast", "safe")
        assert all(isinstance(name, str) for name in values["names"])
