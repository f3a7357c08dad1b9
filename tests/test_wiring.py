"""How much is done between two components: decided by what they say of themselves, once, at wiring."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.codecs.jsonlines import JSONLinesDecoder, JSONLinesEncoder
from message_passing.codecs.null import NullEncoder
from message_passing.filters.delay import DelayFilter
from message_passing.filters.null import NullFilter
from message_passing.filters.t import TFilter
from message_passing.filters.where import WhereFilter
from message_passing.flow import Filter, Input, Output
from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.lines import SHARED, LineBatch
from message_passing.outputs.file import FileOutput
from message_passing.outputs.null import NullOutput
from message_passing.testing import ContractError, check_component, free_port
from message_passing.wiring import HANDLING, Wiring, leaves_encoding, said, wiring_of
from support import Kept, accounted_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Stranger:
    """Has `consume`, and says nothing of itself."""

    def consume(self, message: Any) -> None:
        """Take it."""


class Renamed(NullFilter):
    """Handles messages as its base does."""

    name = "Renamed"


class Looks(NullFilter):
    """Handles them in a way of its own."""

    def filter(self, message: Any) -> Any:
        """Look."""
        return message


class Spells(JSONEncoder):
    """Writes in a way of its own."""

    def text_of(self, message: Any) -> bytes:
        """Write."""
        return super().text_of(message)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (JSONEncoder, True),
        (JSONLinesEncoder, True),
        (lambda: JSONEncoder(pretty=True), False),
        (NullEncoder, False),
        (Spells, False),
        (type("Named", (JSONEncoder,), {"name": "Named"}), True),
        (lambda: NullFilter(output_to=JSONEncoder()), True),
        (lambda: Renamed(output_to=DelayFilter(delay_for=1, output_to=JSONEncoder())), True),
        (lambda: Looks(output_to=JSONEncoder()), False),
        (lambda: TFilter(output_to=[JSONEncoder(), JSONLinesEncoder()]), True),
        (lambda: TFilter(output_to=[JSONEncoder(), NullOutput()]), False),
        (NullOutput, False),
        (Stranger, False),
        (lambda: None, False),
    ],
)
@pytest.mark.parametrize("decoder", [JSONDecoder, JSONLinesDecoder])
def test_text_passes_where_it_becomes_text_again_and_nobody_looks(
    make: Callable[[], Any], text: bool, decoder: Any
) -> None:
    """On every branch, and never past a class that handles messages in a way of its own."""
    head = decoder(output_to=make())
    assert wiring_of(head).text is text
    with head:
        assert head.wiring.text is text


def test_blocks_pass_to_what_writes_them(tmp_path: Path) -> None:
    """To all that come next, and to subclasses that write as their base does."""
    named = type("Named", (FileOutput,), {"name": "Named"})
    own = type("Own", (FileOutput,), {"write_many": FileOutput.write_many})
    for cls, blocks in ((FileOutput, True), (named, True), (own, False)):
        encoder = JSONEncoder(output_to=cls(filename=str(tmp_path / "file")))
        with encoder:
            assert encoder.wiring == Wiring(text=False, blocks=blocks, frames=blocks)


@pytest.mark.parametrize(
    ("make", "frames"),
    [
        (lambda: JSONDecoder(output_to=JSONEncoder()), True),
        (lambda: NullFilter(output_to=JSONDecoder(output_to=JSONEncoder())), True),
        (lambda: JSONDecoder(output_to=WhereFilter(condition="a", output_to=JSONEncoder())), True),
        (lambda: JSONDecoder(output_to=Looks(output_to=JSONEncoder())), False),
        (lambda: TFilter(output_to=[JSONDecoder(output_to=JSONEncoder()), NullOutput()]), False),
        (lambda: Looks(output_to=JSONDecoder(output_to=JSONEncoder())), False),
        (lambda: type("Named", (JSONDecoder,), {"name": "Named"})(output_to=JSONEncoder()), True),
        (
            lambda: type("Own", (JSONDecoder,), {"filter_many": JSONDecoder.filter_many})(
                output_to=JSONEncoder()
            ),
            False,
        ),
        (JSONLinesDecoder, False),
        (Stranger, False),
    ],
)
def test_a_batch_as_it_was_received_goes_to_who_does_not_change_it(
    make: Callable[[], Any], frames: bool
) -> None:
    """A filter of a user's gets a list of its own; and a decoder to objects has no use for the block."""
    assert wiring_of(Input(output_to=make())).frames is frames


def test_an_input_of_ones_own_may_change_what_it_passes_on() -> None:
    """What it has received is then not marked as objects."""

    class Own(ZeroMQInput):
        """As it is."""

        def emit(self, messages: list[Any]) -> None:
            """Change it first."""
            super().emit([*messages, b"not JSON"])

    for cls, marked in ((ZeroMQInput, True), (Own, False)):
        head = cls(
            socket_type="PULL",
            socket_bind=f"tcp://127.0.0.1:{free_port()}",
            output_to=JSONDecoder(output_to=JSONEncoder()),
        )
        head.rewire()
        assert head._receiver.marks_objects is marked
        head.connect_to(JSONDecoder(output_to=Looks(output_to=JSONEncoder())))
        head.rewire()
        assert head._receiver.marks_objects is False


def test_it_is_decided_anew_when_a_chain_changes() -> None:
    """A filter that looks comes between."""
    head = JSONDecoder(output_to=JSONEncoder(output_to=Kept()))
    with head:
        assert head.wiring.text
        head.connect_to(Looks(output_to=JSONEncoder(output_to=Kept())))
        head.rewire()
        assert not head.wiring.text


def test_a_class_that_says_it_again_is_believed() -> None:
    """One that handles messages in its own way, and does not look all the same."""
    again = type("Again", (Looks,), {"transparent": True})
    assert said(again, "transparent") is True
    assert said(Looks, "transparent") is None
    assert said(type("On", (again,), {"name": "On"}), "transparent") is True
    assert said(type("Own", (again,), {"filter_many": NullFilter.filter_many}), "transparent") is None
    assert {"filter", "write_many"} <= HANDLING


# A batch is not changed by those who get it


class Cuts(Filter):
    """Takes away all but the first."""

    transparent = True

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """In place."""
        del messages[1:]
        return messages


class Replaces(Filter):
    """Keeps every other message."""

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """In place."""
        messages[:] = messages[::2]
        return messages


def test_a_batch_of_checked_text_cannot_be_changed(tmp_path: Path) -> None:
    """What is written is what is counted: all of a batch, or nothing and a report that says why."""
    path, errors = tmp_path / "out", Kept()
    output = FileOutput(filename=str(path))
    cuts = Cuts(output_to=JSONEncoder(output_to=output), error=errors)
    cuts._pace.most = float("inf")
    head = JSONDecoder(output_to=cuts)
    with head:
        head.consume_many([b"{}", b"{}", b"{}"])
        assert (path.read_bytes(), output.metrics.received, cuts.metrics.failed) == (b"", 0, 3)
    assert errors.messages[0]["exception"] == SHARED


def test_what_a_filter_takes_away_in_place_is_counted() -> None:
    """It should not, but the number of those that came is known before."""
    replaces = Replaces(output_to=Kept())
    replaces.consume_many([1])
    replaces._pace.most = float("inf")
    replaces.consume_many([1, 2, 3, 4])
    assert replaces.snapshot()["filtered"] == 2
    assert accounted_for(replaces)


@pytest.mark.parametrize(
    "change",
    [
        lambda batch: batch.append(b"x"),
        lambda batch: batch.extend([b"x"]),
        lambda batch: batch.insert(0, b"x"),
        lambda batch: batch.pop(),
        lambda batch: batch.remove(b"{}"),
        lambda batch: batch.clear(),
        lambda batch: batch.sort(key=len),
        lambda batch: batch.reverse(),
        lambda batch: batch.__setitem__(0, b"x"),
        lambda batch: batch.__delitem__(0),
        lambda batch: batch.__iadd__([b"x"]),
        lambda batch: batch.__imul__(2),
    ],
)
def test_no_way_to_change_a_batch_is_left(change: Callable[[Any], object]) -> None:
    """Every method of a list that changes it is refused."""
    batch = LineBatch([b"{}", b"[]"])
    with pytest.raises(TypeError, match="is not changed"):
        change(batch)
    assert batch == [b"{}", b"[]"]


def test_a_copy_of_a_batch_is_a_list() -> None:
    """Whichever way it is copied, it may be changed."""
    batch = LineBatch([b"{}"])
    pickled = pickle.loads(pickle.dumps(batch))  # noqa: S301 - our own
    for copied in (copy.copy(batch), copy.deepcopy(batch), pickled, batch[:], [*batch]):
        assert type(copied) is list
        assert copied == [b"{}"]


@pytest.mark.parametrize("cls", [Cuts, Replaces])
def test_the_contract_catches_a_filter_that_changes_its_batch(cls: Any) -> None:
    """Both ways, with what to do instead."""
    with pytest.raises(ContractError, match="changes the batch that it is given: return a new list"):
        check_component(cls)


# Objects beside their text


class ByLevel(Output):
    """Keeps what it is given by the field `level`."""

    takes_objects = True

    def on_init(self) -> None:
        """Nothing yet."""
        self.found: dict[Any, list[bytes]] = {}

    def write_many(self, messages: list[Any]) -> None:
        """Encode each level's together."""
        for level in {one.get("level") for one in messages}:
            texts = self.encoded([one for one in messages if one.get("level") == level])
            self.found.setdefault(level, []).extend(texts)


def test_an_error_chain_may_end_in_one_that_takes_objects() -> None:
    """A report is an object like any other."""
    output = ByLevel()
    errors = JSONEncoder(output_to=output)
    with errors, JSONDecoder(output_to=Kept(), error=errors) as head:
        head.consume_many([b"bad", b"{}", b"worse"])
    (reports,) = output.found.values()
    assert [b"malformed JSON" in one for one in reports] == [True, True]
    assert accounted_for(output)
    assert (errors.snapshot()["passed"], output.snapshot()["passed"]) == (2, 2)


def test_a_subclass_that_writes_in_its_own_way_takes_objects_if_it_says_so() -> None:
    """As with all that a class says of itself: otherwise it would get what it does not expect."""
    own = type("Own", (ByLevel,), {"write_many": ByLevel.write_many})
    again = type("Again", (own,), {"takes_objects": True})
    for cls, leaves in ((ByLevel, True), (own, False), (again, True)):
        head = JSONEncoder(output_to=NullEncoder(output_to=cls()))
        assert leaves_encoding(head) is leaves
        assert leaves_encoding(JSONDecoder(output_to=head)) is False
        assert wiring_of(JSONDecoder(output_to=JSONEncoder(output_to=cls()))).text is not leaves


def test_what_is_not_encodable_without_an_encoder_fails() -> None:
    """Where none stands before it, bytes and text pass, and a batch that raises fails once."""
    output = ByLevel(error=Kept())
    output.consume_many([{"level": 1}, {"level": 2}])
    output.consume_many([{"level": 1}, 7])
    assert (output.found, output.metrics.failed) == ({1: [], 2: []}, 4)
    assert accounted_for(output)
