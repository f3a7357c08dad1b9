"""Logs and events from many processes, over ZeroMQ, to wherever they are wanted.

    Input -> Decoder -> Filter -> Encoder -> Output

The contract for writing components is here; the built-in ones are in `message_passing.inputs`,
`.filters`, `.codecs` and `.outputs`, each in a module of its own that is imported only when it is used.
"""

from message_passing.chain import Chain, message_chain
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
    "Output",
    "__version__",
    "message_chain",
    "option",
    "run_message_server",
]
