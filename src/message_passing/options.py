"""How a component declares its options, and how a user's values are checked.

A declaration is an annotated class attribute:

    class FileOutput(Output):
        filename: str = option(description="Path of the file to write.", min_length=1)
        append: bool = option(default=True, description="False empties the file when it is opened.")

From it come the constructor's keyword arguments, the check of the command line and of config files,
`describe`, and the reference documentation. A plain annotated attribute (`limit: int = 3`) is an
option too, without a description. Names that begin with an underscore are the class's own.

Values are checked by msgspec in its lax mode, so that `"5"` is a number and `0` is false: the original
accepted these, and a shell can write nothing else.
"""

from __future__ import annotations

import inspect
import sys
import types
from dataclasses import dataclass, field
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, dataclass_transform, get_args, get_origin
from weakref import WeakKeyDictionary

import msgspec

from message_passing.environment import expand_home, missing_secret
from message_passing.errors import Fault, OptionError, UserError, abbreviate, did_you_mean, nearest
from message_passing.option_types import LIMITS, members, type_text_of, wants_callable, way_out

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REQUIRED: Any = msgspec.NODEFAULT
"""The default of an option without one: it must be given."""


_declared: WeakKeyDictionary[type, Mapping[str, Option]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class _Field:
    """What `option()` leaves in the class body until the class is read."""

    default: Any
    default_factory: Callable[[], Any] | None
    description: str
    python_only: bool
    flag_value: str | None
    secret: bool
    path: bool
    limits: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Option:
    """One declared option.

    Attributes:
        name: as written in config files and as a keyword argument.
        type: the annotation, with its limits as `msgspec.Meta`.
        description: one or more sentences for the user.
        python_only: takes an object that no file or command line can express.
        default: its value if not given; `REQUIRED` if it must be given.
        flag_value: its value if a command line names it without one; None if it needs a value.
        secret: whether its value may be secret, so that no message shows it.
        path: whether its value is a path, or a list of paths, in which `~` is a home directory.
    """

    name: str
    type: Any
    description: str
    python_only: bool
    default: Any
    _factory: Callable[[], Any] | None = field(default=None, repr=False)
    flag_value: str | None = None
    secret: bool = False
    path: bool = False

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is REQUIRED and self._factory is None

    def make_default(self) -> Any:
        """A fresh default, so that no two components share a list."""
        return self._factory() if self._factory else self.default

    @property
    def limits(self) -> dict[str, Any]:
        """Its bounds, by the names of `option`'s arguments: `{"ge": 0}`."""
        if get_origin(self.type) is not Annotated:
            return {}
        return {
            name: value for name in LIMITS if (value := getattr(get_args(self.type)[1], name)) is not None
        }

    @property
    def type_text(self) -> str:
        """The type in words: `int >= 0`, `'SUB' or 'PULL'`, `list of str`."""
        return type_text_of(self.type)


def option(
    *,
    default: Any = REQUIRED,
    default_factory: Callable[[], Any] | None = None,
    description: str,
    python_only: bool = False,
    flag_value: str | None = None,
    secret: bool = False,
    path: bool = False,
    kw_only: bool = True,  # noqa: ARG001 - type checkers read it, where the option is declared
    **limits: Any,
) -> Any:
    """Declare an option in a component's class body.

    Args:
        default: its value if not given. Without a default the option is required.
        default_factory: makes the default, for lists and dicts.
        description: what it does, its unit, and what special values mean.
        python_only: it takes a function or object that only Python code can give.
        flag_value: its value if a command line names it without one.
        secret: its value may be secret, or `env:NAME`: no message shows it; in text, the variable must be set.
        path: it is a path, or a list of paths: `~` and `~user` at its beginning are home directories.
        kw_only: whether the constructor accepts it by name only.
        limits: `ge`, `gt`, `le`, `lt`, `min_length`, `max_length`, `pattern`, as in `msgspec.Meta`.
    """
    return _Field(default, default_factory, description, python_only, flag_value, secret, path, limits)


@dataclass_transform(eq_default=False, kw_only_default=True, field_specifiers=(option,))
class Declared:
    """A class that declares options, which type checkers then know in derived classes. Every component is one."""


def declared(cls: type) -> Mapping[str, Option]:
    """The options that `cls` and its bases declare, the bases' first."""
    if cls in _declared:
        return _declared[cls]
    found: dict[str, Option] = {}
    for base in reversed(cls.__mro__):
        for name, annotation in inspect.get_annotations(base).items():
            if not name.startswith("_") and "ClassVar" not in str(annotation):
                found[name] = _read(name, _evaluated(annotation, base), getattr(cls, name, REQUIRED))
    return _declared.setdefault(cls, types.MappingProxyType(found))


def accepted(cls: type) -> Mapping[str, Option]:
    """The options that `declared` finds, and the keyword arguments of a constructor that the class defines."""
    found = dict(declared(cls))
    for name, parameter in list(inspect.signature(cls).parameters.items()):
        if name not in found and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            default = REQUIRED if parameter.default is parameter.empty else parameter.default
            found[name] = Option(name, Any, "", python_only=False, default=default)
    return types.MappingProxyType(found)


def check(
    known: Mapping[str, Option],
    given: Mapping[str, Any],
    *,
    label: str,
    from_text: bool = False,
    converted: Mapping[str, tuple[Any, Any]] = types.MappingProxyType({}),
) -> dict[str, Any]:
    """What `checked` gives where nothing is wrong.

    Raises:
        OptionError: with all faults.
    """
    values, faults = checked(known, given, label=label, from_text=from_text, converted=converted)
    if faults:
        raise OptionError(*faults)
    return values


def checked(
    known: Mapping[str, Option],
    given: Mapping[str, Any],
    *,
    label: str,
    from_text: bool = False,
    converted: Mapping[str, tuple[Any, Any]] = types.MappingProxyType({}),
) -> tuple[dict[str, Any], list[Fault]]:
    """Check `given` against the declared options, and fill in the defaults.

    Args:
        known: the options that exist, from `declared` or `accepted`.
        given: option names and values.
        label: the component's name in messages: `ZeroMQ input`.
        from_text: the values come from a file or command line, where `python_only` options are refused.
        converted: by name, a value that was checked before, and the result: the same object is not checked again.

    Returns:
        The value of every declared option, its default if the given one is wrong; and a fault for each option that is
        unknown, missing or wrong, placed at its name if `from_text`.
    """
    faults: list[Fault] = []
    values: dict[str, Any] = {}
    public = [name for name, one in known.items() if not (from_text and one.python_only)]
    meant: set[str] = set()
    for name in given:
        if name not in known:
            meant.add(nearest(name, public))
            hint = did_you_mean(name, public) or _all_of(public)
            faults.append(Fault(f"{label} has no option {name!r}{hint}", name if from_text else ""))
    for name, one in known.items():
        if name not in given:
            if one.required and name not in meant:
                faults.append(Fault(f"{label} needs the option {name!r} ({one.type_text})"))
        elif from_text and one.python_only:
            faults.append(Fault(f"{label}: option {name!r} can only be given from Python", name))
        elif name in converted and converted[name][0] is given[name]:
            values[name] = converted[name][1]
        elif text := _convert_into(values, one, given[name], from_text=from_text):
            faults.append(Fault(f"{label}: option {name!r}{text}", name if from_text else ""))
        if name not in values and not one.required:
            values[name] = one.make_default()
    return values, faults


def _convert_into(values: dict[str, Any], one: Option, value: Any, *, from_text: bool) -> str:
    """Set the option's value; return what is wrong with it, if anything is."""
    try:
        values[one.name] = convert(one, value)
    except UserError as error:
        return f": {error.faults[0].text}"
    except (msgspec.ValidationError, UnicodeError, RecursionError):
        found = f"of type {type(value).__name__}" if one.secret and value else abbreviate(value)
        return f" must be {one.type_text}, not {found}{way_out(one.type, value)}"
    missing = missing_secret(str(values[one.name])) if from_text and one.secret else ""
    return f": {missing}" if missing else ""


def convert(one: Option, value: Any) -> Any:
    """`value` as the option's type.

    Raises:
        msgspec.ValidationError: it is not, and cannot sensibly be read as, that type.
        OpenError: it is a path in the home directory of a user who does not exist.
    """
    if wants_callable(one.type):
        takes = members(one.type)
        if (
            callable(value)
            or (isinstance(value, str) and str in takes)
            or (value is None and NoneType in takes)
        ):
            return value
        raise msgspec.ValidationError("Expected a callable")
    if one.python_only:
        return value
    converted = msgspec.convert(value, one.type, strict=False)
    if one.path:
        return (
            [expand_home(path) for path in converted]
            if isinstance(converted, list)
            else expand_home(converted)
        )
    return converted


def _read(name: str, hint: Any, default: Any) -> Option:
    python_only = wants_callable(hint) and str not in members(hint)  # text can name a callable
    if not isinstance(default, _Field):
        return Option(name, hint, "", python_only, default)
    annotated = Annotated[hint, msgspec.Meta(**default.limits)] if default.limits else hint
    return Option(
        name,
        annotated,
        default.description,
        default.python_only or python_only,
        default.default,
        default.default_factory,
        default.flag_value,
        default.secret,
        default.path,
    )


def _evaluated(annotation: Any, cls: type) -> Any:
    if not isinstance(annotation, str):
        return annotation
    return eval(annotation, vars(sys.modules[cls.__module__]))  # noqa: S307 - the class's own source text


def _all_of(names: list[str]) -> str:
    return f" (it has {', '.join(names)})" if names else " (it has none)"
