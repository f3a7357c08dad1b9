"""Taking lines apart; the original's own answers are compared in tests/interop."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003
from typing import Any

import pytest

from message_passing.errors import OpenError, OptionError, UserError
from message_passing.filters.regexp import RegexpFilter
from support import Kept, accounted_for

REGEXFILE = r"""
# what our web server writes
[FORMAT]
:default = %date %status %bytes ; the usual
:request = %status %request
:agent = "%agent"
[REGEXP]
%date = (?#=date)\[(?#=ts)\d{2}/\w{3}/\d{4}(?::\d{2}){3}(?#!ts) [-+]\d{4}\](?#!date)
%status = (?#=status)\d+(?#!status)
%bytes = (?#=bytes)-|\d+(?#!bytes)
%request = (?#=request)-|(?#=method)\w+(?#!method) (?#=url).*?(?#!url)(?#!request)
%agent = (?#=agent).*(?#!agent)
"""
LINE = "[04/Feb/2012:10:11:12 +0100] 404 1024"
FIELDS = {
    "date": "[04/Feb/2012:10:11:12 +0100]",
    "ts": "04/Feb/2012:10:11:12",
    "status": "404",
    "bytes": "1024",
}


@pytest.fixture
def regexfile(tmp_path: Path) -> Path:
    """The file above."""
    path = tmp_path / "regexfile"
    path.write_text(REGEXFILE)
    return path


def taken(message: Any, path: Path, **given: Any) -> Any:
    """What becomes of a message; nothing may fail."""
    end, errors = Kept(), Kept()
    regexp = RegexpFilter(regexfile=str(path), **given, output_to=end, error=errors)
    regexp.consume(message)
    assert errors.messages == []
    assert accounted_for(regexp)
    return end.messages[0]


def refused(path: Path, **given: Any) -> str:
    """What is said when the filter is opened."""
    with pytest.raises(UserError) as caught:
        RegexpFilter(regexfile=str(path), **given).open()
    return str(caught.value).replace(str(path), "FILE")


def test_a_line_is_taken_apart(regexfile: Path) -> None:
    """All the fields of the default format, nested ones too."""
    assert taken({"@message": LINE, "other": 1}, regexfile) == {
        "@message": LINE,
        "other": 1,
        "@fields": FIELDS,
    }


@pytest.mark.parametrize(
    ("capture", "names"),
    [
        (["ts"], ["ts"]),
        (["status", "date"], ["date", "status"]),
        ([":all"], ["date", "ts", "status", "bytes"]),
        ([":all", ":none", "bytes"], ["bytes"]),
        (["bytes", "url"], ["bytes"]),
        ([":none"], []),
        ([], []),
    ],
)
def test_only_the_captured_fields_are_taken(regexfile: Path, capture: list[str], names: list[str]) -> None:
    """In the order of the format; one that the format has not is not missed."""
    fields = taken({"@message": LINE}, regexfile, capture=capture)["@fields"]
    assert fields == {name: FIELDS[name] for name in names}
    assert list(fields) == names


def test_a_field_that_took_no_part_is_null(regexfile: Path) -> None:
    """It is there, so that every message has the same fields."""
    fields = taken({"@message": "200 -"}, regexfile, format=":request")["@fields"]
    assert fields == {"status": "200", "request": "-", "method": None, "url": None}


def test_a_format_may_be_written_out(regexfile: Path) -> None:
    """Instead of the name of one; its plain text stands for itself."""
    fields = taken({"@message": "(200)? 5+"}, regexfile, format="(%status)? %bytes+")["@fields"]
    assert fields == {"status": "200", "bytes": "5"}


def test_fields_are_added_to_those_that_are_there(regexfile: Path) -> None:
    """What ToLogstash left there is not lost."""
    message = {"@message": LINE, "@fields": {"level": "info", "status": "?"}}
    assert taken(message, regexfile)["@fields"] == {"level": "info", **FIELDS}


def test_what_is_there_and_no_dict_gives_way(regexfile: Path) -> None:
    """Fields cannot be added to a text."""
    assert taken({"@message": LINE, "@fields": "x"}, regexfile)["@fields"] == FIELDS


def test_fromto_says_whence_and_where_to(regexfile: Path) -> None:
    """Several of them, and null for the message itself."""
    message = {"a": LINE, "b": LINE, "c": LINE}
    assert taken(message, regexfile, fromto={"a": "x", "b": None}) == {**message, "x": FIELDS, **FIELDS}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("number", "404", 404), ("number", "010", 10), ("number", "-1.50", -1.5), ("number", "1e3", 1000.0),
        ("number", ".5", 0.5), ("number", "-", None), ("number", "", None), ("number", "system('id')", None),
        ("number", "9" * 30, int("9" * 30)), ("number", "9" * 5000, float("inf")), ("number", "1_0", None),
        ("string", "404", "404"), ("string", "", ""),
        ("bool", "0", False), ("bool", "", False), ("bool", "False", False), ("bool", "off", False),
        ("bool", "no", False), ("bool", "0.0", False), ("bool", "1", True), ("bool", "yes", True),
    ],
)  # fmt: skip
def test_mutate_makes_something_else_of_a_text(regexfile: Path, kind: str, text: str, value: Any) -> None:
    """The original evaluated the log line as a program for this; here it is only read."""
    message = {"@message": f'"{text}"'}
    found = taken(message, regexfile, format=":agent", mutate={"agent": kind})["@fields"]["agent"]
    assert found == value
    assert type(found) is type(value)


def test_mutate_leaves_null_alone(regexfile: Path) -> None:
    """A field that took no part is no zero."""
    given: dict[str, Any] = {"format": ":request", "mutate": {"url": "number", "method": "bool"}}
    fields = taken({"@message": "200 -"}, regexfile, **given)["@fields"]
    assert (fields["url"], fields["method"]) == (None, None)


@pytest.mark.parametrize(
    "message",
    [
        {"@message": "something else", "@fields": {"a": 1}},
        {"@message": LINE + " and more"},
        {"@message": None},
        {"@message": b"bytes"},
        {"@message": ""},
        {"message": LINE},
    ],
)
def test_a_line_that_does_not_match_passes_unchanged_and_is_counted(
    regexfile: Path, message: dict[str, Any]
) -> None:
    """Nothing of it is lost; the original put nulls in the place of its fields."""
    end = Kept()
    regexp = RegexpFilter(regexfile=str(regexfile), output_to=end)
    regexp.consume_many([dict(message), {"@message": LINE}])
    assert end.messages == [message, {"@message": LINE, "@fields": FIELDS}]
    assert regexp.unmatched == 1


def test_a_line_that_is_no_dict_goes_to_the_error_chain(regexfile: Path) -> None:
    """With what is missing before this filter; the next goes on."""
    end, errors = Kept(), Kept()
    regexp = RegexpFilter(regexfile=str(regexfile), output_to=end, error=errors)
    regexp.consume_many([LINE, {"@message": LINE}])
    assert len(end.messages) == 1
    assert "put ToLogstash" in errors.messages[0]["exception"]


def test_a_missing_file_is_told_when_the_filter_is_opened(tmp_path: Path) -> None:
    """Making the filter reads nothing."""
    regexp = RegexpFilter(regexfile=str(tmp_path / "none"))
    with pytest.raises(OpenError, match=r"regexfile: cannot read .*none: No such file or directory"):
        regexp.open()


def test_a_file_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    """With its name."""
    (tmp_path / "regexfile").write_bytes(b"[FORMAT]\n:a = \xff\n")
    assert refused(tmp_path / "regexfile").startswith("regexfile: cannot read FILE: not UTF-8: ")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"format": ":defalt"}, "FILE has no format ':defalt' (did you mean ':default'?)"),
        ({"format": ":x"}, "FILE has no format ':x' (it has :default, :request, :agent)"),
        ({"format": "%sta"}, "FILE: [FORMAT] %sta: there is no %sta in [REGEXP] (did you mean '%status'?)"),
        ({"capture": ["stats"]}, "FILE marks no field 'stats' (did you mean 'status'?)"),
        ({"capture": ["%status"]}, "FILE marks no field '%status' (did you mean 'status'?)"),
        ({"mutate": {"stats": "number"}}, "mutate: FILE marks no field 'stats' (did you mean 'status'?)"),
    ],
)  # fmt: skip
def test_options_that_the_file_does_not_know_are_refused(
    regexfile: Path, given: dict[str, Any], said: str
) -> None:
    """With the nearest name."""
    assert refused(regexfile, **given) == said


@pytest.mark.parametrize("kind", ["int", "system", "", "Number"])
def test_mutate_knows_three_kinds(kind: Any) -> None:
    """The original evaluated any word as a program."""
    with pytest.raises(OptionError, match="'number' or 'string' or 'bool'"):
        RegexpFilter(mutate={"status": kind})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[FORMAT]\n:default = x\nnonsense\n[REGEXP]\n", "FILE:3: neither a [section] nor `name = value`"),
        ("[FORMAT]\n:default = x\n", "FILE has no section [REGEXP]"),
        ("[FORMATS]\n[REGEXP]\n", "FILE has no section [FORMAT] (did you mean 'FORMATS'?)"),
        ("", "FILE has no section [FORMAT]"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """With the line."""
    (tmp_path / "regexfile").write_text(text)
    assert refused(tmp_path / "regexfile").startswith(said)


@pytest.mark.parametrize(
    ("piece", "said"),
    [
        (r"(?#=x)\d+", "(?#=x) is never closed"),
        (r"\d+(?#!x)", "(?#!x) does not close the mark that was opened last"),
        (r"(?#=x)\d(?#=y)\d(?#!x)\d(?#!y)", "(?#!x) does not close the mark that was opened last"),
        (r"(?#=x)(?|a|b)(?#!x)", "not a regular expression that Python takes: unknown extension ?|"),
        (r"(?#=x)[a(?#!x)", "not a regular expression that Python takes: unterminated character set"),
        (r"(?#=x)[[:alfa:]]+(?#!x)", "there is no class [:alfa:]: there are alpha, digit, "),
        (r"(?#=x)\Qa.b\E(?#!x)", r"\Q is Perl's: Python's regular expressions have no such thing"),
        (r"(?#=x)\pL(?#!x)", r"\p is Perl's: Python's regular expressions have no such thing"),
        (r"(?#=x)[[.a.]](?#!x)", "[.a.] is Perl's: Python's regular expressions have no such thing"),
        (r"(?#=x)a(?i)b(?#!x)", "not a regular expression that Python takes: global flags not at the start"),
    ],
)
def test_a_piece_that_python_does_not_take_is_told_with_its_name(
    tmp_path: Path, piece: str, said: str
) -> None:
    """The file, the entry, and what is wrong with it; an entry that is not used may be anything."""
    path = tmp_path / "regexfile"
    path.write_text(f"[FORMAT]\n:default = %x\n:other = %y\n[REGEXP]\n%x = {piece}\n%y = (?#=y)b(?#!y)\n")
    assert refused(path, capture=[":all"]).startswith(f"FILE: [REGEXP] %x: {said}")
    RegexpFilter(regexfile=str(path), format=":other").open()


@pytest.mark.parametrize(
    ("piece", "line", "value"),
    [
        (r"(?#=x)\d+\z(?#!x)", "5", "5"),
        (r"(?#=x)\d+(?#!x)\Z", "5\n", "5"),
        (r"a\h+(?#=x)b(?#!x)", "a \t b", "b"),
        (r"(?<year>\d+)-(?#=x)\d+(?#!x)", "2012-01", "01"),
        (r"(a|b)(?#=x)\d(?#!x)", "b5", "5"),
        (r"(?<!b)(?#=x)\d(?#!x)", "5", "5"),
        (r"(?#=x)a|b(?#!x)", "b", "b"),
        (r"(?#=x)[[:alpha:]]+(?#!x)", "Aé", "Aé"),
        (r"(?#=x)[[a]](?#!x)", "[]", "[]"),
        (r"(?#=some-x)a(?#!some-x)(?#=x)[]|](?#!x)", "a]", "]"),
    ],
)
def test_what_perl_spells_otherwise_is_understood(tmp_path: Path, piece: str, line: str, value: str) -> None:
    """Where Python has the same under another spelling; groups of the piece's own do no harm."""
    path = tmp_path / "regexfile"
    path.write_text(f"[FORMAT]\n:default = %x\n[REGEXP]\n%x = {piece}\n")
    assert taken({"@message": line}, path, capture=["x"])["@fields"] == {"x": value}


def test_the_longer_name_of_two_is_meant(tmp_path: Path) -> None:
    """`%datetime` is not `%date` and `time`; and a field may come twice."""
    path = tmp_path / "regexfile"
    path.write_text(
        "[FORMAT]\n:default = %datetime,%date,%date\n[REGEXP]\n"
        "%date = (?#=d)\\d(?#!d)\n%datetime = (?#=dt)\\w+(?#!dt)\n"
    )
    assert taken({"@message": "abc,1,2"}, path)["@fields"] == {"dt": "abc", "d": "2"}
