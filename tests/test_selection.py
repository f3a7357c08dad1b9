"""Filters that declare what they read: the text's fields alone are decoded for them, and nothing else differs."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from message_passing import conditions
from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.codecs.jsonlines import JSONLinesDecoder
from message_passing.filters.dedupe import DedupeFilter
from message_passing.filters.delay import DelayFilter
from message_passing.filters.key import KeyFilter
from message_passing.filters.null import NullFilter
from message_passing.filters.redact import RedactFilter
from message_passing.filters.route import RouteFilter
from message_passing.filters.sample import SampleFilter
from message_passing.filters.throttle import ThrottleFilter
from message_passing.filters.where import WhereFilter
from message_passing.flow import Filter
from message_passing.pacing import NOT_STARTED
from message_passing.read_fields import (
    LEVEL,
    MOST_READ,
    ReadFields,
    can_be_read,
    field_decoder,
    fields_of_message,
    fields_type,
)
from support import Kept, accounted_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.filters._timed import TimedFilter


class Reads(Filter):
    """Chooses by fields of all kinds of names; the message that it is told to fails."""

    reads = ("level", "user.name", "@timestamp", "user-agent", "größe", "get", "class")

    def keeps(self, fields: Any) -> bool:
        """Whether one of them says so."""
        if fields.level == "fails":
            raise ValueError("as told")
        if "user-agent" in fields and fields["user-agent"] is None:
            return False
        wanted = (fields.get("user.name"), fields.get("@timestamp"), fields.get("größe"), fields.get("class"))
        return "x" in wanted or fields.level in ("ERROR", 1) or fields.get("get", 7) is None


class Looks(Filter):
    """Needs whole messages."""

    def filter(self, message: Any) -> Any:
        """Look."""
        return message


def _still(timed: TimedFilter) -> Filter:
    """One for which no time passes."""
    timed.clock = lambda: 1.0
    return timed


CHOOSERS: dict[str, Callable[[], Filter]] = {
    "keeps": Reads,
    "a level": lambda: WhereFilter(condition='level >= "ERROR" or level == 1'),
    "a level beside others": lambda: WhereFilter(condition='level in ("ERROR", "INFO") and a != None'),
    "a time": lambda: WhereFilter(condition="age() > 5 or age(time) < 3"),
    "names that Python does not have": lambda: WhereFilter(
        condition='fields["@timestamp"] == "x" or fields["user-agent"] is None or fields["größe"] == "x"'
    ),
    "dotted": lambda: WhereFilter(condition='user.name == "x" or a.b.c == 1 or "x" in user'),
    "chained": lambda: WhereFilter(condition='0 < a < 3 or len(level) > 4 or level.startswith("D")'),
    "items": lambda: WhereFilter(condition='user["name"] == "x" or list[0] == 1 or number(a) + 1 == 2'),
    "no field at all": lambda: WhereFilter(condition="now > 0"),
    "deep comparison": lambda: WhereFilter(condition="list == a"),
    "key": lambda: KeyFilter(key="level", match="ERROR"),
    "dotted key": lambda: KeyFilter(key="user.name", match="x"),
    "a key's pattern": lambda: KeyFilter(key="@timestamp", match="^(x|1)", match_type="regex"),
    "sample": lambda: SampleFilter(rate=0, levels={"ERROR": 1}, always="a == 2.5", key="user.name"),
    "throttle": lambda: _still(
        ThrottleFilter(rate=1, burst=2, key=["level", "user.name"], always="a == 2.5", report_interval=0)
    ),
    "throttle by one field": lambda: _still(ThrottleFilter(rate=1, key=["a.b"], max_keys=3)),
    "throttle all": lambda: _still(ThrottleFilter(rate=3, always='level >= "ERROR"')),
    "dedupe": lambda: _still(DedupeFilter(key=["level", "a"], max_keys=20, events=False)),
    "dedupe by one field": lambda: _still(DedupeFilter(key=["user.name"])),
    "a name that JSON escapes": lambda: KeyFilter(key='a"b', match=1),
}

NAMES: tuple[str, ...] = (
    "level",
    "a",
    "user",
    "user.name",
    "@timestamp",
    "user-agent",
    "größe",
    "list",
    "a.b",
    "a.b.c",
    "time",
)
NAMES += ("level_number", "severity", "log", "log.level", "get", "class", "_places", "a\\u002eb", "other", "")
VALUES: tuple[str, ...] = (
    '"x"',
    '"ERROR"',
    '"INFO"',
    '"DEBUG"',
    "null",
    "1",
    "0",
    "2.5",
    "-1e3",
    "true",
    "[]",
    "[1]",
    '{"name":"x"}',
)
VALUES += (
    '{"b":{"c":1}}',
    '{"b.c":null}',
    '"\\u0078"',
    '"é"',
    '"2026-01-01T00:00:00Z"',
    "1e17",
    "12345678901234567890",
)
VALUES += (
    '{"level":"ERROR"}',
    '{"name":null}',
    "1" * 400,
    '"fails"',
    '"\\ud83d\\ude00"',
    "[" * 60 + "]" * 60,
)
ODD = (
    b"null",
    b"[]",
    b'"text"',
    b"7",
    b"",
    b"{",
    b'{"level":"ERROR"',
    b'{"level":"ERROR"}{"level":"ERROR"}',
    b'{"level":"ERROR"} {"a":1}',
    b'{"level":"ERROR"}\n{"level":"ERROR"}',
    b'{"level":\n"ERROR"}',
    b'{"level":\r"ERROR"}',
    b' {"level":"ERROR"} ',
    b'{"level":"\xff"}',
    b'{"other":"\xff","level":"ERROR"}',
    b'{"\xff":1,"level":"ERROR"}',
    b'{"other":"\\ud800","level":"ERROR"}',
    b'{"other":"\\q","level":"ERROR"}',
    b'{"other":"\x01","level":"ERROR"}',
    b'{"other":01,"level":"ERROR"}',
    b'{"other":nan,"level":"ERROR"}',
    b'{"level":"ERROR",}',
    b"{'level':1}",
    b'{"other":' + b"[" * 5000 + b"]" * 5000 + b',"level":"ERROR"}',
    b'{"level":' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"level":"ERROR","a":"\xe2\x80\xa8"}',
    b'\xef\xbb\xbf{"level":"ERROR"}',
    bytearray(b'{"level":"ERROR"}'),
    '{"level":"ERROR"}',
    {"level": "ERROR", "user": {"name": "x"}},
    ["level"],
)


def _line(chance: random.Random) -> bytes:
    fields = [f'"{chance.choice(NAMES)}":{chance.choice(VALUES)}' for _ in range(chance.randrange(6))]
    space = chance.choice(("", "", " "))
    return ("{" + f",{space}".join(fields) + "}").encode()


def _batches(seed: int) -> list[list[Any]]:
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    found: list[list[Any]] = [[one] for one in ODD]
    for _ in range(60):
        batch: list[Any] = [_line(chance) for _ in range(chance.randrange(1, 9))]
        if chance.random() < 0.3:
            batch.insert(chance.randrange(len(batch) + 1), chance.choice(ODD))
        found.append(batch)
    return found


def _run(make: Callable[[], Filter], batches: list[list[Any]], *, as_objects: bool) -> dict[str, Any]:
    """What becomes of some batches, each of which is passed on before the next one."""
    end, errors, chooser = Kept(), Kept(), make()
    encoder = JSONEncoder(output_to=end)
    chooser.connect_to(Looks(output_to=encoder) if as_objects else encoder)
    chooser.error = errors
    found: list[Any] = []
    with JSONDecoder(output_to=chooser, error=errors) as decoder:
        # Names that cannot be looked for in JSON are for objects alone.
        names = fields_of_message(chooser.fields_read() or ())
        assert (decoder.wiring.reads is None) is (as_objects or any('"' in name for name in names))
        for batch in batches:
            before = len(end.messages)
            decoder.consume_many(batch)
            found.append([msgspec.json.decode(one) for one in end.messages[before:]])
        assert accounted_for(chooser)
        assert accounted_for(decoder)
        reports = [{name: one[name] for name in one if name != "time"} for one in errors.messages]
        return {
            "kept": found,
            "chooser": chooser.snapshot(),
            "decoder": decoder.snapshot(),
            "reports": reports,
        }


def _routes(*, as_objects: bool, decoder: type[Filter], batches: list[list[Any]]) -> dict[str, Any]:
    """What becomes of batches on four routes, of which two lead to the same place, and one to two, with a filter."""
    ends, errors = [Kept(), Kept(), Kept()], Kept()
    encoders: list[Any] = [JSONEncoder(output_to=end) for end in ends]
    if as_objects:
        encoders = [Looks(output_to=one) for one in encoders]
    first, second, third = encoders
    chooser = WhereFilter(condition="a != 0", output_to=second)
    route = RouteFilter(
        conditions=['level >= "ERROR"', 'user.name == "x"', "a", 'fields["@timestamp"] == "x"'],
        fan_out=[1, 2, 1, 1],
        output_to=[first, chooser, third, first, third],
    )
    with decoder(output_to=route, error=errors) as head:
        assert (head.wiring.reads is None) is as_objects
        for batch in batches:
            head.consume_many(batch)
        assert route.metrics.received == sum(one["matched"] for one in route.info()["routes"])
        found = [[msgspec.json.decode(one) for one in end.messages] for end in ends]
        counted = [one.snapshot() for one in (head, route, chooser)]
        return {
            "found": found,
            "counted": counted,
            "matched": [one["matched"] for one in route.info()["routes"]],
            "failed": len(errors.messages),
        }


@pytest.mark.parametrize("decoder", [JSONDecoder, JSONLinesDecoder])
def test_routes_choose_by_fields_as_by_objects(decoder: type[Filter]) -> None:
    """In order, on each branch, and counted."""
    text, objects = (_routes(as_objects=one, decoder=decoder, batches=_batches(7)) for one in (False, True))
    assert text == objects
    assert all(text["found"])


def test_frames_of_lines_are_read_as_messages_are() -> None:
    """What is kept of a frame is the same text; what is no line fails alone."""
    found = []
    for middle in (Reads, lambda output_to: Reads(output_to=Looks(output_to=output_to))):
        end, errors = Kept(), Kept()
        with JSONLinesDecoder(output_to=middle(output_to=JSONEncoder(output_to=end)), error=errors) as head:
            for batch in _batches(8):
                text = [one for one in batch if isinstance(one, bytes)]
                head.consume_many([b"\n".join(text), b"\n".join(text[:1]) + b"\n"])
            found.append(
                ([msgspec.json.decode(one) for one in end.messages], head.snapshot(), len(errors.messages))
            )
    assert found[0] == found[1]


@pytest.mark.parametrize("name", CHOOSERS)
def test_text_is_kept_removed_and_failed_as_objects_are(name: str) -> None:
    """Whatever is in it, and whatever stands beside it in a batch."""
    batches = _batches(len(name))
    text, objects = (_run(CHOOSERS[name], batches, as_objects=one) for one in (False, True))
    assert text == objects
    if name not in ("no field at all", "a name that JSON escapes"):  # they keep all, and none
        assert 0 < text["chooser"]["filtered"] < text["chooser"]["received"]


def test_the_text_that_came_goes_on() -> None:
    """As it was written, and only its fields were decoded."""
    end, seen = Kept(), Kept()
    chain = Reads(
        output_to=NullFilter(output_to=WhereFilter(condition="a", output_to=JSONEncoder(output_to=end)))
    )
    chain.observers = (lambda batch: seen.consume_many([*batch]),)
    with JSONDecoder(output_to=chain) as head:
        assert head.wiring.reads == fields_of_message((*Reads.reads, "a"))
        line = b'{"a": 1, "level" : "ERROR", "b": [1.0]}'
        head.consume_many([line, b'{"level":"ERROR"}', b'{"a":1}'])
    assert end.messages == [line]
    assert seen.messages == [line, b'{"level":"ERROR"}', b'{"a":1}']
    assert chain.snapshot()["filtered"] == 1


def test_a_number_that_is_out_of_range_fails_where_it_is_read() -> None:
    """Elsewhere it passes, as it does where no filter looks at all: see docs/concepts.md."""
    for number in (b"1e400", b"-1E+400", b"[1e400]", b"9" * 5000, b"9" * 309 + b".5"):
        for line, failed in ((b'{"a":%s}' % number, 1), (b'{"a":1,"b":%s}' % number, 0)):
            _check_number(line, failed)


def _check_number(line: bytes, failed: int) -> None:
    end = Kept()
    chain = WhereFilter(condition="a == 1", output_to=JSONEncoder(output_to=end))
    with JSONDecoder(output_to=chain, error=Kept()) as head:
        head.consume_many([line])
        assert (head.metrics.failed, end.messages) == (failed, [] if failed else [line])


LEVELS: tuple[bytes, ...] = (
    b'{"level":"ERROR","severity":"DEBUG"}',
    b'{"level":"info"}',
    b'{"level_number":40,"level":"DEBUG"}',
    b'{"level_number":10,"level":"ERROR"}',
    b'{"level_number":null,"level":"ERROR"}',
    b'{"level_number":true,"level":"ERROR"}',
    b'{"level_number":"ERROR"}',
    b'{"level_number":10.5,"level":"ERROR"}',
    b'{"level":"eRRoR"}',
    b'{"level":"loud","severity":"ERROR"}',
    b'{"level":["ERROR"],"levelname":"ERROR"}',
    b'{"log":{"level":"ERROR"}}',
    b'{"log.level":"ERROR"}',
    b'{"@fields":{"level":"ERROR"}}',
    b'{"severity":"ERROR"}',
    b'{"SeverityText":"ERROR"}',
    b"{}",
)


@pytest.mark.parametrize("other", LEVELS)
def test_a_level_is_found_under_any_name(other: bytes) -> None:
    """The usual names are looked for first, and the others where those do not tell the level of each message."""
    batches: list[list[Any]] = [[LEVELS[0], other], [other, other], [*LEVELS, other]]

    def made() -> Filter:
        return WhereFilter(condition='level >= "ERROR" or level == 40')

    for each in ([batches[0]], [batches[1]], batches):
        text, objects = (_run(made, each, as_objects=one) for one in (False, True))
        assert text == objects


def test_a_masked_level_is_no_level() -> None:
    """It is looked for under the other names then, even where the level of no line had to be."""
    found: list[list[Any]] = []
    for _ in range(2):
        end, last = Kept(), WhereFilter(condition='level >= "ERROR"')
        looks = Looks(output_to=last) if found else last
        last.connect_to(JSONEncoder(output_to=end))
        with JSONDecoder(output_to=RedactFilter(keys=["level"], output_to=looks)) as head:
            assert (head.wiring.reads is None) is bool(found)
            head.consume_many(
                [b'{"LEVEL":"x","level":"INFO","severity":"ERROR"}', *[b'{"level_number":10}'] * 30]
            )
        found.append(end.messages)
    assert found[0] == found[1] == [b'{"LEVEL":"[redacted]","level":"[redacted]","severity":"ERROR"}']


@pytest.mark.parametrize(
    "condition", ['level == "ERROR"', 'level != "ERROR"', 'level >= "INFO"', 'level in ("INFO",)']
)
@pytest.mark.parametrize("level", ['"[x]"', "40", "null", "[]", "true", '"error"', '{"name":"ERROR"}'])
def test_one_that_was_written_anew_may_have_any_level(condition: str, level: str) -> None:
    """Beside lines whose level is spelled as usual."""
    found: list[list[Any]] = []
    line = b'{"password":1,"level_number":%s,"level":%s,"severity":"ERROR"}' % (b"[1]", level.encode())
    for looks in (False, True):
        end, last = Kept(), WhereFilter(condition=condition)
        last.connect_to(JSONEncoder(output_to=end))
        redact = RedactFilter(keys=["password"], output_to=Looks(output_to=last) if looks else last)
        with JSONDecoder(output_to=redact) as head:
            batch = [*[b'{"level":"INFO"}'] * 30, *[b'{"level":"ERROR","level_number":20}'] * 30]
            head.consume_many([*batch, line, *batch])
            head.consume_many([*batch, line.replace(b'"level_number":[1],', b""), *batch])
        found.append([msgspec.json.decode(one) for one in end.messages])
    assert found[0] == found[1]


def test_only_the_usual_names_of_a_level_are_looked_for() -> None:
    """Where these tell it; for some blocks after one in which they do not, all are."""
    decode = field_decoder(frozenset((LEVEL, "severity")))
    assert decode
    (one,) = decode(b'{"level":"INFO","severity":1,"levelname":"x"}\n')
    assert one.as_dict() == {"level": "INFO", "severity": 1}
    (one,) = decode(b'{"level":"loud","severity":1,"levelname":"x"}\n')
    assert one.as_dict() == {"level": "loud", "severity": 1, "levelname": "x"}
    read = [len(decode(b'{"level":"INFO"}\n')[0].places()) for _ in range(16)]
    assert read == [9] * 15 + [3]
    assert not can_be_read(frozenset((LEVEL, *map(str, range(MOST_READ - 8)))))


def test_many_decoders_before_one_condition_have_it_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each way in which its fields are read, and not for each batch; those that read the same have one way."""
    last = WhereFilter(condition='level >= "ERROR"', output_to=JSONEncoder(output_to=Kept()))
    heads: list[Filter] = [JSONDecoder(output_to=last) for _ in range(6)]
    heads += [
        JSONDecoder(output_to=WhereFilter(condition=f"{one} is None", output_to=last)) for one in "abcdef"
    ]
    for head in heads:
        head.open()
    compiled: list[str] = []
    run = conditions._run

    def noted(program: str, found: Any) -> Any:
        compiled.append(program)
        return run(program, found)

    monkeypatch.setattr(conditions, "_run", noted)
    for _ in range(3):
        for head in heads:
            head.consume_many([b'{"level":"INFO"}'])
            head.consume_many([b'{"severity":"ERROR"}'])
    # Fields with the usual names of a level, and with all: of six that read the same, and of six for two conditions.
    assert len(compiled) == 2 + 6 * 2 * 2


OWN_FILTER = type("OwnFilter", (WhereFilter,), {"filter": lambda _self, message: message})
OWN_START = type("OwnStart", (WhereFilter,), {"on_init": WhereFilter.on_init})
MANY = type("Many", (Filter,), {"reads": tuple(map(str, range(MOST_READ + 1))), "keeps": lambda *_: True})
MOST = type("Most", (Filter,), {"reads": tuple(map(str, range(MOST_READ))), "keeps": lambda *_: True})


@pytest.mark.parametrize(
    ("make", "reads"),
    [
        (lambda end: WhereFilter(condition="a", output_to=end), True),
        (lambda end: type("Named", (WhereFilter,), {"name": "N"})(condition="a", output_to=end), True),
        (lambda end: OWN_FILTER(condition="a", output_to=end), False),
        (lambda end: OWN_START(condition="a", output_to=end), False),
        (lambda end: WhereFilter(condition="a", output_to=Looks(output_to=end)), False),
        (lambda end: Looks(output_to=WhereFilter(condition="a", output_to=end)), False),
        (lambda end: WhereFilter(condition="a", output_to=DelayFilter(delay_for=1, output_to=end)), True),
        (lambda end: DelayFilter(delay_for=1, output_to=WhereFilter(condition="a", output_to=end)), False),
        (lambda _end: WhereFilter(condition="a", output_to=Kept()), False),
        (lambda end: ThrottleFilter(rate=1, output_to=end), True),
        (lambda end: DedupeFilter(key=["a"], output_to=end), True),
        (lambda end: DedupeFilter(output_to=end), False),
        (lambda end: RedactFilter(keys=["a"], patterns=["card"], output_to=end), True),
        (lambda end: RedactFilter(keys=["a"], regexes=["b"], output_to=end), False),
        (lambda end: MOST(output_to=end), True),
        (lambda end: MANY(output_to=end), False),
    ],
)
def test_fields_are_read_where_nobody_needs_more(make: Callable[[Any], Filter], reads: bool) -> None:
    """And where every component passes on the batch that it got, or its text alone is needed."""
    with JSONDecoder(output_to=make(JSONEncoder(output_to=Kept()))) as head:
        assert (head.wiring.reads is not None) is reads


def test_it_is_decided_anew_when_a_chain_changes() -> None:
    """What the decoder looked for before is no longer enough."""
    end = Kept()
    with JSONDecoder(output_to=WhereFilter(condition="a == 1", output_to=JSONEncoder(output_to=end))) as head:
        head.consume_many([b'{"a":1,"b":2}'])
        head.connect_to(WhereFilter(condition="b == 2", output_to=JSONEncoder(output_to=end)))
        head.rewire()
        head.consume_many([b'{"a":1,"b":2}', b'{"a":1}'])
    assert end.messages == [b'{"a":1,"b":2}'] * 2


def test_what_a_slow_one_has_not_begun_at_a_stop_is_dropped() -> None:
    """As with objects: the lines are counted, with the reason."""
    chain = Reads(output_to=JSONEncoder(output_to=Kept()))
    with JSONDecoder(output_to=chain) as head:
        head.consume_many([b"{}"])
        chain._selection._pace.work_left = 0
        head.consume_many([b"{}", b"{}"])
        assert chain.snapshot()["dropped"] == {NOT_STARTED: 2}
        assert accounted_for(chain)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"reads": "level", "keeps": lambda *_: True}, "must be a tuple of names of fields, not 'level'"),
        ({"reads": ("level",)}, "must define both `reads` and keeps"),
        ({"keeps": lambda *_: True}, "must be a tuple of names"),
        ({"reads": ("a",), "keeps": lambda *_: True, "filter": Looks.filter}, "one of them must go"),
    ],
)
def test_a_class_that_says_what_cannot_be_is_refused(body: dict[str, Any], said: str) -> None:
    """When it is defined, with what to write."""
    with pytest.raises(TypeError, match=said):
        type("Wrong", (Filter,), body)


def test_a_field_that_was_not_declared_is_no_missing_one() -> None:
    """The message fails, with what to do; a declared one that is missing is None."""
    one = fields_type(frozenset(("a", "a.b"))).of({"a": {"b": 1}})
    assert (one.get("a.b"), "a.b" in one, one["a"], fields_type(frozenset("a")).of([]).get("a")) == (
        1,
        True,
        {"b": 1},
        None,
    )
    with pytest.raises(LookupError, match="declares in `reads`"):
        one.get("b")
    with pytest.raises(KeyError):
        fields_type(frozenset("a")).of({})["a"]
    assert ReadFields.of({"a": 1}).as_dict() == {}
