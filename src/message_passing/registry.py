"""Resolving a component's short name to its class, importing nothing that is not needed.

A built-in component's module is found by its file name: `Socket::UDP` is `socket_udp.py`, in any case and
with any punctuation. `+package.module:Class` names a class by its path. Other names are looked up among
the entry points `message_passing.inputs`, `.decoders`, `.filters`, `.encoders` and `.outputs`, which
cannot replace a built-in one.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from message_passing import paths
from message_passing.errors import ComponentError, Fault, did_you_mean
from message_passing.flow import Decoder, Encoder, Filter, Input, Output

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints
    from types import ModuleType

    from message_passing.component import Component

PACKAGES = {
    "input": "inputs",
    "decoder": "codecs",
    "filter": "filters",
    "encoder": "codecs",
    "output": "outputs",
}
"""Each kind of component, in the order of a chain, and the package of its built-in ones."""

BASES: dict[str, type[Component]] = {
    "input": Input,
    "decoder": Decoder,
    "filter": Filter,
    "encoder": Encoder,
    "output": Output,
}

_REQUIRED_METHOD = {"input": "run", "decoder": "filter", "filter": "filter", "encoder": "filter"}
_PERL_PREFIX = re.compile(r"\+?Message::Passing::(?:Input|Output|Filter(?:::(?:En|De)coder)?)::")


class Found(NamedTuple):
    """A component found by its name.

    Attributes:
        cls: its class.
        name: its name in commands and config files, whatever the class's own name is.
    """

    cls: type[Component]
    name: str


def find(kind: str, name: str) -> type[Component]:
    """The class that `name` stands for; see `look_up`."""
    return look_up(kind, name).cls


def look_up(kind: str, name: str) -> Found:
    """The component that `name` stands for.

    Args:
        kind: a key of `PACKAGES`.
        name: a short name, `+package.module:Class`, `+package.module.Class`, or the original's full name.

    Raises:
        ComponentError: there is no such component, it cannot be imported, or is of another kind.
    """
    short = _PERL_PREFIX.sub("", name)
    if short.startswith("+"):
        return Found(_by_path(kind, short[1:]), short)
    stem = _files(kind).get(_fold(short))
    if stem and (cls := _class_in(_import_built_in(kind, stem, short), kind)):
        return Found(cls, cls.name)
    for entry_point in _plugged_in(kind):
        if _fold(entry_point.name) == _fold(short):
            return Found(_by_path(kind, entry_point.value, local=False), entry_point.name)
    known = names(kind)
    hint = (
        path_hint(short)
        or did_you_mean(short, known)
        or f" (there are {', '.join(known)}; or +package.module:Class)"
    )
    raise ComponentError(f"there is no {kind} {name!r}{hint}")


_NAME = re.compile(r'^    name = "([^"]+)"$', re.MULTILINE)
_PATH = re.compile(r"(?:\./)?(?P<module>[A-Za-z_]\w*(?:[./][A-Za-z_]\w*)*?)(?:\.py)?:(?P<name>[A-Za-z_]\w*)")


def path_hint(name: str) -> str:
    """The hint ` (did you mean '+package.module:Class'?)` for a class's path without its `+`."""
    found = _PATH.fullmatch(name)
    if not found or found["module"] in PACKAGES:  # `input:ZeroMQ`
        return ""
    path = f"+{found['module'].replace('/', '.')}:{found['name']}"
    return f" (did you mean {path!r}? A class of your own is named with a +)"


@functools.cache
def names(kind: str) -> list[str]:
    """The documented short names of all components of this kind, including plug-ins."""
    found = []
    for stem in _files(kind).values():
        try:
            module = _import_built_in(kind, stem, stem)
        except ComponentError:  # its optional dependency is missing
            found.append(_written_name(kind, stem))
        else:
            found += [cls.name] if (cls := _class_in(module, kind)) else []
    built_in = _files(kind)
    plugged = [one.name for one in _plugged_in(kind) if _fold(one.name) not in built_in]
    return sorted({*found, *plugged}, key=str.casefold)


def _written_name(kind: str, stem: str) -> str:
    """The name of a component whose module cannot be imported, as it is written there."""
    spec = importlib.util.find_spec(f"message_passing.{PACKAGES[kind]}.{stem}")
    written = _NAME.search(Path(spec.origin).read_text(encoding="utf-8")) if spec and spec.origin else None
    return written[1] if written else stem


def _plugged_in(kind: str) -> EntryPoints:
    from importlib.metadata import entry_points  # noqa: PLC0415 - a sixth of our start-up, seldom needed

    return entry_points(group=f"message_passing.{kind}s")


def _fold(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


@functools.cache
def _files(kind: str) -> dict[str, str]:
    spec = importlib.util.find_spec(f"message_passing.{PACKAGES[kind]}")
    locations = spec.submodule_search_locations if spec else []
    stems = [info.name for info in pkgutil.iter_modules(locations) if not info.name.startswith("_")]
    return {_fold(stem): stem for stem in stems}


def _import_built_in(kind: str, stem: str, name: str) -> ModuleType:
    try:
        with paths.needs_python_modules():
            return importlib.import_module(f"message_passing.{PACKAGES[kind]}.{stem}")
    except ComponentError as error:
        raise type(error)(*(Fault(f"{kind} {name!r}: {fault.text}") for fault in error.faults)) from error


def _class_in(module: ModuleType, kind: str) -> type[Component] | None:
    """The module's component of this kind: a codec may be an encoder only."""
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module.__name__ and value.__dict__.get("name"):
            cls: type[Component] = value
            if cls.kind == kind:
                return cls
    return None


def _by_path(kind: str, path: str, *, local: bool = True) -> type[Component]:
    found = paths.load(path, "Class", local=local)
    base = BASES[kind]
    needed = Filter if kind in ("encoder", "decoder") else base
    if not (isinstance(found, type) and issubclass(found, needed)):
        raise ComponentError(
            f"'+{path}' is no {kind}: it must be a subclass of message_passing.{needed.__name__}"
        )
    _check_methods(kind, path, found, needed)
    return found


def _check_methods(kind: str, path: str, cls: type[Component], base: type[Component]) -> None:
    method = _REQUIRED_METHOD.get(kind, "write")
    hooks = {
        "filter": ("filter", "filter_many", "keeps", "write", "write_many"),
        "write": ("write", "write_many"),
    }
    for hook in hooks.get(method, (method,)):
        if getattr(cls, hook) is not getattr(base, hook):
            return
    raise ComponentError(f"'+{path}' lacks the method {method!r} that every {kind} defines")
