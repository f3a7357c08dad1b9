"""The keys of a YAML text that is known to parse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from message_passing.config.parsing import yaml_document
from message_passing.config.positions.index import Index, IndexEntry, Key

if TYPE_CHECKING:
    from collections.abc import Iterator

_MERGE = "tag:yaml.org,2002:merge"


def index_yaml(text: str) -> Index:
    """The positions of its keys. What an alias stands for is visited once: neither loops nor large numbers matter."""
    index = Index()
    _, document = yaml_document(text, lambda node: index.repeated.extend(_repeated(node)))
    for node, entry, _ in _walk(document, index.root):
        for key, mark_of, _ in _items(node):
            entry.within[key] = _entry(mark_of)
    return index


def _walk(document: Any, root: IndexEntry) -> Iterator[tuple[Any, IndexEntry, tuple[Key, ...]]]:
    """Every list and mapping once, with the entry whose value it is, and the first path to it."""
    waiting: list[tuple[Any, IndexEntry, tuple[Key, ...]]] = [(document, root, ())]
    known: dict[int, IndexEntry] = {}
    while waiting:
        node, entry, path = waiting.pop()
        if id(node) in known:
            entry.within = known[id(node)].within
        elif isinstance(getattr(node, "value", None), list):
            known[id(node)] = entry
            yield node, entry, path
            inner = {key: value for key, _, value in _items(node)}
            waiting += [
                (value, entry.within.get(key, IndexEntry()), (*path, key)) for key, value in inner.items()
            ]


def _items(node: Any) -> Iterator[tuple[Any, Any, Any]]:
    """The keys or items of a node: the name of each, the node with its position, and its value."""
    for number, item in enumerate(node.value):
        if not isinstance(item, tuple):
            yield number, item, item
        elif item[0].tag != _MERGE:
            yield item[0].value, *item


def _repeated(document: Any) -> Iterator[tuple[tuple[Key, ...], Key, IndexEntry]]:
    for node, _, path in _walk(document, IndexEntry()):
        seen = set()
        for key, mark_of, _ in _items(node):
            if not isinstance(key, (str, int)):
                continue  # it is refused when its value is made
            if key in seen:
                yield path, key, _entry(mark_of)
            seen.add(key)


def _entry(node: Any) -> IndexEntry:
    return IndexEntry(node.start_mark.line + 1, node.start_mark.column + 1)
