"""A command of its own: collects messages over ZeroMQ, and writes them where its user wants them."""

from message_passing import Chain, message_chain, option
from message_passing.cli.script import CLIComponent, Script


class Collector(Script):
    """Collect log messages over ZeroMQ."""

    prog = "collector"

    socket_bind: str = option(default="tcp://*:5558", description="Where to listen.")
    output = CLIComponent("output", default="STDOUT")

    def build_chain(self) -> Chain:
        with message_chain() as chain:
            chain.input("zmq", "ZeroMQ", socket_bind=self.socket_bind, output_to="out")
            self.output.declare(chain, "out")
        return chain


if __name__ == "__main__":
    Collector.start()
