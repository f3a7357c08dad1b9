"""From text to values: relaxed JSON, the words of a command line, and files in three formats."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.config.parsing import LARGEST_CONFIG_FILE, load_file, options_from_text, relaxed_json
from message_passing.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)
tricky = st.text(alphabet='#,]}[{"\\/\n\t :a\u2028', max_size=20)


@given(json_values, st.booleans(), st.sampled_from([None, 0, 2]))
def test_json_means_what_it_means(value: Any, ascii_only: bool, indent: int | None) -> None:
    """Whatever JSON accepts is accepted, with the same value."""
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert relaxed_json(text) == json.loads(text)


@given(st.text(alphabet='#,]}[{"\\:1 \nnul', max_size=30))
def test_no_json_is_understood_otherwise(text: str) -> None:
    """Any text that happens to be JSON has the value that it has there."""
    try:
        value = json.loads(text)
    except ValueError:
        return
    assert relaxed_json(text) == value


@given(st.dictionaries(tricky, st.lists(tricky, max_size=4), max_size=4), tricky)
def test_strings_are_left_as_they_are(value: dict[str, list[str]], comment: str) -> None:
    """Commas, brackets and hashes within strings are theirs; commas at ends and comments are ours."""
    note = f" # {comment.splitlines()[0] if comment.strip() else ''}\n"
    members = [
        f"{json.dumps(key)}:{note}[{''.join(json.dumps(item) + ',' + note for item in items)}],{note}"
        for key, items in value.items()
    ]
    assert relaxed_json(f"{note}{{{note}{''.join(members)}}}{note}") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1, 2, ]", [1, 2]),
        ('{"a": 1 , }', {"a": 1}),
        ('{"a": [1,\n# no more, ]\n], # done\n}', {"a": [1]}),
        ("# first\n{}", {}),
        ("{} # last", {}),
        ('{"a#b": "#,]"}', {"a#b": "#,]"}),
        ('["\\"# , ]"]', ['"# , ]']),
    ],
)
def test_relaxed_json(text: str, value: Any) -> None:
    """A comma may end a list or an object, and `#` begins a comment, as in the original."""
    assert relaxed_json(text) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[1,,2]", "Expecting value at column 4"),
        ("[1,,]", "Expecting value at column 4"),
        ("[,]", "Expecting value at column 2"),
        ("{,}", "Expecting property name enclosed in double quotes at column 2"),
        (",", "Expecting value at column 1"),
        ('{"a": 1 # "b"\n "c": 2}', "Expecting ',' delimiter at line 2, column 2"),
        ('{"a": "b # c', "Unterminated string starting at at column 7"),
        ("", "Expecting value at column 1"),
        ("1" * 5000, "Exceeds the limit"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_malformed_json(text: str, problem: str) -> None:
    """The place is that in the text as it was written."""
    with pytest.raises(ConfigError, match=r"^malformed JSON: ") as caught:
        relaxed_json(text)
    assert str(caught.value).removeprefix("malformed JSON: ").startswith(problem)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], {}),
        (['{"a": 1, "b": [true,],}'], {"a": 1, "b": [True]}),
        ([' \n{"a": 1}'], {"a": 1}),
        (["# nothing\n{}"], {}),
        (["connect=tcp://127.0.0.1:5558"], {"connect": "tcp://127.0.0.1:5558"}),
        (["socket-hwm=5", "linger=0"], {"socket_hwm": "5", "linger": "0"}),
        (["match=a=b", "key="], {"match": "a=b", "key": ""}),
        (['subscribe=["a", "b",]'], {"subscribe": ["a", "b"]}),
        (['add={"x": 1}'], {"add": {"x": 1}}),
        (['{"a": 1, "b": 2}', "b=3", '{"c": 4}'], {"a": 1, "b": "3", "c": 4}),
    ],
)
def test_options_from_the_command_line(words: list[str], options: dict[str, Any]) -> None:
    """JSON objects and `key=value`, which may be mixed: what comes later wins."""
    assert options_from_text(words) == options


@pytest.mark.parametrize("name", ["options.json", "options.toml", "options.yaml"])
def test_options_from_a_file(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`@file`, relative to the working directory, and more words after it."""
    text = {
        "options.json": '{"linger": 5, "subscribe": ["#a"],}',
        "options.toml": 'linger = 5\nsubscribe = ["#a"]\n',
        "options.yaml": 'linger: 5\nsubscribe: ["#a"]\n',
    }
    (tmp_path / name).write_text(text[name])
    monkeypatch.chdir(tmp_path)
    expected = {"linger": 5, "subscribe": ["#a"], "socket_hwm": "7"}
    assert options_from_text([f"@{name}", "socket_hwm=7"]) == expected


@pytest.mark.parametrize("word", ["filename", "=5", "9a=5", ""])
def test_a_word_that_is_no_option(word: str) -> None:
    """What it could have been is said."""
    with pytest.raises(ConfigError, match=r"is not JSON .*, @file or key=value"):
        options_from_text([word])


@pytest.mark.parametrize("name", ["chain.json", "chain.toml", "chain.yaml", "chain.yml", "CHAIN.JSON"])
def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path, name: str) -> None:
    """Some editors begin files with one; the ending's case does not matter."""
    path = tmp_path / name
    text = {"json": '{"a": "\u00e9"}', "toml": 'a = "\u00e9"', "yaml": "a: \u00e9", "yml": "a: \u00e9"}
    path.write_text(text[path.suffix[1:].lower()], encoding="utf-8-sig")
    assert load_file(str(path)) == {"a": "\u00e9"}


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.json", "[]", "must be an object of options, not []"),
        ("a.yaml", "", "it is empty"),
        ("a.yaml", "a: &x [*x, {5: 6}]", "a key must be text, not 5: put it in quotes"),
        ("a.yaml", "a: &x [*x", "malformed YAML: expected ',' or ']', but got '<stream end>'"),
        ("a.yaml", "a: \x01", "malformed YAML: unacceptable character #x0001"),
        ("a.yaml", "a: 2024-99-99", "malformed YAML: month must be in 1..12"),
        ("a.yaml", "[" * 5000, "malformed YAML: nested too deeply"),
        ("a.toml", "a = " + "[" * 5000, "malformed TOML: nested too deeply"),
        ("a.toml", "a = 1\na = 2", "malformed TOML: Cannot overwrite a value"),
        ("a", "{}", "its name must end in .json, .toml, .yaml or .yml"),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, name: str, text: str, problem: str) -> None:
    """One line, which names the file and the problem."""
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_file(str(path))
    assert str(caught.value).startswith(f"{path}: {problem}")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be(tmp_path: Path) -> None:
    """A name with a null character in it, what is no regular file, which might be waited for, and a huge one."""
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "huge.yaml").write_text("#" * (LARGEST_CONFIG_FILE + 1))
    for name, problem in (
        ("a\0.json", "null character"),
        (str(tmp_path / "fifo.yaml"), "cannot be read: it is a named pipe: put a regular file in its place"),
        (str(tmp_path / "huge.yaml"), "cannot be read: it is too large: it may have 4,194,304 bytes"),
    ):
        with pytest.raises(ConfigError, match=problem):
            load_file(name)


def test_what_is_commented_out(tmp_path: Path) -> None:
    """A file of comments has nothing in it; an empty one is taken for a mistake."""
    for name in ("a.yaml", "a.toml"):
        (tmp_path / name).write_text("# inputs:\n")
        assert load_file(str(tmp_path / name)) == {}
    (tmp_path / "a.yaml").write_text("\n")
    with pytest.raises(ConfigError, match="it is empty"):
        load_file(str(tmp_path / "a.yaml"))
