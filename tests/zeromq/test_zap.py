"""The doorkeeper: it goes on whatever happens to its process."""

from __future__ import annotations

import errno
import os
import resource
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from message_passing.zeromq.keys import write_pair
from message_passing.zeromq.zap import sever

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT_DESCRIPTORS = '''
"""A server that has no free descriptor just when a client whose key was revoked is to be looked up."""

import os
import resource
import sys
from pathlib import Path

import zmq

from message_passing.testing import wait_for
from message_passing.zeromq.access import AllowedKeys, Rules
from message_passing.zeromq.keys import public_key, secret_key
from message_passing.zeromq.zap import Doorkeeper

folder = Path(sys.argv[1])
before = resource.getrlimit(resource.RLIMIT_NOFILE)
looked = []  # for each look, whether there were descriptors for it


class Found(Rules):
    def revoked(self):
        found = super().revoked()
        if found:
            free = os.dup(0)
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
        return found


def ports():
    looked.append(resource.getrlimit(resource.RLIMIT_NOFILE) == before)
    return {int(server.last_endpoint.rpartition(b":")[2])}


def client(name):
    made = others.socket(zmq.PUSH)
    made.linger = 0
    made.curve_serverkey = public_key(str(folder / "server.key"))
    made.curve_publickey = public_key(str(folder / f"{name}.key"))
    made.curve_secretkey = secret_key(str(folder / f"{name}.key_secret"))
    made.connect(server.last_endpoint.decode())
    made.send(name.encode())
    return made


def next_one():
    assert server.poll(20_000), "nothing came"
    return server.recv()


context, others, said = zmq.Context(), zmq.Context(), []
server = context.socket(zmq.PULL)
server.curve_secretkey = secret_key(str(folder / "server.key_secret"))
server.curve_server = True
server.zap_domain = b"tested"
keeper = Doorkeeper(context, Found(keys=AllowedKeys(str(folder))), lambda kind, text: said.append(text), ports)
server.bind("tcp://127.0.0.1:*")

anna = client("anna")
assert next_one() == b"anna"
(folder / "anna.key").rename(folder / "anna.revoked")
wait_for(lambda: len(looked) >= 2, timeout=20)
assert not any(looked), looked
anna.send(b"still connected")
assert next_one() == b"still connected"

resource.setrlimit(resource.RLIMIT_NOFILE, before)
wait_for(lambda: said, timeout=20)  # it was disconnected, came again, and was refused
assert "its key is not among the allowed ones" in said[0]
bert = client("bert")
assert next_one() == b"bert"

for one in (anna, bert, server):
    one.close(0)
keeper.stop()
context.term()
others.term()
print("all of it")
'''


def test_a_revoked_client_is_looked_up_without_a_free_descriptor(tmp_path: Path) -> None:
    """The thread lives: it looks again until there is one, ends that connection, and lets the next client in."""
    for name in ("server", "anna", "bert"):
        write_pair(tmp_path, name)
    words = [sys.executable, "-W", "error", "-c", WITHOUT_DESCRIPTORS, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "all of it\n", "")


def test_the_last_descriptor_goes_while_connections_are_looked_for() -> None:
    """That is told, so that it is tried again: it does not look as if there were no such connection."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    class Ports(set[int]):
        def __contains__(self, port: object) -> bool:
            """Asked for the first connection; then there is no room for a copy of the next one."""
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
            return False

    with socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0)):
        free = os.dup(0)
        os.close(free)
        try:
            with pytest.raises(OSError, match="Too many open files") as raised:
                sever(Ports(), {"127.0.0.1"})
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert raised.value.errno == errno.EMFILE
