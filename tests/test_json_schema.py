"""The schema of config files says what `check` says, as far as a schema can."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from message_passing import registry
from message_passing.cli.commands import create, schema
from message_passing.cli.run.run_command import MessagePassing, check_file
from message_passing.config.json_schema import schema_of
from message_passing.config.parsing import load_file
from message_passing.errors import ComponentError
from message_passing.flow import Filter
from message_passing.options import declared, option

if TYPE_CHECKING:
    from message_passing.component import Component

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("**/config/*.*"))


class Tag(Filter):
    """Tags messages."""

    tag: str = option(description="The tag.", min_length=1)

    def filter(self, message: Any) -> Any:
        """Tag one."""
        return {**message, "tag": self.tag}


OWN = "+test_json_schema:Tag"
SCHEMA = schema_of(declared(MessagePassing), [(OWN, Tag)])
VALIDATOR = Draft202012Validator(SCHEMA)


def errors(values: Any) -> list[str]:
    """What the schema finds."""
    return [error.message for error in VALIDATOR.iter_errors(values)]


def test_it_is_a_schema() -> None:
    """By the schema of schemas, with no reference that leads nowhere."""
    Draft202012Validator.check_schema(SCHEMA)
    text = json.dumps(SCHEMA)
    names = {
        part.split('"')[0].replace("%20", " ").replace("%2B", "+").replace("~1", "/")
        for part in text.split("#/$defs/")[1:]
    }
    assert names <= SCHEMA["$defs"].keys()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_valid(path: Path) -> None:
    """Those of the documentation, in each form and format."""
    assert errors(load_file(str(path))) == []


def chain(kind: str, table: dict[str, Any]) -> dict[str, Any]:
    """A chain with this component."""
    values: dict[str, Any] = {
        "inputs": {"in": {"class": "STDIN", "output_to": "out"}},
        "outputs": {"out": {"class": "STDOUT"}},
    }
    values.setdefault(f"{kind}s", {})["x"] = {**table, **({} if kind == "output" else {"output_to": "out"})}
    return values


def found() -> list[tuple[str, str, type[Component]]]:
    """Every component whose packages are installed."""
    listed = []
    for kind in registry.PACKAGES:
        for name in registry.names(kind):
            try:
                listed.append((kind, name, registry.find(kind, name)))
            except ComponentError:
                continue
    return listed


def test_every_component_with_its_example() -> None:
    """In either form; an option that it does not have, and a wrong value, are errors."""
    for kind, name, cls in found():
        example = json.loads(json.dumps(dict(cls.example), default=str))
        if any(declared(cls)[key].python_only for key in cls.example):
            continue
        assert errors(chain(kind, {"class": name, "options": example})) == [], (kind, name)
        assert errors(chain(kind, {"class": name, "options": {**example, "nope": 1}})), (kind, name)
        assert errors(chain(kind, {"class": name, "options": {**example, "report_limit": "many"}}))
        assert errors({kind: name, f"{kind}_options": example}) == []
        assert errors({kind: name, f"{kind}_options": {**example, "nope": 1}})


@pytest.mark.parametrize("form", ["yaml", "toml", "json"])
def test_what_create_prints(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is valid, and names the schema where an editor looks for it."""
    assert create.COMMAND.main(["ZeroMQ", "JSON", "Where", "JSON", "File", "--format", form]) == 0
    path = tmp_path / f"a.{form}"
    path.write_text(text := capsys.readouterr().out)
    beginning = {"yaml": "# yaml-language-server: $schema=", "toml": "#:schema ./", "json": "# Generated"}
    assert text.startswith(beginning[form])
    assert errors(load_file(str(path))) == []


ROUTES: list[Any] = [{"when": "x", "to": ["a", "b"]}, {"when": "y", "to": "a", "else": "b"}]

RIGHT: list[dict[str, Any]] = [
    {},
    {"quiet": True, "control": True, "workers": "${N:-2}", "daemonize": "0", "ledger_days": "7"},
    {"input": "STDIN", "filter": ["Null", OWN], "filter_options": [{}, {"tag": "x"}], "output": "STDOUT"},
    {"input": "${IN}", "output": "File", "output_options": "filename=x"},
    {"input": "Socket::UDP", "input_options": {"port": "${PORT}"}, "output": None},
    chain("filter", {"class": OWN, "options": {"tag": "${TAG}"}}),
    chain("filter", {"class": "+other:Filter", "options": {"anything": 1}}),
    chain("filter", {"class": None, "options": None, "error": "out"}),
    {"decoders": {"d": {"class": "JSON", "output_to": ROUTES}}},
    {"tests": [{"input": [1], "output": {"a": []}, "errors": ["x"], "filtered": 1, "at": "a", "name": "n"}]},
]

WRONG: list[dict[str, Any]] = [
    {"quit": True},
    {"workers": -1},
    {"workers": "many"},
    {"daemonize": "perhaps"},
    {"input": "STDNI"},
    {"input": ["STDIN", "STDIN"]},
    {"inputs": []},
    chain("filter", {"class": OWN}),
    chain("filter", {"class": OWN, "options": {"tag": ""}}),
    chain("filter", {"clas": "Null"}),
    chain("filter", {"class": "Where"}),
    chain("output", {"class": "STDOUT", "output_to": "x"}),
    chain("input", {"class": "ZeroMQ", "options": {"socket_type": "PUSHPULL"}}),
    {"inputs": {"x": {"class": "STDIN"}}},
    {"encoders": {"d": {"class": "JSON", "output_to": ROUTES}}},
    {"decoders": {"d": {"class": "JSON", "output_to": [{"wen": "x", "to": "a"}]}}},
    {"decoders": {"d": {"class": "JSON", "output_to": [{"when": "x"}]}}},
    {"decoders": {"d": {"class": "JSON", "output_to": [{"when": True, "to": "a"}]}}},
    {"tests": [{"output": []}]},
    {"tests": [{"input": [], "outputs": []}]},
]


@pytest.mark.parametrize("values", RIGHT, ids=repr)
def test_what_is_right(values: dict[str, Any]) -> None:
    """Also texts for numbers, variables, text for options, and files with a part of a chain."""
    assert errors(values) == []


@pytest.mark.parametrize("values", WRONG, ids=repr)
def test_what_is_wrong(values: dict[str, Any], tmp_path: Path) -> None:
    """The schema finds it, as `check` does."""
    assert errors(values)
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(values))
    assert not check_file(str(tmp_path / "a.yaml")).right


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """It prints the schema, with one's own components; what is none is an error."""
    assert schema.COMMAND.main([OWN]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(SCHEMA))
    assert schema.COMMAND.main(["JSON", "+nowhere:X"]) == 2
    told = capsys.readouterr().err
    assert "'JSON' is not a component of your own: name those as +package.module:Class" in told
    assert "nowhere" in told
