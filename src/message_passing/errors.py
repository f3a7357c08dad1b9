"""Every error this package raises on purpose.

MessagePassingError
├── UserError               somebody's mistake: told in full, exit status 2, no traceback
│   ├── OptionError         an option that is unknown, missing, or has a wrong value
│   ├── ComponentError      a component that does not exist, cannot be imported or is not one
│   │   └── PackageError    a package that it needs is not installed, or is broken
│   ├── ChainError          names that do not resolve, repeat, or go round in a loop
│   ├── ConfigError         a config file or option text that does not parse
│   └── OpenError           an address, file or user that the system refuses
├── MessageError            one message that could not be handled; goes to the error chain
│   ├── DecodingError
│   └── EncodingError
├── LossError               messages that were lost: told while it happens, and then life goes on
├── PeerError               a peer that was refused, or refuses us: told, and then life goes on
└── OutputClosedError       whoever read our output has gone (SIGPIPE): the chain ends quietly
"""

from __future__ import annotations

import difflib
import reprlib
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from message_passing.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class SourceLocation(str):
    """Where in a file something was written: as messages say it, and the keys that lead there.

    Attributes:
        file: the file's name.
        keys: names, and numbers in lists, from the outermost.
    """

    __slots__ = ("file", "keys")

    file: str
    keys: tuple[str | int, ...]

    def __new__(cls, said: str, file: str = "", keys: tuple[str | int, ...] = ()) -> Self:
        """A place in `file`, which messages call `said`."""
        place = super().__new__(cls, said)
        place.file, place.keys = file, keys
        return place


def child_location(place: str, said: str, *keys: str | int) -> str:
    """What is found further in by `keys`, if `place` is in a file; messages call it `said`."""
    return (
        SourceLocation(said, place.file, (*place.keys, *keys)) if isinstance(place, SourceLocation) else said
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with what a user wrote.

    Attributes:
        text: the sentence.
        where: where it was written.
        mark: line and column in the text that `where` names, where that does not parse. Line 0: it has one only.
    """

    text: str
    where: str = ""
    mark: tuple[int, int] | None = None

    def __str__(self) -> str:
        """One line, safe to print whatever was quoted in it."""
        return one_line(f"{self.where}: {self.marked}" if self.where else self.marked)

    @property
    def marked(self) -> str:
        """The sentence, and the line and column."""
        if not self.mark:
            return self.text
        line, column = self.mark
        return f"{self.text} at line {line}, column {column}" if line else f"{self.text} at column {column}"

    def under(self, place: str, separator: str = ".") -> Fault:
        """The same fault, seen from outside: `place` is put before its place."""
        if not self.where:
            return Fault(self.text, place, self.mark)
        keys = self.where.keys if isinstance(self.where, SourceLocation) else (str(self.where),)
        return Fault(self.text, child_location(place, f"{place}{separator}{self.where}", *keys), self.mark)


class MessagePassingError(Exception):
    """The root of the tree."""


class UserError(MessagePassingError):
    """One or more faults of whoever configured us; all that were found, not the first alone."""

    def __init__(self, *faults: Fault | str) -> None:
        self.faults: tuple[Fault, ...] = tuple(Fault(f) if isinstance(f, str) else f for f in faults)
        super().__init__("\n".join(map(str, self.faults)))

    def under(self, place: str, separator: str = ".") -> Self:
        """The same error with `place` put before the place of every fault."""
        return type(self)(*(fault.under(place, separator) for fault in self.faults))


class OptionError(UserError):
    """An option is unknown, missing, out of range, or contradicts another."""


class ComponentError(UserError):
    """A component's name leads nowhere, or to something that is not such a component."""


class PackageError(ComponentError):
    """A package that is needed is not installed, or cannot be imported."""


class ChainError(UserError):
    """The names of a chain do not fit together."""


class ConfigError(UserError):
    """A config file or an option's text cannot be read or parsed."""


class OpenError(UserError):
    """The system refused an address, a file, or a change of user."""


class MessageError(MessagePassingError):
    """One message could not be handled. The next one goes on.

    Attributes:
        original: the name of the Perl original's class for it, where there is one: reports have it as their `class`.
    """

    original: ClassVar[str] = ""


class DecodingError(MessageError):
    """A message's bytes are not what the decoder takes."""

    original = "Message::Passing::Exception::Decoding"


class EncodingError(MessageError):
    """A message holds something that the encoder cannot write."""

    original = "Message::Passing::Exception::Encoding"


class PeerError(MessagePassingError):
    """A peer was refused, or refuses us, takes nothing, or is not understood; we go on without it."""


class LossError(MessagePassingError):
    """Messages were lost that no other report tells of: a queue was full, or they did not arrive."""


class OutputClosedError(MessagePassingError):
    """Nobody reads our output any more, so there is nothing left to do: not a failure."""


@contextmanager
def collecting(faults: list[Fault], place: str = "") -> Iterator[None]:
    """What a `UserError` within the block says is added to `faults`, under `place`, and work goes on."""
    try:
        yield
    except UserError as error:
        faults += error.under(place, ": ").faults if place else error.faults


EXTRAS = {
    "console": ("prometheus_client", "rich", "starlette", "uvicorn"),
    "crypt": ("cryptography",),
    "io-priority": ("psutil",),
    "structlog": ("structlog",),
    "yaml": ("yaml",),
    "zstd": ("backports.zstd", "compression.zstd"),
}
"""The modules that each extra brings."""

_PACKAGES = {"prometheus_client": "prometheus-client"}
"""What a module's package is called, where that is another name."""


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Around the import of an optional dependency: its absence says which extra to install.

    A package that is there and cannot be imported says why: a part of it is missing, it is too old, or made for
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
            package = _PACKAGES.get(missing, missing)
            hint = f"install it with `pip install 'message-passing[{extra}]'`"
            raise PackageError(f"this needs the package {package!r}: {hint}") from error
        package = _failing(error, modules)
        hint = f"install it anew with `pip install --force-reinstall 'message-passing[{extra}]'`"
        reason = f"{type(error).__name__}: {error}"
        raise PackageError(f"the package {package!r} is broken, or too old: {hint} ({reason})") from error


def _module_of(name: str | None, modules: Iterable[str]) -> str:
    """Which of these is missing when no module `name` was found: itself, the package that it is in, or one barred.

    None in `sys.modules` bars a module (docs.python.org/3/reference/import.html#the-module-cache).
    """
    parts = (name or "").split(".")
    outer = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    barred = any(one in sys.modules and sys.modules[one] is None for one in outer)
    for module in modules:
        if name and (f"{module}.".startswith(f"{name}.") or (barred and module in outer)):
            return module
    return ""


def _failing(error: Exception, modules: tuple[str, ...]) -> str:
    """The package whose import raised it, by the code that ran, or by what the error itself says."""
    names = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    names.append(getattr(error, "name", None) or "")
    found = (one for name in names for one in modules if f"{name}.".startswith(f"{one}."))
    module = next(found, " or ".join(modules))
    return _PACKAGES.get(module, module)


_repr = reprlib.Repr()
_repr.maxlevel, _repr.maxstring, _repr.maxother = 3, 200, 200


def abbreviate(value: object) -> str:
    """A wrong value as a message shows it: its beginning, however large, deep or entangled it is.

    YAML's aliases make a value of a few hundred bytes whose text has millions of characters.
    """
    text = _repr.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the nearest of `known`, or an empty string when none is near."""
    by_fold = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(name.casefold(), list(by_fold), n=1, cutoff=0.6)
    return f" (did you mean {by_fold[near[0]]!r}?)" if near else ""
