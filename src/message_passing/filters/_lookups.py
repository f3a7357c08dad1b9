"""What `Enrich` looks values up in: tables in files, MaxMind databases, and user agents' names."""

from __future__ import annotations

import csv
import io
import ipaddress
import os
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.dotted import value_at
from message_passing.errors import needs_extra

if TYPE_CHECKING:
    from collections.abc import Callable

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


def table(data: bytes, name: str, column: str) -> Lookup:
    """The rows of a table, by their keys: CSV with a header, or JSON if the file's name ends so.

    JSON is an object of keys and rows, or a list of rows. A row that is no object is the field `value`.

    Args:
        data: the file.
        name: the file's name.
        column: which column is the key; empty: the first one.

    Raises:
        ValueError: it is malformed.
    """
    rows = _json_rows(data, column) if name.lower().endswith(".json") else _csv_rows(data, column)
    if not rows:
        raise ValueError("it has no rows")
    return lambda value: rows.get(_as_key(value))


def _json_rows(data: bytes, column: str) -> dict[str, dict[str, Any]]:
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ValueError(f"it is no JSON: {error}") from error
    if isinstance(found, dict):
        return {key: row if isinstance(row, dict) else {"value": row} for key, row in found.items()}
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ValueError("it is neither an object of rows nor a list of objects")
    rows: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(found, 1):
        key = column or next(iter(row), "")
        if key not in row:
            raise ValueError(f"row {number} has no field {key!r}")
        rows[_as_key(row[key])] = row
    return rows


def _csv_rows(data: bytes, column: str) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
    try:
        header = next(reader, [])
        if column and column not in header:
            raise ValueError(f"it has no column {column!r}, but {', '.join(header)[:200]}")
        place = header.index(column) if column else 0
        for cells in reader:
            if cells and len(cells) != len(header):
                text = f"line {reader.line_num} has {len(cells)} cells, and the header {len(header)}"
                raise ValueError(text)
            if cells:
                rows[cells[place]] = dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise ValueError(f"it is no CSV at line {reader.line_num}: {error}") from error
    return rows


def _as_key(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if type(value) in (int, float, bool) and abs(value) < 1 << 64 else ""


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
