"""The field sets: what each calls what a record holds."""

from __future__ import annotations

import json
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from markupsafe import Markup

from message_passing.logging.entry import Entry
from message_passing.logging.fields import Fields, Origin, encoder_for

ORIGIN = Origin("host", "service", 42, "host:42:0")
TIME = "2026-01-02T03:04:05.000006Z"


def record(fields: Any, **more: Any) -> dict[str, Any]:
    """What a field set makes of one entry."""
    start = 1767323045.000006
    entry = Entry(start, "ERROR", 40, "app", more.pop("message", "x"), "/a.py", 7, "main", 1, "T", 3, **more)
    found: dict[str, Any] = json.loads(encoder_for(fields, ORIGIN)(entry))
    return found


EXPECTED: dict[str, dict[str, Any]] = {
    "default": {"time": TIME, "level": "ERROR", "level_number": 40, "logger": "app", "message": "x", "file": "/a.py",
                "line": 7, "function": "main", "thread_id": 1, "thread": "T", "sequence": 3, "extra": {"user": 1},
                "process_id": 42, "host": "host", "service": "service", "sender": "host:42:0"},
    "ecs": {"@timestamp": TIME, "log.level": "error", "message": "x", "log.logger": "app", "service.name": "service",
            "log.origin.file.line": 7, "log.origin.file.name": "/a.py", "process.pid": 42, "host.name": "host"},
    "log_dispatch": {"name": "app", "level": "error", "message": "x", "min_level": "debug", "user": 1, "host": "host",
                     "level_number": 40},
    "logstash": {"@timestamp": TIME, "@version": "1", "message": "x", "logger_name": "app", "path": "/a.py",
                 "level": "ERROR", "host": "host", "user": 1},
    "logstash0": {"@timestamp": TIME, "@message": "x", "@source_host": "host", "@source_path": "/a.py"},
    "otel": {"Timestamp": TIME, "SeverityText": "ERROR", "SeverityNumber": 17, "Body": "x",
             "Resource": {"service.name": "service", "host.name": "host", "process.pid": 42},
             "InstrumentationScope": {"Name": "app"}},
}  # fmt: skip


@pytest.mark.parametrize("fields", get_args(Fields))
def test_each_field_set(fields: Fields) -> None:
    """Names and values."""
    found = record(fields, extra={"user": 1})
    assert found | EXPECTED[fields] == found
    if fields == "default":
        assert found == EXPECTED[fields]


@pytest.mark.parametrize("fields", get_args(Fields))
def test_exceptions_extras_and_identity_are_in_every_set(fields: Fields) -> None:
    """Under whatever name."""
    error = {"type": "ValueError", "message": "wrong", "traceback": "Traceback of it"}
    text = json.dumps(record(fields, exception=error, extra={"user": "u7"}, truncated=True))
    for wanted in ("ValueError", "wrong", "Traceback of it", "u7", "host:42:0", "truncated"):
        assert wanted in text


TAKEN = {
    "log_dispatch": ("name", "level", "message", "min_level", "host", "sequence", "trace_id"),
    "logstash": ("host", "service", "path", "level", "line", "message", "@timestamp", "sequence", "trace_id"),
    "otel": ("sequence", "sender", "thread.id", "code.line.number", "exception.type", "process_id", "level"),
}


@pytest.mark.parametrize("fields", get_args(Fields))
def test_an_extra_and_a_field_of_the_same_name_are_both_there(fields: Fields) -> None:
    """The field under its own name; the extra with an underscore, where it would take its place."""
    names = TAKEN.get(str(fields), ("host", "sequence", "level"))
    error = {"type": "ValueError", "message": "wrong", "traceback": "Traceback of it"}
    more: dict[str, Any] = {"exception": error, "trace_id": "1" * 32, "span_id": "2" * 16}
    before = record(fields, extra={}, **more)
    extra: dict[str, Any] = {name: f"mine: {name}" for name in names} | {"host_": "mine too"}
    found = record(fields, extra=extra, **more)
    where = found["Attributes"] if fields == "otel" else found
    own = before["Attributes"] if fields == "otel" else before
    assert {
        name: value for name, value in where.items() if name in own and name not in ("extra", "@fields")
    } == {name: value for name, value in own.items() if name not in ("extra", "@fields")}
    text = json.dumps(found)
    for value in extra.values():
        assert json.dumps(value) in text


@pytest.mark.parametrize(
    ("fields", "trace", "span"),
    [
        ("default", "trace_id", "span_id"),
        ("ecs", "trace.id", "span.id"),
        ("logstash", "trace_id", "span_id"),
        ("otel", "TraceId", "SpanId"),
    ],
)
def test_a_span_has_its_names(fields: Fields, trace: str, span: str) -> None:
    """Those of each set; where there is none nothing is said."""
    found = record(fields, trace_id="1" * 32, span_id="2" * 16)
    assert (found[trace], found[span]) == ("1" * 32, "2" * 16)
    assert trace not in record(fields)


@pytest.mark.parametrize("fields", get_args(Fields))
def test_a_record_of_another_process_says_so(fields: Fields) -> None:
    """Its process is the one that logged it, whoever hands it on."""
    text = json.dumps(record(fields, process_id=4711))
    assert ": 4711" in text
    assert ": 42," not in text


@pytest.mark.parametrize("fields", get_args(Fields))
def test_half_a_surrogate_pair_loses_no_record(fields: Fields) -> None:
    """It is written as an escape."""
    assert "half \\\\ud800" in json.dumps(record(fields, message="half \ud800", extra={"\udcff": "\udc80"}))


def test_what_is_absent_is_left_out() -> None:
    """No nulls for what a record does not have."""
    assert (
        not {"exception", "stack", "extra", "context", "task", "args", "truncated"} & record("default").keys()
    )


def test_a_function_of_the_users_own() -> None:
    """It gets the default fields, with parts that were encoded as objects again."""
    assert record(lambda fields: {"at": fields["line"], "who": fields["sender"]}) == {
        "at": 7,
        "who": "host:42:0",
    }


def test_a_function_may_give_values_and_keys_of_other_types() -> None:
    """They become what they are made of, as in the codec."""
    odd = {np.int64(1): np.float32(1.5), None: Markup("<b>"), "at": pd.Timestamp("2026-01-02")}
    assert record(lambda _: odd) == {"1": 1.5, "null": "<b>", "at": "2026-01-02T00:00:00"}
