"""Every error this package raises on purpose.

MessagePassingError
├── UserError               a user's error: reported in full, exit status 2, no traceback
│   ├── OptionError         an option that is unknown, missing, or has a wrong value
│   ├── ComponentError      a component that does not exist or cannot be imported, or something that is no component
│   │   └── PackageError    a package that it needs is not installed, or is broken
│   ├── ChainError          names that do not resolve, are repeated, or form a loop
│   ├── ConfigError         a config file or option text that does not parse
│   └── OpenError           an address, file or user that the system refuses
├── MessageError            one message that could not be handled; goes to the error chain
│   ├── DecodingError
│   └── EncodingError
├── LossError               messages that were lost: reported while it happens, and the chain continues
├── PeerError               a peer that was refused, or refuses us: reported, and the chain continues
└── OutputClosedError       the reader of our output has gone (SIGPIPE): the chain ends quietly
"""

from __future__ import annotations

import difflib
import reprlib
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from message_passing.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class SourceLocation(str):
    """Where in a file something was written: as messages show it, and as the keys that lead there.

    Attributes:
        file: the file's name.
        keys: names, and numbers in lists, from the outermost.
    """

    __slots__ = ("file", "keys")

    file: str
    keys: tuple[str | int, ...]

    def __new__(cls, said: str, file: str = "", keys: tuple[str | int, ...] = ()) -> Self:
        """A place in `file`, shown in messages as `said`."""
        place = super().__new__(cls, said)
        place.file, place.keys = file, keys
        return place


def child_location(place: str, said: str, *keys: str | int) -> str:
    """The place that `keys` lead to from `place`, if that is in a file; shown in messages as `said`."""
    return (
        SourceLocation(said, place.file, (*place.keys, *keys)) if isinstance(place, SourceLocation) else said
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with what a user wrote.

    Attributes:
        text: the sentence.
        where: where it was written.
        mark: line and column within the text at `where`, if that does not parse. Line 0: the text has a single line.
    """

    text: str
    where: str = ""
    mark: tuple[int, int] | None = None

    def __str__(self) -> str:
        """One line, safe to print whatever it quotes."""
        return one_line(f"{self.where}: {self.marked}" if self.where else self.marked)

    @property
    def marked(self) -> str:
        """The sentence, and the line and column."""
        if not self.mark:
            return self.text
        line, column = self.mark
        return f"{self.text} at line {line}, column {column}" if line else f"{self.text} at column {column}"

    def under(self, place: str, separator: str = ".") -> Fault:
        """The same fault as seen from outside, with `place` prepended to its place."""
        if not self.where:
            return Fault(self.text, place, self.mark)
        keys = self.where.keys if isinstance(self.where, SourceLocation) else (str(self.where),)
        return Fault(self.text, child_location(place, f"{place}{separator}{self.where}", *keys), self.mark)


class MessagePassingError(Exception):
    """The base of all errors that this package raises on purpose."""


class UserError(MessagePassingError):
    """One or more configuration errors: all that were found, not only the first."""

    def __init__(self, *faults: Fault | str) -> None:
        self.faults: tuple[Fault, ...] = tuple(Fault(f) if isinstance(f, str) else f for f in faults)
        super().__init__("\n".join(map(str, self.faults)))

    def under(self, place: str, separator: str = ".") -> Self:
        """The same error, with `place` prepended to the place of every fault."""
        return type(self)(*(fault.under(place, separator) for fault in self.faults))


class OptionError(UserError):
    """An option is unknown, missing, out of range, or contradicts another."""


class ComponentError(UserError):
    """A component's name leads nowhere, or to something that is no component of that kind."""


class PackageError(ComponentError):
    """A package that is needed is not installed, or cannot be imported."""


class ChainError(UserError):
    """The names in a chain do not fit together."""


class ConfigError(UserError):
    """A config file or an option's text cannot be read or parsed."""


class OpenError(UserError):
    """The system refused an address, a file, or a change of user."""


class MessageError(MessagePassingError):
    """One message could not be handled. The chain continues with the next.

    Attributes:
        original: the name of the Perl original's class for this error, if it has one: the `class` of its reports.
    """

    original: ClassVar[str] = ""


class DecodingError(MessageError):
    """A message's bytes are not what the decoder expects."""

    original = "Message::Passing::Exception::Decoding"


class EncodingError(MessageError):
    """A message contains something that the encoder cannot write."""

    original = "Message::Passing::Exception::Encoding"


class PeerError(MessagePassingError):
    """A peer was refused, refuses us, accepts nothing, or is not understood; the chain continues without it."""


class LossError(MessagePassingError):
    """Messages were lost that no other report tells of: a queue was full, or they did not arrive."""


class OutputClosedError(MessagePassingError):
    """The reader of our output has gone, so there is nothing left to do: not a failure."""


@contextmanager
def collecting(faults: list[Fault], place: str = "") -> Iterator[None]:
    """Add the faults of a `UserError` raised within the block to `faults`, under `place`, and continue."""
    try:
        yield
    except UserError as error:
        faults += error.under(place, ": ").faults if place else error.faults


@contextmanager
def naming_component(component: Any, method: str) -> Iterator[None]:
    """Wrap a call of a component's method: if a class of the user's own raises anything, the error names it.

    Args:
        component: whose method is called.
        method: its name.

    Raises:
        ComponentError: it raised no error of this package's.
    """
    try:
        yield
    except MessagePassingError:
        raise
    except Exception as error:
        cls = type(component)
        if cls.__module__.startswith("message_passing."):
            raise  # a fault of ours: whoever reports it needs the traceback
        file = getattr(sys.modules.get(cls.__module__), "__file__", None)
        frames = traceback.extract_tb(error.__traceback__)
        frame = next((one for one in reversed(frames) if one.filename == file), frames[-1])
        whose = f"{method}() of {component.chain_name!r} ({cls.__module__}.{cls.__qualname__})"
        text = f"{whose} raised {type(error).__name__}: {error} at {frame.filename}:{frame.lineno}"
        raise ComponentError(text) from error


EXTRAS = {
    "console": ("prometheus_client", "rich", "starlette", "uvicorn"),
    "crypt": ("cryptography",),
    "geoip": ("maxminddb",),
    "io-priority": ("psutil",),
    "jetstream": ("nats", "nkeys"),
    "kafka": ("confluent_kafka",),
    "re2": ("re2",),
    "redis": ("redis",),
    "structlog": ("structlog",),
    "useragent": ("ua_parser", "ua_parser_rs"),
    "yaml": ("yaml",),
    "zstd": ("backports.zstd",),
}
"""The modules that each extra brings."""

_PACKAGES = {"nats": "nats-py", "re2": "google-re2", "yaml": "PyYAML"}
"""The package that provides a module, where its name differs by more than hyphens."""


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Wrap the import of an optional dependency: if it is not installed, the error names the extra to install.

    If it is installed and cannot be imported, the error says why: a part is missing, it is too old, or built for
    another Python.

    Args:
        extra: a key of `EXTRAS`.

    Raises:
        PackageError: the import failed.
    """
    try:
        yield
    except Exception as error:
        modules = EXTRAS[extra]
        if isinstance(error, ModuleNotFoundError) and (missing := _module_of(error.name, modules)):
            package = _PACKAGES.get(missing, missing.replace("_", "-"))
            hint = f"install it with `pip install 'message-passing[{extra}]'`"
            raise PackageError(f"this needs the package {package!r}: {hint}") from error
        package = _failing(error, modules)
        hint = f"install it anew with `pip install --force-reinstall 'message-passing[{extra}]'`"
        reason = f"{type(error).__name__}: {error}"
        raise PackageError(f"the package {package!r} is broken, or too old: {hint} ({reason})") from error


def _module_of(name: str | None, modules: Iterable[str]) -> str:
    """Which module is missing when `name` was not found: itself, its package, or one that is blocked.

    None in `sys.modules` blocks a module (docs.python.org/3/reference/import.html#the-module-cache).
    """
    parts = (name or "").split(".")
    outer = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    barred = any(one in sys.modules and sys.modules[one] is None for one in outer)
    for module in modules:
        if name and (f"{module}.".startswith(f"{name}.") or (barred and module in outer)):
            return module
    return ""


def _failing(error: Exception, modules: tuple[str, ...]) -> str:
    """The package whose import raised it, judged by the code that ran or by the error's own text."""
    names = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    names.append(getattr(error, "name", None) or "")
    found = (one for name in names for one in modules if f"{name}.".startswith(f"{one}."))
    module = next(found, " or ".join(modules))
    return _PACKAGES.get(module, module.replace("_", "-"))


_repr = reprlib.Repr()
_repr.maxlevel, _repr.maxstring, _repr.maxother = 3, 200, 200


def abbreviate(value: object) -> str:
    """A wrong value as a message shows it: its beginning, however large or deeply nested it is.

    With YAML's aliases, a few hundred bytes become a value whose text has millions of characters.
    """
    text = _repr.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(name: str, known: Iterable[str]) -> str:
    """The one of `known` that a misspelt name is nearest to; empty when none is near."""
    by_fold = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(name.casefold(), list(by_fold), n=1, cutoff=0.6)
    return by_fold[near[0]] if near else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the nearest of `known`, or an empty string when none is near."""
    near = nearest(name, known)
    return f" (did you mean {near!r}?)" if near else ""
