"""`doctor` for servers of engines: which package knows an address, and the steps up to the connection."""

from __future__ import annotations

import importlib
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from message_passing.cli.endpoint_probe import not_connected, resolve
from message_passing.config.parsing import options_from_text
from message_passing.errors import OpenError, OptionError
from message_passing.network.diagnosis import EngineDiagnosis, Step

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

_SCHEMES = re.compile(r"^    schemes = \(([^)\n]*)\)$", re.MULTILINE)


def _diagnosis_of(endpoint: str) -> type[EngineDiagnosis] | None:
    """What examines servers with such an address; None if no package of ours does.

    Raises:
        ComponentError: one does, and its extra is not installed.
    """
    scheme = endpoint.partition("://")[0]
    for path in sorted(Path(__file__).parents[1].glob("*/diagnosis.py")):
        declared = _SCHEMES.search(path.read_text(encoding="utf-8"))
        if declared and scheme in re.findall(r'"(\w+)"', declared[1]):
            module = importlib.import_module(f"message_passing.{path.parent.name}.diagnosis")
            found = (
                one for one in vars(module).values() if getattr(one, "__module__", "") == module.__name__
            )
            return next(one for one in found if isinstance(one, type) and issubclass(one, EngineDiagnosis))
    return None


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
    if cls := _diagnosis_of(given.endpoint):
        return _examined(cls, given.endpoint, options, given.timeout)
    if options:
        raise OpenError(f"--options is for servers of engines, as nats://HOST:PORT, not for {given.endpoint}")
    return None


def _examined(
    cls: type[EngineDiagnosis], endpoint: str, options: Mapping[str, Any], timeout: float
) -> Iterator[Step]:
    """Examine a server, up to a step that fails."""
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
