"""Where the keys of config files are found: held against the parsers, on files made up at random."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from message_passing.config.parsing import relaxed_json
from message_passing.config.positions.json_scanner import index_json
from message_passing.config.positions.toml_scanner import index_toml
from message_passing.config.positions.yaml_scanner import index_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from message_passing.config.positions.index import Index, IndexEntry

bare = st.text(alphabet="abAB01_-", min_size=1, max_size=4)
any_key = bare | st.text(alphabet="a.=#[]{}\"'\\ ,é\n\t\U0001f600", max_size=5)
scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(alphabet="a=#[]{}\"'\\ ,é\n.", max_size=12),
)
trees = st.recursive(
    st.dictionaries(any_key, scalars, max_size=3),
    lambda inner: st.dictionaries(
        any_key, scalars | inner | st.lists(scalars | inner, max_size=3), max_size=4
    ),
    max_leaves=12,
)


def paths(value: Any, entry: IndexEntry) -> Iterator[tuple[Any, IndexEntry]]:
    """Every key and number of a value, with the entry that the index has of it; none is lacking or too many."""
    inner: Any = {}
    if isinstance(value, dict):
        inner = value
    elif isinstance(value, list):
        inner = dict(enumerate(value))
    assert set(entry.within) == set(inner)
    for key, item in inner.items():
        yield key, entry.within[key]
        yield from paths(item, entry.within[key])


def text_at(text: str, entry: IndexEntry) -> str:
    """What stands at a place."""
    return text.split("\n")[entry.line - 1][entry.column - 1 :]


def quoted(text: str) -> str:
    """A basic string of TOML."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


class TomlWriter:
    """Writes a tree as TOML, in the ways that chance chooses."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw

    def _one_of(self, *ways: str) -> str:
        return str(self._draw(st.sampled_from(ways)))

    def key(self, name: str) -> str:
        """A key: bare where it may be, or in quotes of either kind."""
        ways = [quoted(name)]
        if "'" not in name and not any(letter < " " for letter in name):
            ways.append(f"'{name}'")
        if name and name.isascii() and name.replace("_", "a").replace("-", "a").isalnum():
            ways.append(name)
        return self._one_of(*ways)

    def scalar(self, value: Any) -> str:
        """A value that holds no other."""
        if not isinstance(value, str):
            return json.dumps(value)
        ways = [quoted(value)]
        if "\\" not in value:
            ways.append(f'"""\n{value.replace(chr(34), chr(92) + chr(34))}"""')
            if "'" not in value:
                ways.append(f"'''{value}'''")
                ways.append(f"'''\n{value}''''")
        return self._one_of(*ways)

    def value(self, value: Any) -> str:
        """A value within a line."""
        if isinstance(value, dict):
            inside = ", ".join(self.pairs(value))
            return f"{{ {inside} }}"
        if isinstance(value, list):
            gap = self._one_of("", " ", "\n", " # ] a note\n")
            comma = self._one_of("", ",") if value else ""
            return f"[{gap}{f',{gap}'.join(map(self.value, value))}{comma}{gap}]"
        return self.scalar(value)

    def pairs(self, table: dict[str, Any]) -> list[str]:
        """`key = value`, with dots where a table is written that way."""
        found = []
        for name, value in table.items():
            if isinstance(value, dict) and value and self._one_of("dots", "inline") == "dots":
                dot = self._one_of(".", " . ")
                found += [f"{self.key(name)}{dot}{pair}" for pair in self.pairs(value)]
            else:
                found.append(
                    f"{self.key(name)}{self._one_of('', ' ')}={self._one_of('', ' ')}{self.value(value)}"
                )
        return found

    def document(self, table: dict[str, Any], outer: tuple[str, ...] = ()) -> list[str]:
        """The lines of a table, and of those below it that have headers."""
        below: dict[str, Any] = {}
        plain: dict[str, Any] = {}
        for name, value in table.items():
            tables = isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
            has_header = (isinstance(value, dict) or tables) and self._one_of("header", "inline") == "header"
            (below if has_header else plain)[name] = value
        lines = [self._one_of("", "  ") + pair + self._one_of("", " # = note") for pair in self.pairs(plain)]
        for name, value in below.items():
            for one in value if isinstance(value, list) else [value]:
                parts = [self.key(part) for part in (*outer, name)]
                inside = self._one_of(".", " . ").join(parts)
                header = f"[[ {inside} ]]" if isinstance(value, list) else f"[{inside}]"
                if isinstance(value, list) or one == {} or self._one_of("said", "implied") == "said":
                    lines += [header, *self.document(one, (*outer, name))]
                else:  # `[a.b]` makes `a` as well; what it has of its own needs its header
                    inner = self.document(one, (*outer, name))
                    implied = bool(inner) and inner[0].startswith("[")
                    lines += inner if implied else [header, *inner]
        return lines


@st.composite
def toml_texts(draw: Any) -> str:
    """TOML files."""
    return "\n".join([*TomlWriter(draw).document(draw(trees)), ""])


def assert_toml_found(text: str) -> Index:
    """Every key that tomllib finds has its place, and the key is what stands there."""
    index = index_toml(text)
    for key, entry in paths(tomllib.loads(text), index.root):
        if isinstance(key, str):
            at = text_at(text, entry)
            part = tomllib.loads(f"{_first_part(at)} = 0")
            assert list(part) == [key], at
    return index


def _first_part(text: str) -> str:
    """The key that a text begins with, as it is written."""
    if text[0] not in "\"'":
        return text[
            : next(n for n, letter in enumerate(text + " ") if not (letter.isalnum() or letter in "_-"))
        ]
    end = 1
    while text[end] != text[0]:
        end += 2 if text[0] == '"' and text[end] == "\\" else 1
    return text[: end + 1]


@given(toml_texts())
def test_toml_keys_are_where_they_are_said_to_be(text: str) -> None:
    """Whatever tomllib finds: headers, dots, quotes, inline tables, lists over lines, strings of all kinds."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        pytest.fail(f"the writer is wrong: {error}\n{text}")
    assert_toml_found(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n# only a note",
        "a=1",
        "a.b.c = 1\na.b.d = 2\n",
        '[a]\nb = """x = 1 \\""" [y] """"\nc = 2\n',
        "[a]\nb = ''''x'''''\nc = 2\n",
        "[[a]]\nb = 1\n[[a]]\nb = 2\n[a.c]\nd = 3\n[[a.e]]\n[[a.e]]\nf = 4\n",
        "[a.b]\nc = 1\n[a]\nd = 2\n",
        "a = 1979-05-27 07:32:00 # time\nb = [1979-05-27, 1.5e3]\n",
        'a = [ # note ]\n  { b = "]" }, # }\n  [ [ ] , ],\n]\nc = {}\n',
        'a = "\\\\"\r\nb = 2\r\n[c]\r\nd = """\r\n"""\r\n',
    ],
)
def test_toml_by_hand(text: str) -> None:
    """What chance is not likely to write."""
    assert_toml_found(text)


def test_a_toml_table_is_where_its_own_header_is() -> None:
    """Though `[a.b]` above it made it already; so what it lacks is told at the right line."""
    entry = index_toml("[a.b]\nc = 1\n\n[a]\nd = 2\n").find(["a"])
    assert entry
    assert (entry.line, entry.column) == (4, 2)


@given(trees, st.sampled_from([None, 0, 2]), st.booleans())
def test_json_keys_are_where_they_are_said_to_be(
    tree: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    """Every key, as it is written, whatever is in it, and every item of a list."""
    text = json.dumps(tree, indent=indent, ensure_ascii=ascii_only)
    for key, entry in paths(json.loads(text), index_json(text).root):
        if isinstance(key, str):
            assert text_at(text, entry).startswith(json.dumps(key, ensure_ascii=ascii_only))


def test_json_with_comments_and_commas() -> None:
    """What is in a comment is no key, and a comma may come last."""
    text = '{ # "no": 1\n  "a": [1, {"b": "}#",},], # , \n\t"c": {},\n}'
    places = [
        (key, entry.line, entry.column) for key, entry in paths(relaxed_json(text), index_json(text).root)
    ]
    assert places == [("a", 2, 3), (0, 2, 9), (1, 2, 12), ("b", 2, 13), ("c", 3, 2)]


def test_json_nested_as_deeply_as_the_parser_takes_it() -> None:
    """Nothing here has a limit of its own."""
    depth = 20_000
    assert index_json("[" * depth + "]" * depth).find([0] * 50)


@given(trees, st.booleans())
def test_yaml_keys_are_where_they_are_said_to_be(tree: dict[str, Any], flow: bool) -> None:
    """In both of its styles."""
    text = yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True)
    for key, entry in paths(yaml.safe_load(text), index_yaml(text).root):
        if isinstance(key, str) and key.isalnum():
            assert text_at(text, entry).lstrip("\"'").startswith(key)


def test_yaml_with_aliases() -> None:
    """A key that `<<` brings is where it was written; a list that holds itself is no trap."""
    text = "base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\nagain: *b\nloop: &l [*l]\n"
    index = index_yaml(text)
    found = {path: index.find(path.split(".")) for path in ("own.x", "own.y", "again.x", "own", "loop")}
    assert {path: (one.line, one.column) for path, one in found.items() if one} == {
        "own.x": (1, 11), "own.y": (4, 3), "again.x": (1, 11), "own": (2, 1), "loop": (6, 1)
    }  # fmt: skip
    assert index.repeated == []


def test_yaml_that_would_be_enormous() -> None:
    """Nine aliases of nine aliases of nine ... are looked at once each."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    entry = index_yaml("\n".join(lines)).find(["a11", 8, 8, 8])
    assert entry
    assert entry.line == 9


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (index_json, '{"a": {"b": 1,\n "b": 2}, "c": {"b": 3}}'),
        (index_yaml, "a:\n  {b: 1,\n b: 2}\nc: {b: 3}\n"),
    ],
)
def test_keys_that_are_there_twice(index: Any, text: str) -> None:
    """Each later one, with its table's path; in TOML the parser itself refuses them."""
    ((path, key, entry),) = index(text).repeated
    assert (path, key, entry.column) == (("a",), "b", 2)
