"""What the author of a component needs to test it.

    from message_passing.testing import capture, check_component

    def test_contract():
        check_component(Redact)

    def test_removes_passwords():
        redact = Redact()
        arrived = capture(redact)
        redact.consume({"user": "me", "password": "secret"})
        assert arrived.messages == [{"user": "me"}]

`check_component` tests a component against the contract of all components. `capture` keeps what a component passes
on, `ListInput` feeds a chain from a list, `run_input` runs an input to its end, `running` runs one during a test, and
`wait_for` and `free_port` are for real sockets, files and processes.
"""

from message_passing.outputs.test import TestOutput
from message_passing.testing._contract import ContractError, check_component
from message_passing.testing._tools import ListInput, capture, free_port, run_input, running, wait_for

__all__ = [
    "ContractError",
    "ListInput",
    "TestOutput",
    "capture",
    "check_component",
    "free_port",
    "run_input",
    "running",
    "wait_for",
]
