"""Ship logs and events over ZeroMQ without ever blocking your application.

    Input -> Decoder -> Filter -> Encoder -> Output

The contract for writing components is here; the built-in ones are in `message_passing.inputs`,
`.filters`, `.codecs` and `.outputs`, each in a module of its own that is imported only when it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from message_passing.chain import Chain, message_chain
    from message_passing.delivery import Outcome
    from message_passing.flow import Decoder, Encoder, Filter, Input, Output
    from message_passing.options import option
    from message_passing.runner import run_message_server
    from message_passing.version import __version__

__all__ = [
    "Chain",
    "Decoder",
    "Encoder",
    "Filter",
    "Input",
    "Outcome",
    "Output",
    "__version__",
    "message_chain",
    "option",
    "run_message_server",
]

# An application that only logs must not pay for the event loop and the chain: each name is imported when it
# is first used.
_HOMES = {
    "Chain": "chain",
    "Decoder": "flow",
    "Encoder": "flow",
    "Filter": "flow",
    "Input": "flow",
    "Outcome": "delivery",
    "Output": "flow",
    "__version__": "version",
    "message_chain": "chain",
    "option": "options",
    "run_message_server": "runner",
}


def __getattr__(name: str) -> object:
    """A public name, from the module that it lives in."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
