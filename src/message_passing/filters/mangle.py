"""Change or drop messages with a function (Message::Passing::Filter::Mangle)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from message_passing import paths
from message_passing.errors import ComponentError, Fault, OptionError
from message_passing.flow import Filter
from message_passing.options import option


class MangleFilter(Filter):
    """Calls a function of yours with each message and passes on what it returns.

    The function drops a message by returning None. If it raises, the exception and the message go to the error chain.

        MangleFilter(filter_function=lambda message: {**message, "seen": True}, output_to=...)

    From the command line or a config file, give its path. The working directory is searched too:

        --filter Mangle --filter_options '{"filter_function": "+my_module:redact"}'
    """

    name = "Mangle"
    example = MappingProxyType({"filter_function": "+copy:copy"})

    filter_function: str | Callable[[Any], Any] = option(
        description="The function, or in text its path: `+package.module:function`."
    )

    def on_init(self) -> None:
        """Import the function when it is given by its path.

        Raises:
            OptionError: it cannot be found or imported, or cannot be called with a message.
        """
        super().on_init()
        function = self.filter_function
        if isinstance(function, str):
            function = self._load(function)
        if inspect.iscoroutinefunction(function):
            raise self._fault("'filter_function' must be a plain function, not an async one")
        self._function = function

    def filter(self, message: Any) -> Any:
        """Return the result of the function."""
        return self._function(message)

    def _load(self, path: str) -> Callable[[Any], Any]:
        try:
            found = paths.load(path.removeprefix("+"), "function")
        except ComponentError as error:
            raise self._fault(error.faults[0].text) from error
        if not callable(found):
            raise self._fault(f"'{path}' is not a function but {type(found).__name__}")
        return found

    def _fault(self, text: str) -> OptionError:
        return OptionError(Fault(f"{self.label}: {text}", "filter_function"))
