"""The filter Enrich."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from message_passing.errors import OpenError, OptionError, PackageError
from message_passing.filters.enrich import EnrichFilter
from support import Kept, accounted_for, until

if TYPE_CHECKING:
    from pathlib import Path

RECORD = {
    "country": {"iso_code": "DE", "names": {"en": "Germany", "de": "Deutschland"}},
    "city": {"names": {"en": "Berlin"}},
    "location": {"latitude": 52.5, "time_zone": "Europe/Berlin"},
}


def database(path: Path, *, version: int = 6, record: Any = None) -> str:
    """A real one."""
    writer = MMDBWriter(version, "GeoIP2-City", languages=["en"], ipv4_compatible=version == 6)
    writer.insert_network(IPSet(["192.0.2.0/24"]), record or RECORD)
    if version == 6:
        writer.insert_network(IPSet(["2001:db8::/32"]), {"autonomous_system_number": 64500})
    writer.to_db_file(str(path))
    return str(path)


def enriched(messages: list[Any], **options: Any) -> list[Any]:
    """What passes."""
    kept = Kept()
    with EnrichFilter(**options, output_to=kept) as enrich:
        enrich.consume_many(messages)
        assert accounted_for(enrich)
    return kept.messages


def test_the_host() -> None:
    """Unless the message says it."""
    messages = [{"a": 1}, {"host": "b"}, "text"]
    name = socket.gethostname()
    assert enriched(messages, lookup="host") == [{"a": 1, "host": name}, {"host": "b"}, "text"]
    assert messages[0] == {"a": 1}
    assert enriched([{"host": "b"}], lookup="host", overwrite=True, into="node") == [
        {"host": "b", "node": {"host": name}}
    ]


TABLES = {
    "t.csv": '\ufeffid,name,team\r\n7,"a, ""b""\nc",ops\r\n\r\n8,d,dev\r\n',
    "spreadsheet.csv": 'id,name,team,,\n7,"a, ""b""\nc",ops,,\n8,d,dev,,\n',
    "rows.json": '\ufeff[{"id":7,"name":"a, \\"b\\"\\nc","team":"ops"},{"name":"d","id":8,"team":"dev"}]',
    "keys.json": '{"7":{"name":"a, \\"b\\"\\nc","team":"ops"},"8":{"name":"d","team":"dev"}}',
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table(name: str, tmp_path: Path) -> None:
    """A number and its text are the same key; what is not there passes unchanged."""
    path = tmp_path / name
    path.write_text(TABLES[name], encoding="utf-8", newline="")
    options: dict[str, Any] = {
        "lookup": "table",
        "file": str(path),
        "key": "service.id",
        "fields": ["name", "team"],
    }
    messages = [
        {"service": {"id": 7}},
        {"service.id": "8", "team": "x"},
        {"service": {"id": [7]}},
        {"service": {}},
        7,
    ]
    assert enriched(messages, **options) == [
        {"service": {"id": 7}, "name": 'a, "b"\nc', "team": "ops"},
        {"service.id": "8", "name": "d", "team": "x"},
        *messages[2:],
    ]
    fields = ["team"] if name.endswith(".csv") else ["team", "other"]
    assert enriched(messages[1:2], **{**options, "fields": fields, "into": "service"}) == [
        {"service.id": "8", "team": "x", "service": {"team": "dev"}}
    ]


def test_a_table_by_another_column_and_of_single_values(tmp_path: Path) -> None:
    """`column` names the key; a value that is no object is `value`."""
    path = tmp_path / "t.csv"
    path.write_text("name,id\na,1\nb,2\n", encoding="utf-8")
    options: dict[str, Any] = {"lookup": "table", "key": "k"}
    found = enriched([{"k": 2}], **options, file=str(path), column="id")
    assert found == [{"k": 2, "name": "b", "id": "2"}]
    path = tmp_path / "t.json"
    path.write_text('{"x":5}', encoding="utf-8")
    assert enriched([{"k": "x"}], **options, file=str(path)) == [{"k": "x", "value": 5}]


def test_what_a_table_adds_of_all_its_columns(tmp_path: Path) -> None:
    """Not those without a name; and an empty key is that of an empty text only."""
    path = tmp_path / "t.csv"
    path.write_text("k,a,,\nx,1,,\n,2,,\n", encoding="utf-8")
    messages: list[Any] = [{"k": "x"}, {"k": ""}, {"k": [1]}, {"k": None}]
    wanted = [{"k": "x", "a": "1"}, {"k": "", "a": "2"}, *messages[2:]]
    assert enriched(messages, lookup="table", key="k", file=str(path)) == wanted


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("t.csv", "a,b\n1,2\n1,2,3\n", "line 3 has 3 cells, and the header 2"),
        ("t.csv", "a,b\n", "it has no rows"),
        ("t.csv", "", "it has no"),
        ("t.csv", 'a,b\n1,"2', "it is no CSV at line 2"),
        ("t.csv", "a;b\n1;2\n", "it has one column, 'a;b': columns are separated by commas"),
        ("t.tsv", "a\tb\n1\t2\n", "it has one column, 'a\\tb': columns are"),
        ("t.csv", "a,b,a\n1,2,3\n", "it has more than one column 'a'"),
        ("t.csv", "identity,b\n1,2\n", "it has no column 'id', but identity, b"),
        ("t.json", "{", "it is no JSON"),
        ("t.json", "[1]", "neither an object of rows nor a list of objects"),
        ("t.json", '[{"id":1},{"a":2}]', "row 2 has no field 'id'"),
        ("t.json", '[{"id":1},{"id":null}]', "row 2 has no text and no number in the field 'id'"),
        ("t.json", "[" * 100_000, "it is no JSON"),
    ],
)
def test_a_malformed_table_is_refused(name: str, text: str, problem: str, tmp_path: Path) -> None:
    """With the file's name and the place."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    column = "id" if "has no" in problem and "rows" not in problem else ""
    with pytest.raises(OpenError) as caught:
        enriched([], lookup="table", key="k", file=str(path), column=column)
    assert problem in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_field_that_no_row_has_is_refused(tmp_path: Path) -> None:
    """A table in CSV has the columns that are asked for."""
    path = tmp_path / "t.csv"
    path.write_text("id,team\n1,a\n", encoding="utf-8")
    with pytest.raises(OpenError, match=r"it has no column 'taem', but id, team \(did you mean 'team'"):
        enriched([], lookup="table", key="id", file=str(path), fields=["taem"])


def test_a_table_that_changes_is_read_again(tmp_path: Path) -> None:
    """Without a message; what is malformed then is reported once, and what was read before stays in use."""
    path = tmp_path / "t.csv"
    path.write_text("id,name\n1,a\n", encoding="utf-8")
    kept, errors = Kept(), Kept()

    def found(enrich: EnrichFilter) -> Any:
        enrich.consume({"k": 1})
        return kept.messages[-1].get("name")

    def replace(text: str) -> None:
        new = tmp_path / "new"
        new.write_text(text, encoding="utf-8")
        new.rename(path)

    async def scenario() -> None:
        options: dict[str, Any] = {"lookup": "table", "key": "k", "file": str(path), "reload_interval": 0.01}
        with EnrichFilter(**options, output_to=kept, error=errors) as enrich:
            task = asyncio.create_task(enrich.background())
            assert found(enrich) == "a"
            replace("id,name\n1,b\n")
            await until(lambda: found(enrich) == "b")
            replace("id,name\n1\n")
            await until(enrich.problems)
            assert found(enrich) == "b"
            assert "cannot use" in enrich.problems()[0]
            assert len(errors.messages) == 1
            path.unlink()
            await until(lambda: len(errors.messages) == 2)
            replace("id,name\n1,c\n")
            enrich.reopen()
            assert found(enrich) == "c"
            assert enrich.problems() == []
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())


def test_addresses(tmp_path: Path) -> None:
    """Both versions, also one within the other; what is no address, or not there, passes unchanged."""
    path = database(tmp_path / "city.mmdb")
    berlin = {
        "country_code": "DE",
        "country": "Germany",
        "city": "Berlin",
        "latitude": 52.5,
        "timezone": "Europe/Berlin",
    }
    known = ["192.0.2.7", "::ffff:192.0.2.7", "192.0.2.7"]
    unknown: list[Any] = ["198.51.100.1", "::1", "x", "", "1" * 1000, 7, None, ["192.0.2.7"]]
    messages = [{"client": one} for one in (*known, "2001:db8::1", *unknown)]
    found = enriched(messages, lookup="geoip", file=path)
    assert [one.get("geo") for one in found[:4]] == [berlin, berlin, berlin, {"asn": 64500}]
    assert found[4:] == messages[4:]
    chosen = enriched(
        [{"ip": known[0]}], lookup="geoip", file=path, key="ip", fields=["country.names.de"], into="g"
    )
    assert chosen == [{"ip": known[0], "g": {"country": {"names": {"de": "Deutschland"}}}}]
    old = database(tmp_path / "v4.mmdb", version=4)
    assert enriched([{"client": "2001:db8::1"}], lookup="geoip", file=old) == [{"client": "2001:db8::1"}]


def test_a_database_that_is_overwritten_or_damaged(tmp_path: Path) -> None:
    """It is read from a copy, so that nothing crashes; after a reload nothing old is remembered."""
    path = tmp_path / "city.mmdb"
    database(path)
    kept, errors = Kept(), Kept()
    with EnrichFilter(lookup="geoip", file=str(path), output_to=kept, error=errors) as enrich:
        enrich.consume({"client": "192.0.2.7"})
        data = path.read_bytes()
        path.write_bytes(data[:100])
        enrich.consume_many([{"client": f"192.0.2.{n}"} for n in range(50)])
        assert all(one["geo"]["city"] == "Berlin" for one in kept.messages)
        enrich.reopen()
        assert "it is no MaxMind database" in enrich.problems()[0]
        database(path, record={"city": {"names": {"en": "Köln"}}})
        enrich.reopen()
        enrich.consume({"client": "192.0.2.7"})
        assert kept.messages[-1]["geo"] == {"city": "Köln"}
        # The data section is garbage, and the tree and the metadata are not.
        end = data.index(b"\xab\xcd\xefMaxMind.com")
        path.write_bytes(data[: end - 150] + b"\xff" * 150 + data[end:])
        enrich.reopen()
        enrich.consume({"client": "192.0.2.7"})
        assert "geo" not in kept.messages[-1] or kept.messages[-1]["geo"]
    with pytest.raises(OpenError, match="no MaxMind database"):
        enriched([], lookup="geoip", file=__file__)


def test_user_agents() -> None:
    """The browser, the system and the device; whatever the text is."""
    text = (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 16_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/16.0 Mobile/15E148 Safari/604.1"
    )
    messages = [{"agent": one} for one in (text, "\ud800" * 10_000, "", 7, f"{text}{'x' * 10_000}")]
    found = enriched(messages, lookup="user_agent")
    assert found[0]["agent_parsed"] == {
        "browser": "Mobile Safari",
        "browser_version": "16.0",
        "os": "iOS",
        "os_version": "16.0",
        "device": "iPhone",
    }
    assert found[1:4] == messages[1:4]
    assert found[4]["agent_parsed"]["os"] == "iOS"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"lookup": "table", "key": "a"}, "`file` is missing with table"),
        ({"lookup": "table", "file": "a"}, "`key` is missing with table"),
        ({"lookup": "host", "key": "a"}, "`key` has no effect with host"),
        ({"lookup": "user_agent", "file": "a"}, "`file` has no effect with user_agent"),
        ({"lookup": "geoip", "file": "a", "column": "b"}, "`column` has no effect with geoip"),
        ({"lookup": "geo"}, "lookup"),
        ({"lookup": "host", "fields": ["ip"]}, "there is no 'ip': host has host"),
        ({"lookup": "user_agent", "fields": ["borwser"]}, "there is no 'borwser' (did you mean 'browser'?)"),
    ],
)
def test_what_is_refused(options: Any, problem: str) -> None:
    """By the option's name."""
    with pytest.raises(OptionError) as caught:
        EnrichFilter(**options)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("module", "options", "extra"),
    [
        ("maxminddb", {"lookup": "geoip", "file": __file__}, "geoip"),
        ("ua_parser", {"lookup": "user_agent"}, "useragent"),
        ("ua_parser_builtins.matchers", {"lookup": "user_agent"}, "useragent"),
    ],
)
def test_an_extra_that_is_missing_is_named(
    module: str, options: Any, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it, before anything is opened, so that `check` names it too."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PackageError, match=rf"pip install .*'message-passing\[{extra}\]'"):
        EnrichFilter(**options)


def test_a_file_that_is_too_large_or_absent(tmp_path: Path) -> None:
    """Says so, when it is opened."""
    path = tmp_path / "t.csv"
    path.write_text("id\n1\n", encoding="utf-8")
    options: dict[str, Any] = {"lookup": "table", "key": "k"}
    assert enriched([{"k": 1}], **options, file=str(path), max_bytes=5) == [{"k": 1, "id": "1"}]
    with pytest.raises(OpenError, match="too large"):
        enriched([], **options, file=str(path), max_bytes=4)
    with pytest.raises(OpenError, match="cannot use"):
        enriched([], **options, file=str(tmp_path / "none"))
