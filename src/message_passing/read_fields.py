"""The fields that filters read of messages whose text passes on as it came: see `wiring`."""

from __future__ import annotations

from functools import lru_cache
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import msgspec
from msgspec import UNSET

from message_passing.dotted import value_at
from message_passing.message_fields import NAMES, SPELLED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    DecodeLines = Callable[[bytes], list[Any]]

MOST_READ = 64
"""Fields that are looked for in the text: those that read more get objects."""

LEVEL = "(level)"
"""Stands for all fields that may hold a message's level. The usual ones alone are found in less time."""

_USUAL = ("level_number", "level")
_ALL_LEVELS = (*_USUAL, *NAMES["level"])

_UNUSUAL_AGAIN = 15
"""Blocks in which all names are looked for at once, after one in which the usual ones were not enough."""

_Spelled: Any = Literal[(*SPELLED,)]

_NO_PLACES: dict[str, str] = {}


class ReadFields(msgspec.Struct, gc=False):
    """Some fields of a message: those that were asked for. A field that is missing is `msgspec.UNSET`.

    A field is an attribute if its name is a Python name: `fields.level`. `get` takes any name.
    """

    complete: ClassVar[type[ReadFields]]
    """The class for a message whose level may be under any name. Attributes have the same names."""

    spelled: ClassVar[bool] = False
    """Whether `level` is one of `message_fields.SPELLED`, and `level_number` an integer or missing."""

    def get(self, path: str, default: Any = None) -> Any:
        """The value of a field, by the rule for dotted names (`dotted.value_at`).

        Raises:
            LookupError: it was not asked for.
        """
        attribute = self.places().get(path)
        if attribute is None:
            raise LookupError(f"{path!r} is not among the fields that this filter declares in `reads`")
        found = getattr(self, attribute)
        if found is not UNSET:
            return found
        return value_at(self.as_dict(), path, default) if "." in path else default

    def __contains__(self, path: str) -> bool:
        return self.get(path, UNSET) is not UNSET

    def __getitem__(self, path: str) -> Any:
        found = self.get(path, UNSET)
        if found is UNSET:
            raise KeyError(path)
        return found

    def as_dict(self) -> dict[str, Any]:
        """Those of them that the message has."""
        places = self.places().items()
        return {name: value for name, place in places if (value := getattr(self, place)) is not UNSET}

    @classmethod
    def of(cls, message: Any) -> ReadFields:
        """Those of a message; one that is no dict has none."""
        if not isinstance(message, dict):
            return cls()
        return cls(*[message.get(name, UNSET) for name in cls.places()])

    @classmethod
    def places(cls) -> dict[str, str]:
        """The attribute of each field."""
        return _NO_PLACES


ReadFields.complete = ReadFields  # and so no field is an attribute of this name


def values_of(fields: Sequence[ReadFields], path: str) -> list[Any]:
    """The value at a dotted name in each message, None where it is missing; all are of one class."""
    place = fields[0].places()[path]
    return [found if (found := getattr(one, place)) is not UNSET else one.get(path) for one in fields]


def fields_of_message(paths: Iterable[str]) -> frozenset[str]:
    """The names that fields of a message have where one reads these dotted names: `a`, `a.b` and `a.b.c`."""
    found: set[str] = set()
    for path in paths:
        parts = path.split(".")
        found.update(".".join(parts[:end]) for end in range(1, len(parts) + 1))
    return frozenset(found)


def _names(reads: frozenset[str], levels: Sequence[str]) -> frozenset[str]:
    """What is looked for, if a level has these names."""
    return reads - {LEVEL} | fields_of_message(levels) if LEVEL in reads else reads


def can_be_read(reads: frozenset[str]) -> bool:
    """Whether a decoder can look for fields of these names: not for many, nor for characters that JSON escapes."""
    names = _names(reads, _ALL_LEVELS)
    return len(names) <= MOST_READ and all(map(_is_plain, names))


def _is_plain(name: str) -> bool:
    return name.isprintable() and not {'"', "\\"} & {*name} and bool(name)


def _places_of(names: frozenset[str]) -> dict[str, str]:
    """The attributes that hold fields of these names."""
    return {
        name: name
        if name.isascii()
        and name.isidentifier()
        and not (iskeyword(name) or name.startswith("_") or hasattr(ReadFields, name))
        else f"_{number}"
        for number, name in enumerate(sorted(names))
    }


@lru_cache(maxsize=64)
def fields_type(reads: frozenset[str]) -> type[ReadFields]:
    """A class of `ReadFields` with these names."""
    places = _places_of(_names(reads, _ALL_LEVELS))
    made = _defined(places, [(place, Any, UNSET) for place in places.values()])
    made.complete = made
    return made


@lru_cache(maxsize=64)
def _usual_type(reads: frozenset[str]) -> type[ReadFields]:
    """A class for messages whose level has a usual name, and is one that is known, or has a number besides."""
    names, complete = _names(reads, _USUAL), fields_type(reads)
    places = {name: place for name, place in complete.places().items() if name in names}
    others = [(place, Any, UNSET) for name, place in places.items() if name not in _USUAL]
    made = _defined(places, [("level", _Spelled), ("level_number", int, UNSET), *others])
    made.complete, made.spelled = complete, True
    return made


def _defined(places: dict[str, str], fields: list[Any]) -> type[ReadFields]:
    made = msgspec.defstruct(
        "ReadFields",
        fields,
        bases=(ReadFields,),
        namespace={"places": classmethod(lambda _cls: places)},
        rename={place: name for name, place in places.items()},
        gc=False,
    )
    return cast("type[ReadFields]", made)


def field_decoder(reads: frozenset[str] | None) -> DecodeLines | None:
    """What reads these fields of lines, giving `ReadFields` for each; None if there are none to read."""
    if reads is None:
        return None
    decode = msgspec.json.Decoder(fields_type(reads)).decode_lines
    return _LevelReader(_usual_type(reads), decode) if LEVEL in reads else decode


class _LevelReader:
    """Reads lines with the usual names of a level, and again with all if that does not tell the level of each."""

    def __init__(self, usual: type[ReadFields], complete: DecodeLines) -> None:
        """How to read them."""
        self._usual, self._complete = msgspec.json.Decoder(usual).decode_lines, complete
        self._unusual = 0

    def __call__(self, block: bytes) -> list[Any]:
        """The fields of each line of a block."""
        if self._unusual:
            self._unusual -= 1
        else:
            try:
                return self._usual(block)
            except msgspec.MsgspecError:
                self._unusual = _UNUSUAL_AGAIN
        return self._complete(block)
