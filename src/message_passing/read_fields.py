"""The fields that filters read of messages whose text passes on as it came: see `wiring`."""

from __future__ import annotations

from functools import lru_cache
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import UNSET

from message_passing.dotted import value_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_READ = 64
"""Fields that are looked for in the text: those that read more get objects."""

_NO_PLACES: dict[str, str] = {}


class ReadFields(msgspec.Struct, gc=False):
    """Some fields of a message: those that were asked for. A field that is missing is `msgspec.UNSET`.

    A field is an attribute if its name is a Python name: `fields.level`. `get` takes any name.
    """

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


def can_be_read(names: frozenset[str]) -> bool:
    """Whether a decoder can look for fields of these names: not for many, nor for characters that JSON escapes."""
    return len(names) <= MOST_READ and all(map(_is_plain, names))


def _is_plain(name: str) -> bool:
    return name.isprintable() and not {'"', "\\"} & {*name} and bool(name)


def places_of(names: frozenset[str]) -> dict[str, str]:
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
def fields_type(names: frozenset[str]) -> type[ReadFields]:
    """A class of `ReadFields` with these names."""
    places = places_of(names)
    made = msgspec.defstruct(
        "ReadFields",
        [(place, Any, UNSET) for place in places.values()],
        bases=(ReadFields,),
        namespace={"places": classmethod(lambda _cls: places)},
        rename={place: name for name, place in places.items()},
        gc=False,
    )
    return cast("type[ReadFields]", made)
