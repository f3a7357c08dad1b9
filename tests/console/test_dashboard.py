"""The dashboard: what Grafana makes of it, by Grafana's own schema, and what Prometheus answers to each panel."""

from __future__ import annotations

import json
import re
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from console.scraped import asked, eventful, needs_prometheus, prometheus
from documents import ROOT
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = ROOT / "src/message_passing/console/monitoring"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))


def unknown(given: Any, understood: Any, where: str = "") -> Iterator[str]:
    """What Grafana's schema did not keep as it was given."""
    if isinstance(given, dict) and isinstance(understood, dict):
        for key, value in given.items():
            yield from unknown(value, understood.get(key), f"{where}.{key}")
    elif isinstance(given, list) and isinstance(understood, list) and len(given) == len(understood):
        for number, (one, other) in enumerate(zip(given, understood, strict=True)):
            yield from unknown(one, other, f"{where}[{number}]")
    elif given != understood:
        yield f"{where}: {given!r} became {understood!r}"


def allowed(hint: Any) -> set[Any]:
    """The texts that an annotation allows, or `str` for any."""
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {one.value for one in hint}
    if get_origin(hint) is Literal:
        return set(get_args(hint))
    if parts := get_args(hint):
        return set().union(*map(allowed, parts))
    return {str} if hint in (str, object, Any) else set()


def wrong_types(model: Any, where: str = "") -> Iterator[str]:
    """Texts that a model's annotations do not allow: the schema's classes do not check them."""
    if isinstance(model, list):
        for number, one in enumerate(model):
            yield from wrong_types(one, f"{where}[{number}]")
    if not type(model).__module__.startswith("grafana_foundation_sdk") or isinstance(model, Enum):
        return
    for name, hint in get_type_hints(type(model)).items():
        value, words = getattr(model, name, None), allowed(hint)
        if isinstance(value, str) and str not in words and value not in words:
            yield f"{where}.{name}: {value!r} is none of {words}"
        yield from wrong_types(value, f"{where}.{name}")


def found_wrong(dashboard: dict[str, Any]) -> list[str]:
    """All that Grafana's own schema has to say against a dashboard."""
    register_default_plugins()
    model = Dashboard.from_json(json.loads(json.dumps(dashboard)))
    understood = json.loads(JSONEncoder(sort_keys=True).encode(model))
    strange = [one["type"] for one in dashboard["panels"] if one["type"] not in ("stat", "timeseries")]
    return [*unknown(dashboard, understood), *wrong_types(model), *strange]


def test_grafana_understands_every_key_of_it() -> None:
    """By the classes that Grafana's developers generate from its schema: nothing is lost, no word is unknown."""
    assert found_wrong(DASHBOARD) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"expr"', '"exp"'),
        ('"gridPos"', '"gridpos"'),
        ('"reduceOptions"', '"reduceOption"'),
        ('"colorMode": "value"', '"colorMode": "valu"'),
        ('"multi": true', '"multi": "yes"'),
        ('"h": 4', '"h": "4"'),
        ('"mode": "absolute"', '"mode": "absolut"'),
        ('"type": "timeseries"', '"type": "timeserie"'),
    ],
)
def test_a_slip_in_it_would_be_found(right: str, wrong: str) -> None:
    """A key, a word or a type that Grafana does not know."""
    text = json.dumps(DASHBOARD)
    assert right in text
    assert found_wrong(json.loads(text.replace(right, wrong)))


def test_panels_do_not_overlap() -> None:
    """Each place of the grid, 24 wide, belongs to one panel; ids are unique, and every variable in a query exists."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        places = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not taken & places, panel["title"]
        assert max(x for x, _ in places) < 24
        taken |= places
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids) > 10
    known = {one["name"] for one in DASHBOARD["templating"]["list"]} | {"__rate_interval"}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) - {"__all"} <= known


@needs_prometheus
def test_every_panel_shows_something_of_a_node_in_trouble(tmp_path: Path) -> None:
    """Each query, as it stands, has data of a real Prometheus that scrapes a real node; losses are seen at once."""
    with eventful() as one, prometheus(tmp_path, one) as port:
        assert json.loads(one.ask("/static/dashboard.json")[1]) == DASHBOARD
        rules = one.ask("/static/alerts.yml")[1]
        assert rules == (FOLDER / "alerts.yml").read_bytes()
        there = one.ask("/metrics")[1].decode()
        for name in set(re.findall(r"\bmessage_passing_[a-z_]+", rules.decode())):
            assert f"\n{name}" in there
        (instances,) = (
            variable["query"]
            for variable in DASHBOARD["templating"]["list"]
            if variable["name"] == "instance"
        )
        selector = re.fullmatch(r"label_values\((.+), instance\)", instances)
        assert selector
        wait_for(partial(values, port, selector[1]), timeout=60)
        wait_for(lambda: values(port, "count_over_time(up[1m])") >= [4], timeout=60)
        for panel in DASHBOARD["panels"]:
            for target in panel["targets"]:
                query = target["expr"].replace("$instance", "127.+").replace("$__rate_interval", "1m")
                try:
                    wait_for(partial(values, port, query), timeout=20)
                except TimeoutError:
                    pytest.fail(f"the panel {panel['title']!r} shows nothing of {query}")
                if "last minute" in panel["title"] and "delta" not in query:
                    assert max(values(port, query)) > 0, query
        one.node.process.kill()
        wait_for(lambda: values(port, "up") == [0], timeout=60)
        shown = {panel["title"]: panel["targets"][0]["expr"] for panel in DASHBOARD["panels"]}
        running = shown["Running"].replace("$instance", "127.+")
        wait_for(lambda: values(port, running) == [0], timeout=60)
        for title in ("Dropped in the last minute", "Failed in the last minute"):
            query = shown[title].replace("$instance", "127.+")
            assert values(port, query) == [], "a node that is gone has no green zero"


def values(port: int, query: str) -> list[float]:
    """What a query gives."""
    return [float(one["value"][1]) for one in asked(port, query)]
