"""Nodes of ours and of the Perl original on either end of one socket, in every pairing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from message_passing.testing import free_port, wait_for
from nodes import OURS, PERL, lines, node, part, wait_for_port

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 10_000

# An application of the original's: what it reads, line by line, it consumes into its ZeroMQ output. (Its own
# STDIN input takes one line each time that select() fires, and leaves the rest of what it read in its buffer.)
PERL_APPLICATION = """
use JSON::MaybeXS; use Message::Passing::Filter::Encoder::JSON; use Message::Passing::Output::ZeroMQ;
my $log = Message::Passing::Filter::Encoder::JSON->new(
    output_to => Message::Passing::Output::ZeroMQ->new(%{ decode_json($ARGV[0]) }));
while (<STDIN>) { $log->consume(decode_json($_)) }
"""
PAIRS = {"ours to ours": (OURS, OURS), "ours to Perl": (OURS, PERL), "Perl to ours": (PERL, OURS)}


@pytest.mark.perl
@pytest.mark.parametrize("binds", ["sender binds", "receiver binds"])
@pytest.mark.parametrize("types", [("PUB", "SUB"), ("PUSH", "PULL")], ids="-".join)
@pytest.mark.parametrize("pair", PAIRS)
def test_every_message_arrives_once(tmp_path: Path, pair: str, types: tuple[str, str], binds: str) -> None:
    """Ten thousand messages sent by one node are the ten thousand that the other one writes."""
    sending, receiving = PAIRS[pair]
    port, arrived = free_port(), tmp_path / "arrived.log"
    here = {"connect": f"tcp://127.0.0.1:{port}"}
    there = {"socket_bind": f"tcp://127.0.0.1:{port}"}
    to, at = (there, here) if binds == "sender binds" else (here, there)
    # The original sleeps this long in the sender, and loses what it sends if nobody has subscribed by then;
    # its binding PUB is bound by its first message, and always loses that.
    publishes = sending == PERL and types[0] == "PUB"
    patience = {"subscribe_delay": 2} if publishes else {}
    lost = b'{"n":-1}\n' if publishes and binds == "sender binds" else b""
    sent = [json.dumps({"n": n, "text": f"line {n}: \u00e9\u4e16"}) for n in range(COUNT)]

    receiver = [
        *part("input", "ZeroMQ", socket_type=types[1], **at),
        *part("output", "File", filename=str(arrived)),
    ]
    options = {"socket_type": types[0], **to, **patience}
    if sending == PERL:
        sending, sender = ("perl", "-e", PERL_APPLICATION), [json.dumps(options)]
    else:
        sender = [*part("output", "ZeroMQ", **options), "--input", "STDIN"]
    with node(*receiver, command=receiving) as _:
        wait_for(arrived.exists, timeout=20)
        if at is there:
            wait_for_port(port)
        with node(*sender, command=sending) as source:
            source.write(lost + "".join(f"{line}\n" for line in sent).encode())
            wait_for(lambda: len(lines(arrived)) >= COUNT, timeout=60)
    got = [json.loads(line) for line in lines(arrived)]
    assert sorted(got, key=lambda message: message["n"]) == [json.loads(line) for line in sent]


@pytest.mark.perl
def test_the_prefix_of_a_perl_subscriber_is_honoured(tmp_path: Path) -> None:
    """A Perl SUB with a prefix gets the messages that begin with it, and no others."""
    port, arrived = free_port(), tmp_path / "arrived.log"
    receiver = [
        *part("input", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{port}", subscribe=['{"a"']),
        *part("output", "File", filename=str(arrived)),
    ]
    sender = [*part("output", "ZeroMQ", connect=f"tcp://127.0.0.1:{port}"), "--input", "STDIN"]
    with node(*receiver, command=PERL):
        wait_for_port(port)
        with node(*sender) as source:
            source.write(b'{"a":1}\n{"b":2}\n{"a":3}\n')
            wait_for(lambda: len(lines(arrived)) >= 2, timeout=20)
            assert source.end()[0] == 0
    assert lines(arrived) == [b'{"a":1}', b'{"a":3}']


@pytest.mark.perl
@pytest.mark.parametrize(
    ("sending", "receiving"), [(OURS, PERL), (PERL, OURS)], ids=["typed into ours", "typed into Perl's"]
)
def test_a_typed_line_is_printed_on_the_other_end(
    tmp_path: Path, sending: tuple[str, ...], receiving: tuple[str, ...]
) -> None:
    """The main job, with the original's own command on either end."""
    port, printed = free_port(), tmp_path / "printed"
    receiver = [
        *part("input", "ZeroMQ", socket_bind=f"tcp://*:{port}"),
        *part("output", "File", filename=str(printed)),
    ]
    sender = ["--input", "STDIN", *part("output", "ZeroMQ", connect=f"tcp://127.0.0.1:{port}")]
    with node(*receiver, command=receiving):
        wait_for_port(port)
        with node(*sender, command=sending) as typed:
            typed.write(b'{"data":{"some":"data"},"@metadata":"value"}\n')
            wait_for(lambda: lines(printed), timeout=20)
    assert [json.loads(line) for line in lines(printed)] == [{"data": {"some": "data"}, "@metadata": "value"}]
