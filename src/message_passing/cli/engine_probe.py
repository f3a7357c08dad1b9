"""`doctor` for servers of engines: which package knows an address, and the steps up to the connection."""

from __future__ import annotations

import importlib
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from message_passing import registry
from message_passing.cli.endpoint_probe import not_connected, resolve
from message_passing.config.parsing import options_from_text
from message_passing.errors import OpenError, OptionError, did_you_mean
from message_passing.network.diagnosis import EngineDiagnosis, Step
from message_passing.options import declared
from message_passing.zeromq.endpoints import TRANSPORTS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Mapping

_SCHEMES = re.compile(r"^    schemes = \(([^)\n]*)\)$", re.MULTILINE)


def _engines() -> dict[str, str]:
    """The names of packages that examine servers, by the scheme of their addresses."""
    found: dict[str, str] = {}
    for path in sorted(Path(__file__).parents[1].glob("*/diagnosis.py")):
        if declared := _SCHEMES.search(path.read_text(encoding="utf-8")):
            found |= dict.fromkeys(re.findall(r'"(\w+)"', declared[1]), path.parent.name)
    return found


def _diagnosis_in(package: str) -> type[EngineDiagnosis]:
    """What examines servers.

    Raises:
        ComponentError: the extra of this package is not installed.
    """
    module = importlib.import_module(f"message_passing.{package}.diagnosis")
    found = (one for one in vars(module).values() if getattr(one, "__module__", "") == module.__name__)
    return next(one for one in found if isinstance(one, type) and issubclass(one, EngineDiagnosis))


def _unknown(endpoint: str, scheme: str, engines: Iterable[str]) -> Iterator[Step]:
    known = [*TRANSPORTS, *engines]
    hint = did_you_mean(scheme, known) or f" (there are {', '.join(known)})"
    advice = "write it as the component has it: tcp://logs.example.org:5558, nats://127.0.0.1:4222"
    yield Step("endpoint", f"{endpoint!r}: there is no transport {scheme!r}{hint}", advice)


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add the option for those of the engine's components."""
    text = "of the engine's component, as JSON or NAME=VALUE: its stream, credentials, certificates"
    parser.add_argument("--options", action="append", default=[], metavar="OPTIONS", help=text)


def engine_steps(given: argparse.Namespace) -> Iterator[Step] | None:
    """The steps to a server of an engine; None if it is none.

    Args:
        given: `endpoint`, `options`, and `timeout`, seconds for each step.

    Raises:
        UserError: the options are wrong, or not for this endpoint, or an extra is not installed.
    """
    options = options_from_text(given.options)
    engines = _engines()
    scheme, separator, _ = given.endpoint.partition("://")
    if package := engines.get(scheme):
        return _examined(_diagnosis_in(package), given.endpoint, options, given.timeout)
    if separator and scheme not in TRANSPORTS:
        return _unknown(given.endpoint, scheme, engines)
    if options:
        raise OpenError(f"--options is for servers of engines, as nats://HOST:PORT, not for {given.endpoint}")
    return None


def _examined(
    cls: type[EngineDiagnosis], endpoint: str, options: Mapping[str, Any], timeout: float
) -> Iterator[Step]:
    """Examine a server, up to a step that fails."""
    # A user gives the options that the components have; those that only say how to read or write are none of ours.
    others = {name for kind in ("input", "output") for name in declared(registry.find(kind, cls.name))}
    options = {name: one for name, one in options.items() if name in declared(cls) or name not in others}
    try:
        found = cls.make({**options, cls.address_option: cls.address_of(endpoint)}, from_text=True)
    except OptionError as error:
        reasons = [one.text for one in error.faults if cls.address_option in str(one.where)]
        if not reasons:
            raise
        yield Step("endpoint", "; ".join(reasons), "write it as the components have it")
        return
    yield Step("endpoint", f"{endpoint} is an endpoint")
    shown = str(found.info()["endpoints"][0])
    parts = urlsplit(shown if "://" in shown else f"//{shown}")
    host, port = parts.hostname or "", parts.port or 0
    _, step = resolve(host, port)
    yield step
    if step.ok:
        yield (step := _connected(host, port, timeout))
    if step.ok:
        yield from found.examine(timeout)


def _connected(host: str, port: int, timeout: float) -> Step:
    place = f"{host} port {port}"
    try:
        socket.create_connection((host, port), timeout).close()
    except OSError as error:
        return not_connected(place, error, timeout, "start the server; check on which address it listens")
    return Step("connect", f"{place} accepts connections")
