"""The keys of a relaxed JSON text that is known to parse."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import cast

from message_passing.config.parsing import strict_json
from message_passing.config.positions.index import Index, IndexEntry, Key, Places

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+')


@dataclass(slots=True)
class _Open:
    """A list or object whose end has not been reached."""

    entry: IndexEntry
    key: Key
    is_object: bool
    number: int = 0
    wants_key: bool = True


def index_json(text: str) -> Index:
    """The positions of its keys. Without recursion: it may be nested as deeply as the parser accepts."""
    places, index = Places(text), Index()
    around: list[_Open] = []
    current, key = index.root, cast("Key", "")
    for token in _TOKEN.finditer(strict_json(text)):
        word, inside = token[0], around[-1] if around else None
        if word in ("]", "}"):
            around.pop()
        elif word == "," and inside:
            inside.number, inside.wants_key = inside.number + 1, True
        elif inside and inside.is_object and inside.wants_key:
            key, current = json.loads(word), places.entry(token.start())
            if key in inside.entry.within:
                index.repeated.append((tuple(one.key for one in around[1:]), key, current))
            inside.entry.within[key] = current
            inside.wants_key = False
        elif word != ":":
            if inside and not inside.is_object:
                key, current = inside.number, places.entry(token.start())
                inside.entry.within[key] = current
            if word in ("[", "{"):
                around.append(_Open(current, key, word == "{"))
    return index
