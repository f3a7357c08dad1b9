"""The keys of a TOML text that is known to parse: tomllib itself does not report positions."""

from __future__ import annotations

import re
import tomllib

from message_passing.config.positions.index import Index, IndexEntry, Places

_BLANK = re.compile(r"(?:[ \t\r\n]|\#[^\n]*)*")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_STRING = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*\'''', re.DOTALL
)
_PLAIN = re.compile(r"[^,\]}#\n]+")


def index_toml(text: str) -> Index:
    """The positions of its keys."""
    return _Scanner(text).scan()


class _Scanner:
    """Reads a text once, from its beginning.

    Attributes:
        text: the whole.
        at: how far it has read.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._places = Places(text)

    def scan(self) -> Index:
        """Read it."""
        index = Index()
        table = index.root
        while self._skip() < len(self.text):
            if self._takes("[["):
                table = self._header(index.root, many=True)
            elif self._takes("["):
                table = self._header(index.root, many=False)
            else:
                self._pair(table)
        return index

    def _skip(self) -> int:
        """Skip blanks, newlines and comments."""
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.at

    def _takes(self, word: str) -> bool:
        taken = self.text.startswith(word, self.at)
        self.at += len(word) if taken else 0
        return taken

    def _header(self, root: IndexEntry, *, many: bool) -> IndexEntry:
        """`[a.b]` or `[[a.b]]`: the table that follows."""
        self._skip()
        *outer, (name, offset) = self._key()
        table = root
        for part, place in outer:
            table = _last(self._entry(table, part, place, explicit=False))
        entry = self._entry(table, name, offset, explicit=True)
        self._skip()
        self._takes("]]" if many else "]")
        if not many:
            return entry
        item = self._places.entry(offset)
        entry.within[len(entry.within)] = item
        return item

    def _pair(self, table: IndexEntry) -> None:
        """`a.b = value`."""
        *outer, (name, offset) = self._key()
        for part, place in outer:
            table = self._entry(table, part, place, explicit=False)
        entry = self._entry(table, name, offset, explicit=True)
        self._skip()
        self._takes("=")
        self._value(entry)

    def _entry(self, table: IndexEntry, name: str, offset: int, *, explicit: bool) -> IndexEntry:
        """The key in its table: where it was written by itself, or first."""
        found = self._places.entry(offset, explicit=explicit)
        before = table.within.setdefault(name, found)
        if explicit and not before.explicit:
            before.line, before.column, before.explicit = found.line, found.column, True
        return before

    def _key(self) -> list[tuple[str, int]]:
        """The parts of a dotted key, and where each begins."""
        parts: list[tuple[str, int]] = []
        while found := _PART.match(self.text, self.at):
            parts.append((_meant(found[0]), self.at))
            self.at = found.end()
            dot = _DOT.match(self.text, self.at)
            if not dot:
                break
            self.at = dot.end()
        return parts

    def _value(self, entry: IndexEntry) -> None:
        """Skip a value, and find the keys of lists and inline tables in it."""
        self._skip()
        if self._takes("{"):
            while not self._ends("}"):
                self._pair(entry)
        elif self._takes("["):
            while not self._ends("]"):
                item = self._places.entry(self.at)
                entry.within[len(entry.within)] = item
                self._value(item)
        elif found := _STRING.match(self.text, self.at) or _PLAIN.match(self.text, self.at):
            self.at = found.end()

    def _ends(self, bracket: str) -> bool:
        """Whether a list or inline table is at its end; what separates two values is skipped."""
        self._skip()
        if self._takes(","):
            self._skip()
        return self._takes(bracket) or self.at >= len(self.text)


def _last(entry: IndexEntry) -> IndexEntry:
    """The last table of an array of tables, to which headers below it belong."""
    return entry.within.get(len(entry.within) - 1, entry)


def _meant(part: str) -> str:
    """A part of a key without its quotes."""
    return next(iter(tomllib.loads(f"{part} = 0"))) if part.startswith('"') else part.strip("'")
