"""The JetStream output, against a real server."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from engine_parts import Delivering, certificate, claims, deliver, numbers, reports
from message_passing.cli.chain_probe import try_ends
from message_passing.codecs.json import JSONEncoder
from message_passing.delivery import Outcome
from message_passing.errors import OpenError, OptionError, PackageError
from message_passing.outputs.jetstream import JetStreamOutput
from message_passing.testing import ListInput, free_port, run_input, running, wait_for
from support import Kept

if TYPE_CHECKING:
    from pathlib import Path

    from nats.js import JetStreamContext

    from nats_server import NatsServer

DELIVERED, REJECTED, LOST = Outcome

QUICK: dict[str, Any] = {
    "retry_first": 0.01,
    "retry_longest": 0.1,
    "reconnect_longest": 0.1,
    "batch_age": 0.01,
}


def output(url: str, **options: Any) -> JetStreamOutput:
    """One that retries soon."""
    given = {"stream": "LOGS", "subject": "logs.app", "create": True, "error": Kept(), **QUICK, **options}
    return JetStreamOutput(servers=url, **given)


def stored_numbers(server: NatsServer) -> list[int]:
    """The numbers that the stream has."""
    return [json.loads(line)["n"] for line in server.lines()]


def test_the_command_of_the_guide_stores_lines_in_a_stream_that_it_creates(server: NatsServer) -> None:
    """A stream, its subject, and frames of lines with an id."""
    options = {"servers": server.url, "stream": "LOGS", "subject": "logs.app", "create": True}
    command = [sys.executable, "-m", "message_passing", "--input", "STDIN", "--output", "JetStream"]
    text = "".join(f'{{"n":{number}}}\n' for number in range(2500))
    done = subprocess.run(
        [*command, "--output_options", json.dumps(options)],
        input=text, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "\n".join(map(bytes.decode, server.lines())) + "\n" == text
    stored = server.stored()
    assert len(stored) < 50
    assert {subject for subject, _, _ in stored} == {"logs.app"}
    ids = [headers["Nats-Msg-Id"] for _, _, headers in stored]
    sender, first = ids[0].rsplit(":", 1)
    assert ids == [f"{sender}:{int(first) + index}" for index in range(len(ids))]


def test_small_batches_share_a_frame_and_what_is_no_line_does_not(server: NatsServer) -> None:
    """Single messages that wait together are joined; text with a line break in it stays one message."""
    to = output(server.url, batch_age=0.2)
    run_input(Delivering(batches=[[b"1"], [b"2"], [b"a\nb"], [b"3"], [b"4"]], output_to=to), timeout=60)
    kinds = [(data, headers.get("Message-Passing-Frame")) for _, data, headers in server.stored()]
    assert kinds == [(b"1\n2", "lines"), (b"a\nb", None), (b"3\n4", "lines")]


def test_without_frames_each_message_is_stored_alone(server: NatsServer) -> None:
    """As other programs expect them."""
    assert deliver(output(server.url, frames=False), [numbers(300)]) == [DELIVERED]
    assert [data for _, data, _ in server.stored()] == [b'{"n":%d}' % number for number in range(300)]


def test_fields_lead_to_subjects_and_hostile_ones_are_rejected(server: NatsServer) -> None:
    """A field's value is one token: wildcards, dots, white space and emptiness are the message's fault."""
    bad = [
        "*",
        ">",
        "a.b",
        "a b",
        "",
        "\r\nPUB x",
        "\ud800",
        "x" * 201,
        None,
        True,
        10**5000,
        {"a": 1},
        "a\x00",
    ]
    good = ["web", "caf\u00e9", 7, "$SYS"]
    to = output(server.url, subject="logs.{service.name}.x")
    batch = [{"service": {"name": value}} for value in good]
    outcomes = deliver(to, [batch, *([{"service": {"name": value}}] for value in bad), [{"n": 1}]])
    assert sorted(outcomes) == [DELIVERED] + [REJECTED] * (len(bad) + 1)
    assert {subject for subject, _, _ in server.stored()} == {f"logs.{value}.x" for value in good}
    config = server.ask(lambda context: context.stream_info("LOGS")).config
    assert config.subjects == ["logs.*.x"]
    assert "the field 'service.name' is no part of a subject" in reports(to)


def test_a_stream_that_exists_is_used_as_it_is_and_what_differs_is_reported(server: NatsServer) -> None:
    """Nothing of it is changed."""
    server.ask(lambda context: context.add_stream(name="LOGS", subjects=["logs.>"], max_bytes=1 << 20))
    before = server.ask(lambda context: context.stream_info("LOGS")).config
    to = output(server.url, max_bytes=5 << 20, retention="workqueue", replicas=1)
    assert deliver(to, [numbers(10), numbers(10)]) == [DELIVERED] * 2
    assert server.ask(lambda context: context.stream_info("LOGS")).config == before
    (report,) = reports(to).splitlines()
    assert "'LOGS' exists, and is used as it is: it has " in report
    for text in ("retention limits, not workqueue", "max_bytes 1048576, not 5242880"):
        assert text in report
    assert "replicas" not in report


def test_limits_and_retention_are_those_that_were_given(server: NatsServer) -> None:
    """The stream that is created has them."""
    to = output(
        server.url, subjects=["logs.>", "more"], retention="workqueue", storage="memory", max_age=3600.0,
        max_bytes=1 << 20, max_messages=500, discard="old", duplicate_window=30.0,
    )  # fmt: skip
    deliver(to, [numbers(1)])
    found = server.ask(lambda context: context.stream_info("LOGS")).config
    assert (found.subjects, found.retention, found.storage) == (["logs.>", "more"], "workqueue", "memory")
    assert (found.max_age, found.max_bytes, found.max_msgs) == (3600.0, 1 << 20, 500)
    assert (found.discard, found.duplicate_window) == ("old", 30.0)
    assert not reports(to)


def test_a_missing_stream_is_reported_and_waited_for(server: NatsServer) -> None:
    """Without `create` somebody else creates it; what waits is then stored."""
    to = output(server.url, create=False)

    def create() -> None:
        wait_for(lambda: any("there is no stream 'LOGS'" in text for text in to.problems()), timeout=20)
        server.ask(lambda context: context.add_stream(name="LOGS", subjects=["logs.*"]))

    helper = threading.Thread(target=create)
    helper.start()
    assert deliver(to, [numbers(100)]) == [DELIVERED]
    helper.join()
    assert stored_numbers(server) == list(range(100))
    assert not to.problems()


def test_a_stream_that_is_deleted_under_it_is_created_again(server: NatsServer) -> None:
    """What was accepted after that is stored."""

    def between(number: int) -> None:
        if number == 1:
            wait_for(lambda: to.held() == 0, timeout=20)
            server.ask(lambda context: context.delete_stream("LOGS"))

    to = output(server.url)
    assert deliver(to, [numbers(10), numbers(10, 10)], between) == [DELIVERED] * 2
    assert stored_numbers(server) == list(range(10, 20))


def test_a_server_killed_and_started_again_has_everything_once(server: NatsServer) -> None:
    """The ids let the stream recognize what is sent again."""

    def between(number: int) -> None:
        if number % 10 == 5:
            wait_for(lambda: to.held() == 0, timeout=20)
            server.kill()
        if number % 10 == 7:
            server.start()

    to = output(server.url, frame_bytes=1000, storage="file")
    batches = [numbers(200, 200 * index) for index in range(20)]
    assert deliver(to, batches, between) == [DELIVERED] * 20
    assert sorted(stored_numbers(server)) == list(range(4000))
    assert to.connection.lost >= 2


def test_a_server_that_hangs_is_sent_everything_again(server: NatsServer) -> None:
    """No answer in time is no answer; what it had after all is not stored twice."""

    def between(number: int) -> None:
        if number == 1:
            wait_for(lambda: to.held() == 0, timeout=20)
            server.pause()
            helper.start()

    def resume() -> None:
        wait_for(lambda: any("no answer within 0.3 s" in text for text in to.problems()), timeout=20)
        server.resume()

    helper = threading.Thread(target=resume)
    to = output(server.url, timeout=0.3)
    assert deliver(to, [numbers(100), numbers(100, 100)], between) == [DELIVERED] * 2
    assert sorted(stored_numbers(server)) == list(range(200))
    helper.join()
    assert to.info()["duplicates"] >= 1


def test_a_stream_that_keeps_nothing_or_does_not_say_what_it_has(server: NatsServer) -> None:
    """With retention `interest`, what nobody wants is gone: that is reported; without acknowledgements it waits."""
    to = output(server.url, retention="interest")
    assert deliver(to, [numbers(3)]) == [DELIVERED]
    assert "has no consumer: what is published before somebody reads it is gone" in reports(to)

    async def silent(context: JetStreamContext) -> None:
        await context.pull_subscribe("logs.app", "archive", stream="LOGS")
        await context.add_stream(name="SILENT", subjects=["silent"], no_ack=True)

    server.ask(silent)
    to = output(server.url, retention="interest")
    assert deliver(to, [numbers(3)]) == [DELIVERED]
    assert reports(to) == ""
    to = output(server.url, stream="SILENT", subject="silent", create=False, attempts=1)
    assert deliver(to, [numbers(1)]) == [LOST]
    assert "acknowledges nothing (its no_ack)" in reports(to)


def test_a_full_stream_makes_it_wait_until_there_is_room(server: NatsServer) -> None:
    """It says so; what waited is stored once something was removed."""
    to = output(server.url, max_messages=2, frames=False)

    def purge() -> None:
        wait_for(lambda: any("the stream is full" in text for text in to.problems()), timeout=20)
        server.ask(lambda context: context.purge_stream("LOGS"))

    helper = threading.Thread(target=purge)
    helper.start()
    assert deliver(to, [numbers(4)]) == [DELIVERED]
    helper.join()
    assert len(server.stored()) == 2
    assert "once the stream is full it accepts nothing" in "".join(to.warnings())


def test_a_message_too_large_fails_alone(unstarted: NatsServer) -> None:
    """Its neighbours are stored, and frames have no more bytes than the server accepts."""
    unstarted.configure("max_payload: 8192")
    unstarted.start()
    batch = [*numbers(2000), {"n": -1, "text": "x" * 8192}, *numbers(10, 2000)]
    to = output(unstarted.url, dead_letters=True)
    assert deliver(to, [batch]) == [DELIVERED]
    assert sorted(stored_numbers(unstarted)) == list(range(2010))
    assert all(len(data) < 8192 for _, data, _ in unstarted.stored())
    (report,) = to.error.messages
    assert "the server accepts 8192 with headers" in report["exception"]
    assert json.loads(report["packed_data"])["n"] == -1
    assert to.metrics.failed == 1


def test_what_the_stream_refuses_for_its_size_fails_alone(server: NatsServer) -> None:
    """A limit of the stream, too, concerns only what is beyond it."""
    server.ask(lambda context: context.add_stream(name="LOGS", subjects=["logs.*"], max_msg_size=1000))
    to = output(server.url, create=False, frames=False)
    assert deliver(to, [[*numbers(5), {"n": "x" * 1000}, *numbers(5, 5)]]) == [REJECTED]
    assert stored_numbers(server) == list(range(10))
    assert "larger than the stream accepts" in reports(to)


def test_what_is_given_up_is_a_dead_letter_each(server: NatsServer) -> None:
    """Not the frame that it was in, and not what the stream has already."""
    to = output(server.url, frames=False, max_messages=3, attempts=2, dead_letters=True)
    assert deliver(to, [numbers(5)]) == [DELIVERED]
    letters = [json.loads(one["packed_data"])["n"] for one in to.error.messages if "attempts" in one]
    assert sorted(letters + stored_numbers(server)) == list(range(5))
    to = output(server.url, max_messages=3, attempts=2, dead_letters=True)
    deliver(to, [numbers(5, 5)])
    assert [json.loads(one["packed_data"])["n"] for one in to.error.messages if "attempts" in one] == [
        5,
        6,
        7,
        8,
        9,
    ]


def test_at_the_end_what_no_server_took_is_counted(tmp_path: Path) -> None:
    """Messages, not frames."""
    del tmp_path
    to = output(f"127.0.0.1:{free_port()}", flush_timeout=0.2)
    source = Delivering(batches=[], output_to=JSONEncoder(output_to=to))

    async def run() -> None:
        source.emit(numbers(700))
        task = asyncio.create_task(to.background())
        await to.flush()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with source:
        asyncio.run(run())
    assert to.snapshot()["dropped"] == {"unsent at close": 700}
    assert "connection refused: no server listens there" in "".join(to.problems())


@pytest.mark.parametrize(
    ("config", "right", "wrong"),
    [
        (
            "user: me, password: secret",
            {"user": "me", "password": "secret"},
            {"user": "me", "password": "no"},
        ),
        ("token: secret", {"token": "env:JET_TOKEN"}, {"token": "other"}),
        ("users: [ {{ nkey: {nkey} }} ]", {"nkey_file": "{seed}"}, {}),
    ],
)
def test_credentials(  # noqa: PLR0917 - fixtures and parameters
    unstarted: NatsServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: str,
    right: Any,
    wrong: Any,
) -> None:
    """Right ones are accepted, wrong ones reported in plain words, and no report contains them."""
    import nkeys  # noqa: PLC0415

    seed = nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_USER)
    (tmp_path / "seed").write_bytes(seed)
    monkeypatch.setenv("JET_TOKEN", "secret")
    nkey = nkeys.from_seed(bytearray(seed)).public_key.decode()
    unstarted.configure(f"authorization {{ {config.format(nkey=nkey)} }}")
    unstarted.start()
    given = {name: text.format(seed=tmp_path / "seed") for name, text in right.items()}
    refused = output(unstarted.url, attempts=2, timeout=0.5, **wrong)
    assert deliver(refused, [numbers(1)]) == [LOST]
    text = reports(refused)
    assert "the server refuses the credentials" in text
    assert "other" not in text
    assert deliver(output(unstarted.url, **given), [numbers(1)]) == [DELIVERED]


@pytest.mark.parametrize("option", ["nkey_file", "credentials_file"])
def test_what_the_client_would_miss_when_it_connects_is_named_before(
    option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would try again and again."""
    monkeypatch.setitem(sys.modules, "nkeys", None)  # so that it cannot be imported
    with pytest.raises(PackageError, match=r"needs the package 'nkeys': .*message-passing\[jetstream\]"):
        output("nats://127.0.0.1:1", **{option: "a"})


def test_credentials_files_of_a_server_with_accounts(unstarted: NatsServer, tmp_path: Path) -> None:
    """A `.creds` file with a user's JWT and seed is accepted; one of another account is refused, and read anew."""
    import nkeys  # noqa: PLC0415

    account_prefix = nkeys.PREFIX_BYTE_ACCOUNT
    prefixes = {"operator": nkeys.PREFIX_BYTE_OPERATOR, "account": account_prefix, "system": account_prefix}
    seeds = {
        name: nkeys.encode_seed(bytes([number] * 32), prefixes.get(name, nkeys.PREFIX_BYTE_USER))
        for number, name in enumerate(("operator", "account", "system", "user"), start=1)
    }
    keys = {name: nkeys.from_seed(bytearray(seed)) for name, seed in seeds.items()}
    public = {name: key.public_key.decode() for name, key in keys.items()}
    limits = {"subs": -1, "data": -1, "payload": -1, "conn": -1, "imports": -1, "exports": -1, "leaf": -1}
    stores = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
    operator = claims(keys["operator"], public["operator"], "o", type="operator")
    accounts = {
        public[name]: claims(keys["operator"], public[name], name, type="account", limits={**limits, **more})
        for name, more in (("account", stores), ("system", {}))
    }
    preload = ", ".join(f'{key}: "{jwt}"' for key, jwt in accounts.items())
    resolver = f"resolver: MEMORY, resolver_preload: {{ {preload} }}"
    config = f'operator: "{operator}"\nsystem_account: {public["system"]}\n{resolver}'
    unstarted.configure(config)
    unstarted.start()
    path = tmp_path / "me.creds"

    def write(issuer: str) -> None:
        jwt = claims(keys[issuer], public["user"], "u", type="user", subs=-1, data=-1, payload=-1)
        parts = (("NATS USER JWT", jwt), ("USER NKEY SEED", seeds["user"].decode()))
        path.write_text(
            "".join(f"-----BEGIN {what}-----\n{text}\n------END {what}------\n\n" for what, text in parts)
        )

    write("operator")  # not the account
    to = output(unstarted.url, credentials_file=str(path))
    with running(ListInput(messages=[b"1"], output_to=to)):
        wait_for(lambda: "refuses the credentials" in str(to.problems()), timeout=20)
        write("account")
        wait_for(lambda: not to.held(), timeout=20)
    assert seeds["user"].decode() not in reports(to)


def test_a_server_that_is_full_makes_it_wait_until_there_is_room(unstarted: NatsServer) -> None:
    """All its streams together have as many bytes as it may store: the output waits, and says so."""
    unstarted.configure(store="max_file_store: 1M")
    unstarted.start()
    to = output(unstarted.url, frame_bytes=1000)
    messages = [b"%d %s" % (number, b"x" * 50_000) for number in range(30)]
    with running(ListInput(messages=messages, output_to=to)):
        wait_for(lambda: "storage" in str(to.problems()) or "resources" in str(to.problems()), timeout=20)
        unstarted.ask(lambda context: context.purge_stream("LOGS"))
        wait_for(lambda: not to.held(), timeout=20)
    assert to.metrics.lost() == 0


def test_a_storm_of_reconnections_leaves_one_connection(server: NatsServer) -> None:
    """A server that is killed again and again: nothing is lost or stored twice, and no connection is left over."""
    to = output(server.url)

    def between(number: int) -> None:
        if number % 5 == 4:
            server.kill()
            server.start()

    assert deliver(to, [numbers(20, first) for first in range(0, 800, 20)], between) == [DELIVERED] * 40
    assert sorted(stored_numbers(server)) == list(range(800))
    assert to.connection.lost <= 8 + 2


def test_tls_with_certificates_of_both_sides(unstarted: NatsServer, tmp_path: Path) -> None:
    """A server of another authority is not talked to, nor is one without TLS; each is said."""
    for name, issuer in (("ca", ""), ("other", ""), ("server", "ca"), ("client", "ca")):
        certificate(tmp_path, name, issuer)
    files = f'cert_file: "{tmp_path}/server.pem", key_file: "{tmp_path}/server.key"'
    unstarted.configure(f'tls {{ {files}, ca_file: "{tmp_path}/ca.pem", verify: true }}')
    unstarted.start()
    own = {"tls_cert": str(tmp_path / "client.pem"), "tls_key": str(tmp_path / "client.key")}
    right = {"tls_ca": str(tmp_path / "ca.pem"), **own}
    assert deliver(output(unstarted.url, **right), [numbers(1)]) == [DELIVERED]
    wrong = [
        ({**right, "tls_ca": str(tmp_path / "other.pem")}, "the server's certificate is not accepted"),
        ({"tls_ca": right["tls_ca"]}, "the server wants this client's certificate: option tls_cert"),
    ]
    for given, said in wrong:
        to = output(unstarted.url, attempts=1, timeout=0.7, **given)
        assert deliver(to, [numbers(1)]) == [LOST]
        assert said in reports(to)
    unstarted.kill()
    unstarted.configure("")
    unstarted.start()
    to = output(unstarted.url, attempts=1, timeout=0.7, **right)
    assert deliver(to, [numbers(1)]) == [LOST]
    assert "the server offers no TLS" in reports(to)


def test_what_a_user_may_not_do_is_said(unstarted: NatsServer) -> None:
    """A subject that this user may not publish to: not silence, but the reason."""
    unstarted.configure(
        'authorization { users: [ { user: me, password: x, permissions: '
        '{ publish: { deny: ["logs.app"] } } } ] }'
    )  # fmt: skip
    unstarted.start()
    to = output(unstarted.url, user="me", password="x", attempts=2, timeout=3.0)
    assert deliver(to, [numbers(1)]) == [LOST]
    assert "the server does not allow it: permissions violation for publish to" in reports(to)


def test_a_server_without_jetstream_is_said_to_be_one(unstarted: NatsServer) -> None:
    """It is a NATS server, and stores nothing."""
    unstarted.configure("# no jetstream")
    unstarted.start()
    to = output(unstarted.url, attempts=2, timeout=5.0)
    assert deliver(to, [numbers(1)]) == [LOST]
    assert "JetStream is not available" in reports(to)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"servers": "http://x"}, "no address: nats://HOST:PORT"),
        ({"servers": "nats://me:secret@x"}, "no names and passwords in addresses"),
        ({"servers": "x:99999"}, "no valid port"),
        ({"servers": []}, "give at least one"),
        ({"user": "me"}, "user needs password"),
        ({"user": "me", "password": "x", "token": "y"}, "give one of user and token"),
        ({"tls_key": "x"}, "tls_key needs tls_cert"),
        ({"subject": "logs.>"}, "a message has one subject"),
        ({"subject": "logs..x"}, "names with dots between them"),
        ({"subject": "logs.{}"}, "a field is written {name}"),
        ({"subject": "logs.{a"}, "a field is written {name}"),
        ({"subject": "$JS.API.x"}, "belongs to the server"),
        ({"stream": "a.b"}, "must be non-empty str"),
        ({"stream": "", "create": True}, "stream"),
        ({"subjects": ["a b"]}, "'a b' is no subject"),
    ],
)
def test_mistakes_in_options_are_the_users(options: dict[str, Any], said: str) -> None:
    """Each says what was found and what is allowed, and none shows a password."""
    with pytest.raises(OptionError) as caught:
        JetStreamOutput(**{"stream": "LOGS", "subject": "logs.app", **options})
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["credentials_file", "nkey_file", "tls_ca", "tls_cert"])
def test_a_file_that_is_missing_or_wrong_is_named(tmp_path: Path, name: str) -> None:
    """Before anything is sent."""
    to = output("127.0.0.1", **{name: str(tmp_path / "missing")})
    with pytest.raises(OpenError, match=rf"missing \(option {name}\) cannot be read: No such file"):
        to.open()
    if name.startswith("tls"):
        (tmp_path / "wrong").write_text("no certificate")
        with pytest.raises(OpenError, match=rf"wrong \(option {name}\) cannot be used"):
            output("127.0.0.1", **{name: str(tmp_path / "wrong")}).open()


def test_check_connect_says_whether_the_server_and_the_stream_are_there(server: NatsServer) -> None:
    """Nothing is created by it."""

    def tried(url: str, **options: Any) -> list[str]:
        return [str(one) for one in try_ends([output(url, **options)], 0.5)]

    (would,) = tried(server.url)
    assert would == f"ok      JetStream output {server.url}: connected; the stream 'LOGS' would be created"
    assert "FAILED" in tried(server.url, create=False)[0]
    assert "there is no stream 'LOGS'" in tried(server.url, create=False)[0]
    server.ask(lambda context: context.add_stream(name="LOGS", subjects=["logs.*"]))
    assert "connected, and there is a stream 'LOGS'" in tried(server.url)[0]
    assert "connection refused: no server listens there" in tried(f"127.0.0.1:{free_port()}")[0]
