"""Publishing in Redis, and receiving what is published, against a real server."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.cli.chain_probe import try_ends
from message_passing.errors import OptionError
from message_passing.inputs.redis import RedisInput
from message_passing.outputs.redis import RedisOutput
from message_passing.testing import ListInput, run_input, running, wait_for
from redis_server import needs_redis
from support import Kept

if TYPE_CHECKING:
    from redis_server import RedisServer

pytestmark = needs_redis


def receiver(server: RedisServer, to: Kept, topics: Any) -> RedisInput:
    """An input that connects again soon."""
    return RedisInput(port=server.port, topics=topics, reconnect_longest=0.1, error=Kept(), output_to=to)


def publish(server: RedisServer, messages: list[bytes], topic: str = "logs") -> RedisOutput:
    """Publish messages, by the output."""
    to = RedisOutput(port=server.port, topic=topic, batch_age=0.0)
    run_input(ListInput(messages=messages, output_to=to), timeout=60)
    assert to.metrics.lost() == 0
    return to


def subscribers(server: RedisServer, topic: str = "logs") -> int:
    """How many have subscribed to a topic."""
    found: int = server.ask("PUBSUB", "NUMSUB", topic)[1]
    return found


def test_what_is_published_arrives_in_order_and_again_after_the_server_was_killed(
    server: RedisServer,
) -> None:
    """More than the input keeps at a time; of names and patterns; the loss of the connection is told."""
    kept = Kept()
    source = receiver(server, kept, "logs, app.*")
    messages = [b"%d" % number for number in range(5000)]
    with running(source):
        wait_for(lambda: subscribers(server) == 1, timeout=20)
        assert publish(server, messages).info()["unheard"] == 0
        wait_for(lambda: len(kept.messages) == 5000, timeout=20)
        server.end(signal.SIGKILL)
        wait_for(lambda: "no server listens there" in str(source.problems()), timeout=20)
        server.start()
        wait_for(lambda: subscribers(server) == 1 and not source.problems(), timeout=20)
        publish(server, [b"last"], "app.1")
        wait_for(lambda: len(kept.messages) == 5001, timeout=20)
    assert kept.messages == [*messages, b"last"]
    assert "what is published meanwhile is not received" in str(source.error.messages)


def test_what_nobody_hears_is_counted(server: RedisServer) -> None:
    """The server takes it, and it is gone: whoever looks at the node is told."""
    to = publish(server, [b"1", b"2", b"3"])
    assert to.info()["unheard"] == 3
    assert [str(one) for one in try_ends([to], 20)] == [
        f"ok      Redis output {server.url}: connected"
    ]  # check --connect
    assert "nobody is subscribed to the topic 'logs'" in str(to.notes())


def test_what_the_server_refuses_is_told_and_published_once_it_accepts(server: RedisServer) -> None:
    """A password that is wrong, or a command that is not allowed."""
    kept = Kept()
    to = RedisOutput(port=server.port, topic="logs", retry_first=0.01, retry_longest=0.1, error=Kept())
    source = receiver(server, kept, ["logs"])
    with running(source):
        wait_for(lambda: subscribers(server) == 1, timeout=20)
        server.ask("ACL", "SETUSER", "default", "-publish")
        with running(ListInput(messages=[b"1"], output_to=to)):
            wait_for(lambda: "the server does not allow it" in str(to.problems()), timeout=20)
            server.ask("ACL", "SETUSER", "default", "+publish")
            wait_for(lambda: kept.messages, timeout=20)
    assert kept.messages == [b"1"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"topics": " , "}, "topics: give at least one"),
        ({"topics": "logs", "hostname": "redis://here"}, "is no host name or address"),
        ({"topics": "logs", "tls_ca": "ca.pem"}, "tls_ca needs the option tls"),
    ],
)
def test_mistakes_in_the_options_are_told(options: dict[str, Any], said: str) -> None:
    """Before anything connects."""
    with pytest.raises(OptionError) as caught:
        RedisInput(**options)
    assert said in str(caught.value)
