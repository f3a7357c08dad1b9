"""Add fields that are looked up: in a table, in a GeoIP database, from a user agent; or the name of this host."""

from __future__ import annotations

import asyncio
import os
import socket
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from message_passing.clock import wall
from message_passing.dotted import ABSENT, value_at, with_value
from message_passing.errors import Fault, MessagePassingError, OpenError, OptionError, UserError, did_you_mean
from message_passing.filters._lookups import (
    AGENT_FIELDS,
    geo_fields,
    geoip,
    maxmind_library,
    table,
    user_agents,
)
from message_passing.flow import Filter
from message_passing.options import option
from message_passing.secure_files import is_settled, read_file, signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.filters._lookups import Lookup

_KEYS = {"geoip": "client", "user_agent": "agent"}
_INTO = {"geoip": "geo", "user_agent": "agent_parsed"}
_FIXED = {"host": ("host",), "user_agent": AGENT_FIELDS}


class EnrichFilter(Filter):
    """Adds fields to each message.

    | `lookup` | what it adds |
    |---|---|
    | `host` | `host`: the name of this machine |
    | `table` | the row of `file` whose key is the value of the field `key`: CSV with a header, or JSON (`.json`): \
an object of keys and rows, or a list of rows; of rows with the same key, the last one; columns without a name are \
left out |
    | `geoip` | what the MaxMind database `file` has about the address in `key`: `country_code country city \
continent latitude longitude timezone asn organization`, as far as it has them; needs the extra `geoip` |
    | `user_agent` | from the user agent in `key`: `browser browser_version os os_version device`; needs the extra \
`useragent` |

    `fields` chooses which of these; of a MaxMind database, any of its own by dotted name (`country.names.de`). A
    field that the message has already is kept, unless `overwrite` is set. What is not found, or has no such field,
    passes unchanged.

    A file that has changed is read again within `reload_interval` seconds, or on SIGHUP, in a thread. If it cannot be
    read, that is reported, and what was read before stays in use. Replace it by renaming, not by writing into it.
    """

    name = "Enrich"
    example = MappingProxyType({"lookup": "host"})

    lookup: Literal["host", "table", "geoip", "user_agent"] = option(description="What is looked up.")
    key: str = option(
        default="",
        description="The field whose value is looked up. Default: `client` for `geoip`, `agent` for `user_agent`.",
    )
    file: str = option(path=True, default="", description="The table or database.")
    column: str = option(
        default="", description="The table's column that holds the keys. Default: the first one."
    )
    fields: list[str] = option(default_factory=list, description="What is added. Default: all.")
    into: str = option(
        default="",
        description="The field that it is put into. Default: the message itself; `geo` for `geoip`, `agent_parsed` "
        "for `user_agent`.",
    )
    overwrite: bool = option(default=False, description="Replace fields that a message has.")
    reload_interval: float = option(
        default=5.0, gt=0, description="Interval between two checks whether the file has changed, in seconds."
    )
    max_bytes: int = option(default=256 << 20, ge=1, description="The largest file that is read.")

    def on_init(self) -> None:
        """Check the options against each other.

        Raises:
            OptionError: one is missing, or has no effect with this lookup.
            PackageError: an extra is missing.
        """
        super().on_init()
        self._path = self.key or _KEYS.get(self.lookup, "")
        self._into = self.into or _INTO.get(self.lookup, "")
        faults = [
            Fault(
                f"{self.label}: `{name}` {'is missing' if needed else 'has no effect'} with {self.lookup}",
                name,
            )
            for name, given, needed in (
                ("file", self.file, self.lookup in ("table", "geoip")),
                ("key", self._path, self.lookup != "host"),
            )
            if bool(given) is not needed
        ]
        if self.column and self.lookup != "table":
            faults.append(Fault(f"{self.label}: `column` has no effect with {self.lookup}", "column"))
        known = _FIXED.get(self.lookup, ())
        for name in self.fields if known else ():
            if name not in known:
                hint = did_you_mean(name, known) or f": {self.lookup} has {', '.join(known)}"
                faults.append(Fault(f"{self.label}: there is no {name!r}{hint}", "fields"))
        if faults:
            raise OptionError(*faults)
        self._look_up: Lookup = user_agents() if self.lookup == "user_agent" else lambda _value: None
        if self.lookup == "geoip":
            maxmind_library()
        self._seen: tuple[int, ...] = ()
        self._problem = ""
        self._found = self._not_found = 0

    def on_open(self) -> None:
        """Read the file.

        Raises:
            OpenError: it cannot be read, or is malformed.
        """
        super().on_open()
        if self.lookup == "host":
            name = {"host": socket.gethostname()}
            self._look_up = lambda _value: name
        elif self.file:
            try:
                self._look_up, self._seen = self._read()
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else error
                raise OpenError(Fault(f"cannot use {self.file}: {reason}", "file")) from error

    def _read(self) -> tuple[Lookup, tuple[int, ...]]:
        """The file as it is now, and what it is recognized by: by nothing, if it may still be written to.

        Raises:
            OSError, ValueError, UserError: it cannot be read, or is malformed.
        """
        data, found = read_file(self.file, "file", limit=self.max_bytes)
        make = geoip if self.lookup == "geoip" else self._table
        return make(data), signature(found) if is_settled(found, wall()) else ()

    def _table(self, data: bytes) -> Lookup:
        return table(data, self.file, self.column, self.fields)

    def filter(self, message: Any) -> Any:
        """Return the message with what was found."""
        if not isinstance(message, dict):
            return message
        value = value_at(message, self._path, ABSENT) if self._path else None
        if value is ABSENT:
            return message
        try:
            found = self._look_up(value)
        except OSError as error:
            self.report(error, [message])
            found = None
        if found is None:
            self._not_found += 1
            return message
        self._found += 1
        return self._added(message, found)

    def _added(self, message: dict[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
        whole: Any = found
        if self.lookup == "geoip" and not self.fields:
            whole = geo_fields(whole)
        changed = message
        for name in self.fields or whole:
            value = value_at(whole, name, ABSENT)
            path = f"{self._into}.{name}" if self._into else name
            if value is not ABSENT and (self.overwrite or value_at(message, path, ABSENT) is ABSENT):
                changed = with_value(changed, path, value)
        return changed

    async def background(self) -> None:
        """Read the file again when it has changed."""
        while self.file:
            await asyncio.sleep(self.reload_interval)
            await self._reload_changed()

    async def _reload_changed(self) -> None:
        try:
            if signature(await asyncio.to_thread(os.stat, self.file)) != self._seen:
                self._use(*await asyncio.to_thread(self._read))
        except (OSError, ValueError, UserError) as error:
            self._keep(error)

    def reopen(self) -> None:
        """SIGHUP: read the file again."""
        if self.file and self.is_open:
            try:
                self._use(*self._read())
            except (OSError, ValueError, UserError) as error:
                self._keep(error)

    def _use(self, look_up: Lookup, seen: tuple[int, ...]) -> None:
        self._look_up, self._seen, self._problem = look_up, seen, ""

    def _keep(self, error: Exception) -> None:
        text = f"cannot use {self.file}, and goes on with what it was: {error}"
        if text != self._problem:  # once, and not at each look
            self._problem = text
            self.report(MessagePassingError(text))

    def problems(self) -> list[str]:
        """That the file as it is now cannot be used."""
        return [*super().problems(), *([self._problem] if self._problem else [])]

    def info(self) -> Mapping[str, Any]:
        """How many values were found, and how many were not."""
        return {**super().info(), "found": self._found, "not_found": self._not_found}
