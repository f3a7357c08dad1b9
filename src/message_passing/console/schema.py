"""The schema of a node's answers: clients reject anything else.

A node may be broken, hostile, or not a node at all. Unknown fields are ignored: newer nodes may send more.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec

_MOST = 2**63 - 1

Count = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]
Amount = Annotated[float, msgspec.Meta(ge=-1e18, le=1e18)]
"""Messages a second, seconds, or a share."""
Time = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
"""In seconds since 1970."""
Signed = Annotated[int, msgspec.Meta(ge=-_MOST, le=_MOST)]


class Process(TypedDict):
    """The process's resource usage."""

    cpu: Amount
    cpu_seconds: Amount
    memory: Count
    descriptors: Count
    threads: Count


class RouteState(TypedDict):
    """One of a component's routes: without a condition, that of all other messages; `to` no name, it removes them."""

    when: str
    to: list[str]
    matched: Count


class ComponentState(TypedDict):
    """One component."""

    id: str
    label: str
    kind: str
    errors: bool
    in_workers: bool
    outputs: list[str]
    received: Count
    passed: Signed
    filtered: Count
    dropped: dict[str, Count]
    failed: Count
    coming_again: NotRequired[dict[str, Count]]
    buffered: Signed
    capacity: Count | None
    lag: NotRequired[Count]
    full: NotRequired[bool]
    in_rate: Amount
    out_rate: Amount
    lost_rate: Amount
    utilization: Amount | None
    possibly_lost: NotRequired[dict[str, Count]]
    endpoints: list[str]
    peers: NotRequired[Count | None]
    listens: NotRequired[bool]
    problems: NotRequired[list[str]]
    notes: list[str]
    condition: NotRequired[str]
    routes: NotRequired[list[RouteState]]


class Failure(TypedDict):
    """One failure that was reported."""

    time: Time
    component: str
    error: str
    message: NotRequired[str]


class Failures(TypedDict):
    """How many there were, and the last one."""

    count: Count
    last: Failure | None


class SenderTotals(TypedDict):
    """The sums over all senders."""

    received: Signed
    lost: Signed
    duplicated: Count
    late: Count
    restarted: Count
    senders: Count
    before: NotRequired[Signed]
    idle: NotRequired[Count]
    forgotten: NotRequired[Count]
    unstamped: NotRequired[Count]
    perhaps_lost: NotRequired[Count]
    ambiguous: NotRequired[Count]
    estimated: NotRequired[Count]


class WorkerState(TypedDict):
    """One worker's process."""

    ready: bool
    outstanding: Count | None
    number: NotRequired[Count]
    pid: NotRequired[Count | None]


class FindingState(TypedDict):
    """A sentence about what needs attention."""

    weight: Literal["bad", "warn", "note", "good"]
    text: str
    where: str


class Headline(TypedDict):
    """The node's state, in one word and a sentence."""

    state: Literal["ok", "degraded", "losing", "idle", "down"]
    text: str


class Totals(TypedDict):
    """The totals since its start."""

    received: Signed
    passed: Signed
    dropped: Count
    failed: Count
    lost_by_senders: Signed | None


class State(TypedDict):
    """`GET /state`."""

    title: str
    version: str
    host: str
    pid: Count
    started: Time
    time: Time
    ready: bool
    stopping: bool
    process: Process
    loop_delay: Amount | None
    name: str
    config: str | None
    headline: Headline
    newest_age: Amount | None
    last_message: Time | None
    backlog: Signed
    totals: Totals
    last_minute: NotRequired[dict[str, Any]]
    shown_at: str | None
    components: list[ComponentState]
    senders: SenderTotals | None
    workers: list[WorkerState]
    errors: Failures
    console: NotRequired[dict[str, Any]]
    ledger: NotRequired[str | None]
    slowest: NotRequired[str | None]
    verdict: NotRequired[list[FindingState]]


class SenderState(TypedDict):
    """One sender."""

    name: str
    label: NotRequired[str]
    received: Signed
    lost: Signed
    seen: Time
    duplicated: NotRequired[Count]
    late: NotRequired[Count]
    restarted: NotRequired[Count]
    before: NotRequired[Signed]
    highest: NotRequired[Signed]
    perhaps_lost: NotRequired[Count]
    ambiguous: NotRequired[Count]


class Senders(TypedDict):
    """`GET /senders`."""

    totals: SenderTotals | None
    time: Time
    matching: Count
    senders: list[SenderState]


class ReasonLosses(TypedDict):
    """What a component of a node lost for one reason, in the minutes from `first` to `last`."""

    node: str
    component: str
    reason: str
    count: Count
    first: Time
    last: Time


class LostBySender(TypedDict):
    """What one sender lost on the way to a node."""

    node: str
    sender: str
    count: Count
    first: Time
    last: Time


class LossStep(TypedDict):
    """What was lost within one step of time."""

    time: Time
    lost: Count
    not_arrived: Count


class KeptRun(TypedDict):
    """A run of a node, as the ledger has it."""

    node: str
    pid: Count
    started: Time
    seen: Time
    ended: bool | int


class LossAnswer(TypedDict):
    """`GET /losses`."""

    since: Amount
    until: Amount
    time: Time
    step: Count
    later: Count
    by_reason: list[ReasonLosses]
    by_sender: list[LostBySender]
    minutes: list[LossStep]
    runs: list[KeptRun]
    kept_from: Time | None


class Line(TypedDict, total=False):
    """One line of `GET /tail`: a message and when it came, how many were missed, or a sign of life."""

    time: Time
    message: Any
    missed: Count
    alive: bool


_ANSWERS: dict[str, msgspec.json.Decoder[Any]] = {
    "/state": msgspec.json.Decoder(State),
    "/senders": msgspec.json.Decoder(Senders),
    "/losses": msgspec.json.Decoder(LossAnswer),
    "/tail": msgspec.json.Decoder(Line),
}
_ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


def decode_answer(path: str, data: bytes) -> Any:
    """Decode a node's answer at a path.

    Raises:
        ValueError: it is not JSON, or does not fit the schema; the text says what is wrong and where.
    """
    try:
        answer = _ANSWERS.get(path, _ANY).decode(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ValueError(str(error)) from error
    if path == "/tail" and "message" in answer and "time" not in answer:
        raise ValueError("a message has no time")
    return answer
