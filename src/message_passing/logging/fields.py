"""From an entry to one JSON object: the default field set, and those of other systems.

default    ours: docs/guide-logging.md describes every field
ecs        Elastic Common Schema 8
log_dispatch  what Perl's Log::Dispatch::Message::Passing sends, and everything else beside it
logstash   Logstash's version 1 event, as logstash_formatter and its like write it
logstash0  what the filter ToLogstash makes: Logstash's version 0, with @fields
otel       the names of OpenTelemetry's log data model
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from message_passing.clock import iso_time
from message_passing.jsonable import Sample, sanitize, to_jsonable
from message_passing.logging.attributes import LARGEST_RECORD, free
from message_passing.logging.entry import Entry

Fields = Literal["default", "ecs", "log_dispatch", "logstash", "logstash0", "otel"]
Encode = Callable[[Entry], bytes]

_encode = msgspec.json.Encoder(enc_hook=to_jsonable, decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Origin:
    """The sender: the same in every record of a process.

    Attributes:
        host: the machine's name.
        service: the program's name.
        process_id: its process.
        sender: host, process and start, which no other process of any time shares; None leaves it out.
        min_level: the level from which on the handler takes records.
    """

    host: str
    service: str
    process_id: int
    sender: str | None
    min_level: int | str = 0


def encoder_for(fields: Fields | Callable[[dict[str, Any]], Mapping[str, Any]], origin: Origin) -> Encode:
    """The function that makes JSON of an entry.

    Args:
        fields: a field set's name, or a function from the default fields to those that are wanted.
        origin: what every record says of its sender.
    """
    if fields == "default":
        return _default(origin)
    if isinstance(fields, str):
        convert = conversion(fields, origin)
        return lambda entry: as_json(convert(as_dict(entry, origin)))

    def encode(entry: Entry) -> bytes:
        made = fields(as_objects(as_dict(entry, origin)))
        try:
            return as_json(made)
        except Exception:  # noqa: BLE001 - one value that JSON has nothing for does not cost all others
            return as_json(Sample(LARGEST_RECORD).of(made))

    return encode


def conversion(fields: Fields, origin: Origin) -> Callable[[dict[str, Any]], Mapping[str, Any]]:
    """The function that converts the default fields to those of a set."""
    if fields == "default":
        return lambda default: default
    if fields == "log_dispatch":
        return lambda default: _log_dispatch(default, origin.min_level)
    return _CONVERSIONS[fields]


def as_json(fields: Any) -> bytes:
    """Fields, or the value of one, as JSON."""
    try:
        return _encode(fields)
    except (UnicodeEncodeError, TypeError, RecursionError):  # half a surrogate pair; keys of odd types
        return _encode(sanitize(as_objects(fields)))


def as_objects(value: Any) -> Any:
    """A record's parts as objects: they were encoded when the record was made, since they may change."""
    if isinstance(value, msgspec.Raw):
        return msgspec.json.decode(value)
    if isinstance(value, Mapping):
        return {name: as_objects(item) for name, item in value.items()}
    return [as_objects(item) for item in value] if isinstance(value, list) else value


_ALWAYS = frozenset({"logger", "file", "function"})
"""What other field sets have a name for, and a record may lack."""


def as_dict(entry: Entry, origin: Origin) -> dict[str, Any]:
    """The default fields, as a dict."""
    entry.time = _moment(entry.time)
    names = ((name, getattr(entry, name)) for name in Entry.__struct_fields__)
    present = {
        name: value for name, value in names if name in _ALWAYS or (value is not None and value is not False)
    }
    del present["weight"]
    return {**present, **said_of(origin, entry.process_id)}


def _moment(time: Any) -> Any:
    if not isinstance(time, float):
        return time
    return iso_time(time)


def said_of(origin: Origin, process_id: int | None = None) -> dict[str, Any]:
    """The fields that are the same in every record of a process.

    Args:
        origin: the sender.
        process_id: the process that logged, if the record says so.
    """
    said = {"process_id": process_id or origin.process_id, "host": origin.host, "service": origin.service}
    return {**said, "sender": origin.sender} if origin.sender else said


def _default(origin: Origin) -> Encode:
    # What is the same in every record is encoded once, and put where the object would end.
    said = said_of(origin)
    ending = b"," + _encode(said)[1:]
    del said["process_id"]  # the last field of an entry
    shorter = b"," + _encode(said)[1:]

    def encode(entry: Entry) -> bytes:
        entry.time = _moment(entry.time)
        try:
            return _encode(entry)[:-1] + (ending if entry.process_id is None else shorter)
        except UnicodeEncodeError:
            return as_json(as_dict(entry, origin))

    return encode


_IDENTITY = (
    "sender",
    "sequence",
    "truncated",
    "format_error",
    "template",
    "args",
    "context",
    "stack",
    "task",
)


def _kept(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: fields[name] for name in names if name in fields}


def _beside(own: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """A record's own fields and its extras, of which those get an underscore whose names are taken."""
    for name, value in extra.items():
        own[free(name, own)] = value
    return own


def _ecs(fields: dict[str, Any]) -> dict[str, Any]:
    """https://www.elastic.co/docs/reference/ecs: dotted names, which ECS takes for nested ones."""
    event = {
        "@timestamp": fields["time"],
        "log.level": fields["level"].lower(),
        "message": fields["message"],
        "ecs.version": "8.11.0",
        "log.logger": fields["logger"],
        "log.origin.file.name": fields["file"],
        "log.origin.file.line": fields["line"],
        "log.origin.function": fields["function"],
        "process.pid": fields["process_id"],
        "process.thread.id": fields.get("thread_id"),
        "process.thread.name": fields.get("thread"),
        "host.name": fields["host"],
        "service.name": fields["service"],
        **_kept(fields, *_IDENTITY, "extra"),
    }
    if "trace_id" in fields:
        event |= {"trace.id": fields["trace_id"], "span.id": fields["span_id"]}
    if exception := fields.get("exception"):
        event["error.type"] = exception.get("type")
        event["error.message"] = exception.get("message")
        event["error.stack_trace"] = exception.get("traceback")
    return event


def _log_dispatch(fields: dict[str, Any], min_level: int | str) -> dict[str, Any]:
    """What Log::Dispatch::Message::Passing sends: what `log` was given, and a name; extras are at the top."""
    own = {
        "name": fields["logger"],
        "level": fields["level"].lower(),
        "message": fields["message"],
        "min_level": (
            min_level if isinstance(min_level, str) else logging.getLevelName(min_level or 10)
        ).lower(),
        **{
            name: value
            for name, value in fields.items()
            if name not in ("level", "message", "logger", "extra")
        },
    }
    return _beside(own, fields.get("extra", {}))


def _logstash(fields: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in fields.items() if name not in ("time", "logger", "file", "extra")}
    event = {
        **rest,
        "@timestamp": fields["time"],
        "@version": "1",
        "logger_name": fields["logger"],
        "path": fields["file"],
    }
    return _beside(event, fields.get("extra", {}))


def _logstash0(fields: dict[str, Any]) -> dict[str, Any]:
    moved = ("time", "message", "host", "file")
    return {
        "@timestamp": fields["time"],
        "@message": fields["message"],
        "@source_host": fields["host"],
        "@source_path": fields["file"],
        "@type": "python_log",
        "@tags": [],
        "@fields": {name: value for name, value in fields.items() if name not in moved},
    }


_SEVERITIES = ((50, 21), (40, 17), (30, 13), (20, 9), (10, 5), (0, 1))


def _otel(fields: dict[str, Any]) -> dict[str, Any]:
    """https://opentelemetry.io/docs/specs/otel/logs/data-model/ and the semantic conventions for attributes."""
    number = next((severity for level, severity in _SEVERITIES if fields["level_number"] >= level), 1)
    attributes = {
        "code.file.path": fields["file"],
        "code.line.number": fields["line"],
        "code.function.name": fields["function"],
        "thread.id": fields.get("thread_id"),
        "thread.name": fields.get("thread"),
        **_kept(fields, *_IDENTITY),
    }
    if exception := fields.get("exception"):
        attributes["exception.type"] = exception.get("type")
        attributes["exception.message"] = exception.get("message")
        attributes["exception.stacktrace"] = exception.get("traceback")
    event = {
        "Timestamp": fields["time"],
        "SeverityText": fields["level"],
        "SeverityNumber": number,
        "Body": fields["message"],
        "Resource": {
            "service.name": fields["service"],
            "host.name": fields["host"],
            "process.pid": fields["process_id"],
        },
        "InstrumentationScope": {"Name": fields["logger"]},
        "Attributes": _beside(attributes, fields.get("extra", {})),
    }
    if "trace_id" in fields:
        event |= {"TraceId": fields["trace_id"], "SpanId": fields["span_id"]}
    return event


_CONVERSIONS: dict[str, Callable[[dict[str, Any]], Mapping[str, Any]]] = {
    "ecs": _ecs,
    "logstash": _logstash,
    "logstash0": _logstash0,
    "otel": _otel,
}
