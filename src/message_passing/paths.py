"""From `+package.module:name` to the object it names: how a user's own classes and functions are reached."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

from message_passing.errors import ComponentError, did_you_mean

if TYPE_CHECKING:
    from types import ModuleType


def load(path: str, what: str) -> object:
    """Import the module that `path` names, from the working directory too, and return what it names there.

    Args:
        path: `package.module:name` or `package.module.name`, without the `+`.
        what: what is expected there, for messages: `Class`, `function`.

    Raises:
        ComponentError: the path is malformed, its module cannot be imported, or has no such name.
    """
    module_name, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    if not module_name or not name or path.count(":") > 1:
        raise ComponentError(f"'+{path}' is not a {what.lower()}'s path: write +package.module:{what}")
    module = _import(path, module_name)
    found: object = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        alike = [known for known, value in vars(module).items() if callable(value)]
        raise ComponentError(f"module {module_name!r} has no {name!r}{did_you_mean(name, alike)}")
    return found


def _import(path: str, module_name: str) -> ModuleType:
    try:
        here = os.getcwd()  # noqa: PTH109 - sys.path holds strings
    except OSError:  # somebody has removed it, and nothing can be found in it
        here = "the working directory, which is not there any more"
    else:
        if here not in sys.path and "" not in sys.path:
            sys.path.append(here)
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise ComponentError(
                f"'+{path}': there is no module {error.name!r} on the path or in {here}"
            ) from error
        raise ComponentError(
            f"'+{path}' cannot be imported: it imports {error.name!r}, which is missing"
        ) from error
    except Exception as error:
        raise ComponentError(f"'+{path}' cannot be imported: {type(error).__name__}: {error}") from error
