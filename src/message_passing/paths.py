"""From `+package.module:name` to the object it names: how a user's own classes and functions are reached.

A user's module may lie in the working directory. Only the module that a `+path` names is looked for there, after
every other place; what that module imports in turn is looked for beside it. `sys.path` is unchanged: a `yaml.py`
in the working directory must not be taken for the package that we need.
"""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import contextmanager
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

from message_passing.errors import ComponentError, PackageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import FrameType, ModuleType


def load(path: str, what: str, *, local: bool = True) -> object:
    """Import the module that `path` names, and return what it names there.

    Args:
        path: `package.module:name` or `package.module.name`, without the `+`.
        what: what is expected there, for messages: `Class`, `function`.
        local: the module may lie in the working directory.

    Raises:
        ComponentError: the path is malformed, its module cannot be imported, or has no such name.
    """
    module_name, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    if not module_name or not name or path.count(":") > 1:
        raise ComponentError(f"'+{path}' is not a {what.lower()}'s path: write +package.module:{what}")
    if "/" in module_name or module_name.startswith("."):
        raise ComponentError(f"'+{path}' is not a {what.lower()}'s path{_path_hint(module_name, name, what)}")
    module = _import(path, module_name, local=local)
    found: object = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        alike = [known for known, value in vars(module).items() if callable(value)]
        raise ComponentError(f"module {module_name!r} has no {name!r}{did_you_mean(name, alike)}")
    return found


def _path_hint(module_name: str, name: str, what: str) -> str:
    """What to write instead of a file's name."""
    right = module_name.removeprefix("./").removesuffix(".py").replace("/", ".")
    if all(part.isidentifier() for part in right.split(".")):
        return f" (did you mean '+{right}:{name}'?)"
    return f": write +package.module:{what}, from a folder where Python finds it or the working directory"


def load_own(path: str) -> Any:
    """Import a module of this package on demand, and return what `path` names in it.

    Args:
        path: `package.module:name`.

    Raises:
        PackageError: the module needs a package that is not installed, or broken, or a module that Python lacks.
    """
    module_name, _, name = path.partition(":")
    with needs_python_modules():
        module = importlib.import_module(module_name)
    return getattr(module, name)


@contextmanager
def needs_python_modules() -> Iterator[None]:
    """Wrap an import of ours: Python may have been built without some modules of its library, as bz2 and sqlite3.

    Raises:
        PackageError: one is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = error.name or ""
        if name.partition(".")[0] not in sys.stdlib_module_names:
            raise
        text = f"this needs Python's module {name.lstrip('_')!r}, which is missing here"
        raise PackageError(f"{text}: build or install a Python that has it") from error


def local_modules() -> Mapping[str, str]:
    """The modules that `+paths` have named so far, without what is within them, and the folder of each."""
    return dict(_finder.folders)


def allow_local(modules: Mapping[str, str]) -> None:
    """Find these modules in these folders if nowhere else: as another process's `local_modules` reported."""
    _finder.folders.update(modules)
    sys.meta_path.append(_finder)


class _LocalFinder:
    """The last of the finders in `sys.meta_path` (docs.python.org/3/reference/import.html#the-meta-path).

    Attributes:
        folders: where to look for each module that a path has named.
    """

    def __init__(self) -> None:
        self.folders: dict[str, str] = {}
        self._neighbours: dict[str, str] = {}  # folders of modules that those have imported from beside them

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module of this name, if a path named it, or a module that a path named imports it."""
        if path is not None:  # a module of a package, which knows its folder
            return None
        folder = self.folders.get(name)
        if folder is not None:
            return PathFinder.find_spec(name, [folder], target)
        importer = _importer(sys._getframe(1))  # noqa: SLF001 - a finder is not told otherwise who imports
        folder = self.folders.get(importer) or self._neighbours.get(importer)
        spec = PathFinder.find_spec(name, [folder], target) if folder else None
        if spec and folder:
            self._neighbours[name] = folder
        return spec


def _importer(frame: FrameType | None) -> str:
    """The outermost package of the module whose code imports something; empty if there is none."""
    while frame:
        name = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if name not in ("importlib", "_frozen_importlib", "_frozen_importlib_external"):
            return name
        frame = frame.f_back
    return ""


_finder = _LocalFinder()


def _import(path: str, module_name: str, *, local: bool) -> ModuleType:
    searched = f"on the path or in {_allow_here(module_name.partition('.')[0])}" if local else "on the path"
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            file = module_name.endswith(".py")
            hint = f" (did you mean '+{path.replace('.py', '', 1)}'?)" if file else ""
            raise ComponentError(f"'+{path}': there is no module {error.name!r} {searched}{hint}") from error
        raise ComponentError(
            f"'+{path}' cannot be imported: it imports {error.name!r}, which is missing"
        ) from error
    except Exception as error:
        raise ComponentError(f"'+{path}' cannot be imported: {type(error).__name__}: {error}") from error


def _allow_here(name: str) -> str:
    """Find this module in the working directory if nowhere else; returns the directory's name, for messages."""
    if _finder not in sys.meta_path:
        sys.meta_path.append(_finder)
    try:
        here = os.getcwd()  # noqa: PTH109 - finders take strings
    except OSError:  # it has been removed, so nothing can be found in it
        return "the working directory, which is not there any more"
    if name not in sys.modules:
        _finder.folders[name] = here
    return here
