"""From a short name to its class: built-in, by path, or plugged in."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator  # noqa: TC003
from pathlib import Path  # noqa: TC003
from typing import Any

import pytest

from message_passing import registry
from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.declaration import Declaration
from message_passing.errors import ChainError, ComponentError
from message_passing.filters.to_logstash import ToLogstashFilter
from message_passing.flow import Filter, Input, Output
from message_passing.registry import BASES, PACKAGES, find, names

PLUGIN = """
from message_passing import Encoder, Filter, Input, Output

class Shout(Filter):
    name = "Shout"
    def filter(self, message):
        return message.upper()

class NotJSON(Filter):
    name = "JSON"
    def filter(self, message):
        return b"shadowed"

class Source(Input):
    async def run(self):
        pass

class Sink(Output):
    def write(self, message):
        pass

class Lacking(Filter):
    pass

class SinkLacking(Output):
    pass

class SourceLacking(Input):
    pass

class Text(Encoder):
    def filter(self, message):
        return str(message).encode()

class Stranger:
    pass

def function():
    pass
"""


@pytest.fixture
def plugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Install a package `acme_for_tests` with these entry points, as pip would, and take it away again."""

    def install(entry_points: str) -> None:
        (tmp_path / "acme_for_tests.py").write_text(PLUGIN)
        info = tmp_path / "acme_for_tests-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-for-tests\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entry_points)
        monkeypatch.syspath_prepend(tmp_path)
        names.cache_clear()

    yield install
    sys.modules.pop("acme_for_tests", None)
    names.cache_clear()
    importlib.invalidate_caches()


@pytest.mark.parametrize("kind", list(PACKAGES))
def test_every_documented_name_leads_to_a_class_of_that_name(kind: str) -> None:
    """The names that are listed are the names that work, each of its own kind."""
    assert names(kind)
    for name in names(kind):
        cls = find(kind, name)
        assert cls.name == name
        assert cls.kind == kind
        assert issubclass(cls, BASES[kind])


@pytest.mark.parametrize(
    "name", ["ToLogstash", "tologstash", "TOLOGSTASH", "to_logstash", "Message::Passing::Filter::ToLogstash"]
)
def test_a_name_may_be_written_in_any_case(name: str) -> None:
    """And as the original's full name."""
    assert find("filter", name) is ToLogstashFilter


def test_encoder_and_decoder_of_one_name_are_told_apart() -> None:
    """They live in one module."""
    assert find("encoder", "JSON") is JSONEncoder
    assert find("decoder", "JSON") is JSONDecoder
    assert find("encoder", "Message::Passing::Filter::Encoder::JSON") is JSONEncoder
    assert find("decoder", "+Message::Passing::Filter::Decoder::JSON") is JSONDecoder


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    """Spelt as documented."""
    with pytest.raises(ComponentError, match=r"there is no encoder 'JSOM' \(did you mean 'JSON'\?\)"):
        find("encoder", "JSOM")


def test_an_unknown_name_like_none_is_told_with_all() -> None:
    """And with the form of a path."""
    with pytest.raises(ComponentError, match=r"there are Bzip2, .*Zstd; or \+package\.module:Class"):
        find("encoder", "Something else")


def test_a_helper_module_is_no_component() -> None:
    """A file whose name begins with an underscore is not found by name."""
    with pytest.raises(ComponentError, match="there is no filter '_regexfile'"):
        find("filter", "_regexfile")


def test_a_codec_may_be_an_encoder_only() -> None:
    """There is no decoder of its name then, and the error lists those that there are."""
    assert "Template" in names("encoder")
    assert "Template" not in names("decoder")
    with pytest.raises(ComponentError, match=r"there is no decoder 'Template' \(there are Bzip2, "):
        find("decoder", "Template")


@pytest.mark.parametrize(
    ("kind", "name"), [("filter", "Shout"), ("input", "Source"), ("output", "Sink"), ("encoder", "Text")]
)
@pytest.mark.parametrize("mark", [":", "."])
def test_a_path_leads_to_a_class_in_the_working_directory(
    kind: str, name: str, mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing needs to be installed for a filter of one's own."""
    (tmp_path / "acme_for_tests.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "acme_for_tests", raising=False)
    assert find(kind, f"+acme_for_tests{mark}{name}").__name__ == name
    sys.modules.pop("acme_for_tests")


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        ("input", "Shout", "is no input: it must be a subclass of message_passing.Input"),
        ("filter", "Sink", "is no filter: it must be a subclass of message_passing.Filter"),
        ("encoder", "Source", "is no encoder: it must be a subclass of message_passing.Filter"),
        ("output", "Stranger", "is no output: it must be a subclass of message_passing.Output"),
        ("filter", "function", "is no filter: it must be a subclass of message_passing.Filter"),
        ("filter", "Lacking", "lacks the method 'filter' that every filter defines"),
        ("output", "SinkLacking", "lacks the method 'write' that every output defines"),
        ("input", "SourceLacking", "lacks the method 'run' that every input defines"),
        ("filter", "Shuot", r"has no 'Shuot' \(did you mean 'Shout'\?\)"),
    ],
)
def test_a_path_to_something_else_is_refused(
    kind: str, name: str, reason: str, plugged: Callable[[str], None]
) -> None:
    """The message says what it should have been, or what it lacks."""
    plugged("")
    with pytest.raises(ComponentError, match=reason):
        find(kind, f"+acme_for_tests:{name}")


def test_a_plugin_is_found_by_its_entry_points_name(plugged: Callable[[str], None]) -> None:
    """In any case, and it is listed among the others."""
    plugged("[message_passing.filters]\nShout = acme_for_tests:Shout\n")
    assert find("filter", "Shout").__module__ == "acme_for_tests"
    assert find("filter", "SHOUT") is find("filter", "Shout")
    assert "Shout" in names("filter")
    assert "Shout" not in names("output")


def test_a_plugin_cannot_shadow_a_built_in(plugged: Callable[[str], None]) -> None:
    """Nor is the name listed twice."""
    plugged("[message_passing.encoders]\njson = acme_for_tests:NotJSON\n")
    assert find("encoder", "JSON") is JSONEncoder
    assert find("encoder", "json") is JSONEncoder
    assert "json" not in names("encoder")


def test_a_plugin_of_the_wrong_kind_is_refused(plugged: Callable[[str], None]) -> None:
    """Its author learns what it should be."""
    plugged("[message_passing.inputs]\nShout = acme_for_tests:Shout\n")
    with pytest.raises(ComponentError, match=r"must be a subclass of message_passing\.Input"):
        find("input", "Shout")


def test_a_plugin_that_cannot_be_imported_says_so(plugged: Callable[[str], None]) -> None:
    """Only when it is named: the others work."""
    plugged("[message_passing.filters]\nLost = acme_lost_for_tests:Lost\n")
    assert find("filter", "Key").name == "Key"
    with pytest.raises(ComponentError, match="there is no module 'acme_lost_for_tests'"):
        find("filter", "Lost")


@pytest.mark.parametrize(
    ("name", "module", "imported", "reason"),
    [
        (
            "Crypt::CBC",
            "crypt_cbc",
            "cryptography.hazmat.decrepit.ciphers",
            "the package 'cryptography': install it with `pip install 'message-passing[crypt]'`",
        ),
        (
            "Bzip2",
            "bzip2",
            "bz2",
            "Python's module 'bz2', which is missing here: build or install a Python that has it",
        ),
    ],
)
def test_a_missing_optional_package_or_module_is_named(
    name: str, module: str, imported: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The component and the remedy are named too; and the list of names still has it."""
    missing: Any = None  # what Python finds there for a module that cannot be imported
    monkeypatch.setitem(sys.modules, imported, missing)
    monkeypatch.delitem(sys.modules, f"message_passing.codecs.{module}", raising=False)
    registry.names.cache_clear()
    with pytest.raises(ComponentError) as caught:
        find("encoder", name)
    assert str(caught.value) == f"encoder '{name}': this needs {reason}"
    assert name in names("encoder")
    registry.names.cache_clear()


@pytest.mark.parametrize(
    "method",
    [
        "async def filter(self, message):\n        return message",
        "def filter(self, message):\n        yield message",
        "async def filter_many(self, messages):\n        yield 1",
    ],
)
def test_a_method_that_calling_would_not_run_is_refused(method: str) -> None:
    """A class whose filter is async or yields would lose every message."""
    with pytest.raises(TypeError, match=r"Lazy\.filter.* is async, or yields: calling it would do nothing"):
        exec(f"from message_passing import Filter\nclass Lazy(Filter):\n    {method}")  # noqa: S102


@pytest.mark.parametrize("kind", ["Input", "Filter", "Output"])
def test_a_constructor_that_forgets_its_base_is_refused(kind: str) -> None:
    """Whatever the kind, in a sentence that says what to call, and before anything is opened."""
    base = {"Input": Input, "Filter": Filter, "Output": Output}[kind]
    forgets = type("Forgets", (base,), {"__init__": lambda _: None})
    with pytest.raises(ChainError, match=r"TypeError: Forgets\.__init__ has to call super\(\)\.__init__"):
        Declaration(kind.lower(), "one", forgets, {}).make()
