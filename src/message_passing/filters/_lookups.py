"""What `Enrich` looks values up in: tables in files, MaxMind databases, and user agents' names."""

from __future__ import annotations

import csv
import io
import ipaddress
import os
from codecs import BOM_UTF8
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.dotted import value_at
from message_passing.errors import did_you_mean, needs_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Lookup = Callable[[Any], dict[str, Any] | None]

_REMEMBERED = 10_000
"""Results that are kept for values that come again."""

_LONGEST_AGENT = 512
"""Characters of a user agent that are looked at."""

_GEO = {
    "country_code": "country.iso_code",
    "country": "country.names.en",
    "city": "city.names.en",
    "continent": "continent.code",
    "latitude": "location.latitude",
    "longitude": "location.longitude",
    "timezone": "location.time_zone",
    "asn": "autonomous_system_number",
    "organization": "autonomous_system_organization",
}
"""Our names of what MaxMind's databases (dev.maxmind.com/geoip/docs/databases) have, and theirs."""


AGENT_FIELDS = ("browser", "browser_version", "os", "os_version", "device")
"""What a user agent may tell."""


def table(data: bytes, name: str, column: str, fields: Sequence[str] = ()) -> Lookup:
    """The rows of a table, by their keys: CSV with a header, or JSON if the file's name ends so.

    JSON is an object of keys and rows, or a list of rows. A row that is no object is the field `value`. Of several
    rows with the same key, the last one counts.

    Args:
        data: the file.
        name: the file's name.
        column: which column is the key; empty: the first one.
        fields: what is to be taken of a row; a table in CSV must have it.

    Raises:
        ValueError: it is malformed.
    """
    rows = _json_rows(data, column) if name.lower().endswith(".json") else _csv_rows(data, column, fields)
    if not rows:
        raise ValueError("it has no rows")
    return lambda value: None if (key := _as_key(value)) is None else rows.get(key)


def _json_rows(data: bytes, column: str) -> dict[str, dict[str, Any]]:
    try:
        found = msgspec.json.decode(data.removeprefix(BOM_UTF8))
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ValueError(f"it is no JSON: {error}") from error
    if isinstance(found, dict):
        return {key: row if isinstance(row, dict) else {"value": row} for key, row in found.items()}
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ValueError("it is neither an object of rows nor a list of objects")
    rows: dict[str, dict[str, Any]] = {}
    name = column or next(
        iter(found[0]) if found else iter(()), ""
    )  # that of the first row: others may have it anywhere
    for number, row in enumerate(found, 1):
        if name not in row:
            raise ValueError(f"row {number} has no field {name!r}")
        if (key := _as_key(row[name])) is None:
            raise ValueError(f"row {number} has no text and no number in the field {name!r}")
        rows[key] = row
    return rows


def _csv_rows(data: bytes, column: str, fields: Sequence[str]) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
    try:
        header = next(reader, [])
        _require_columns(header, [*([column] if column else []), *fields])
        place = header.index(column) if column else 0
        for cells in reader:
            if cells and len(cells) != len(header):
                text = f"line {reader.line_num} has {len(cells)} cells, and the header {len(header)}"
                raise ValueError(text)
            if cells:
                # A column without a name is none: spreadsheets write a comma at the end of each line.
                rows[cells[place]] = {name: cell for name, cell in zip(header, cells, strict=True) if name}
    except csv.Error as error:
        raise ValueError(f"it is no CSV at line {reader.line_num}: {error}") from error
    return rows


def _require_columns(header: Sequence[str], names: Sequence[str]) -> None:
    for name in names:
        if name not in header:
            known = f", but {', '.join(header)[:200]}{did_you_mean(name, header)}" if header else ""
            raise ValueError(f"it has no column {name!r}{known}")
    if len(header) == 1 and any(sign in header[0] for sign in ";\t|"):
        raise ValueError(f"it has one column, {header[0][:100]!r}: columns are separated by commas")
    if twice := next((name for name in header if name and header.count(name) > 1), None):
        raise ValueError(f"it has more than one column {twice!r}")


def _as_key(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return str(value) if type(value) in (int, float, bool) and abs(value) < 1 << 64 else None


def maxmind_library() -> Any:
    """The library that reads databases of MaxMind.

    Raises:
        PackageError: the extra `geoip` is missing.
    """
    with needs_extra("geoip"):
        import maxminddb  # noqa: PLC0415 - an extra, for whoever asks for it
    return maxminddb


def geoip(data: bytes) -> Lookup:
    """What a MaxMind database has about an address; all of the record.

    It is read from a copy in memory: a file that is overwritten while it is mapped would end the process (mmap(2),
    SIGBUS).

    Raises:
        ValueError: it is no such database.
        PackageError: the extra `geoip` is missing.
    """
    maxminddb = maxmind_library()
    try:
        reader = _in_memory(maxminddb, data)
    except (maxminddb.InvalidDatabaseError, ValueError, OSError) as error:
        raise ValueError(f"it is no MaxMind database: {error}") from error
    known: dict[str, dict[str, Any] | None] = {}

    def look_up(value: Any) -> dict[str, Any] | None:
        if not isinstance(value, str) or len(value) > 50:
            return None
        if value in known:
            return known[value]
        if len(known) >= _REMEMBERED:
            known.clear()
        try:
            address = ipaddress.ip_address(value)
            mapped = getattr(address, "ipv4_mapped", None)
            found = reader.get(mapped or address)
        except ValueError:  # no address, or of a version that the database has not
            found = None
        except maxminddb.InvalidDatabaseError as error:
            raise OSError(f"the database is damaged: {error}") from error
        known[value] = found if isinstance(found, dict) else None
        return known[value]

    return look_up


def _in_memory(maxminddb: Any, data: bytes) -> Any:
    """A reader of a copy; by the C extension where a file in memory can be had, since it is several times as fast."""
    if not hasattr(os, "memfd_create"):
        return maxminddb.open_database(io.BytesIO(data), maxminddb.MODE_FD)
    number = os.memfd_create("mmdb")
    try:
        with open(number, "wb", closefd=False) as file:
            file.write(data)
        return maxminddb.open_database(f"/proc/self/fd/{number}", maxminddb.MODE_AUTO)
    finally:
        os.close(number)


def geo_fields(record: dict[str, Any]) -> dict[str, Any]:
    """The usual ones of a record of a MaxMind database, under our names."""
    found = {name: value_at(record, path) for name, path in _GEO.items()}
    return {name: value for name, value in found.items() if value is not None}


def user_agents() -> Lookup:
    """The browser, operating system and device that a user agent names. Only its beginning is looked at.

    Raises:
        PackageError: the extra `useragent` is missing.
    """
    with needs_extra("useragent"):
        from ua_parser import Parser  # noqa: PLC0415 - an extra, for whoever asks for it
        from ua_parser.loaders import load_builtins  # noqa: PLC0415 - likewise
        from ua_parser.regex import Resolver  # noqa: PLC0415 - likewise; Rust's regex, in linear time

        known_agents = load_builtins()  # it imports another package
    parser = Parser(Resolver(known_agents))
    known: dict[str, dict[str, Any] | None] = {}

    def look_up(value: Any) -> dict[str, Any] | None:
        if not isinstance(value, str):
            return None
        text = value[:_LONGEST_AGENT]
        if text not in known:
            if len(known) >= _REMEMBERED:
                known.clear()
            known[text] = _named(parser.parse(text.encode(errors="replace").decode()))
        return known[text]

    return look_up


def _named(found: Any) -> dict[str, Any] | None:
    fields: dict[str, Any] = {}
    for name, part in (("browser", found.user_agent), ("os", found.os)):
        if part:
            fields[name] = part.family
            versions = [one for one in (part.major, part.minor, part.patch) if one]
            if versions:
                fields[f"{name}_version"] = ".".join(versions)
    if found.device:
        fields["device"] = found.device.family
    return fields or None
