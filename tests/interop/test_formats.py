"""What ToLogstash and the field set `log_dispatch` make, beside what the original makes of the same."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from message_passing.filters.to_logstash import ToLogstashFilter
from message_passing.logging import MessagePassingHandler
from support import Kept, perl

TO_LOGSTASH = """
use AnyEvent; use JSON; use Message::Passing::Filter::ToLogstash; use Message::Passing::Filter::Encoder::JSON;
use Message::Passing::Output::STDOUT;
my ($options, $messages) = @{ decode_json($ARGV[0]) };
my $filter = Message::Passing::Filter::ToLogstash->new(%$options,
    output_to => Message::Passing::Filter::Encoder::JSON->new(output_to => Message::Passing::Output::STDOUT->new));
$filter->consume($_) for @$messages;
"""

MESSAGES: list[Any] = [
    {"epochtime": 1325419200.75, "@tags": ["x", "a"]},
    {"epochtime": -1.5, "message": "m", "filename": "/f", "type": "t"},
    {"epochtime": 0, "date": "yesterday", "@tags": []},
    {"date": "yesterday", "hostname": "there", "__CLASS__": "My::Event", "other": {"a": [1]}},
    {"@message": "taken", "@timestamp": "taken"},
]


@pytest.mark.perl("Message::Passing::Filter::ToLogstash", "JSON")
@pytest.mark.parametrize("options", [{}, {"default_tags": ["d", "d"], "add_tags": ["a", "d"]}], ids=str)
def test_to_logstash(options: dict[str, Any]) -> None:
    """The same, key by key, for dicts; for a line all but the time and the host."""
    theirs = [
        json.loads(line)
        for line in perl(TO_LOGSTASH, json.dumps([options, [*MESSAGES, "line"]])).splitlines()
    ]
    end = Kept()
    with ToLogstashFilter(output_to=end, **options) as ours:
        ours.consume_many([*MESSAGES, "line"])
    assert end.messages[:-1] == theirs[:-1]
    moving = {"@timestamp", "@source_host"}
    assert end.messages[-1].keys() == theirs[-1].keys()
    assert len(end.messages[-1]["@timestamp"]) == len(theirs[-1]["@timestamp"])
    for name in theirs[-1].keys() - moving:
        assert end.messages[-1][name] == theirs[-1][name]


LOG_DISPATCH = """
use Log::Dispatch; use Log::Dispatch::Message::Passing; use Message::Passing::Filter::Encoder::JSON;
use Message::Passing::Output::STDOUT;
my $log = Log::Dispatch->new;
$log->add(Log::Dispatch::Message::Passing->new(name => 'shop.orders', min_level => 'info',
    output => Message::Passing::Filter::Encoder::JSON->new(output_to => Message::Passing::Output::STDOUT->new)));
$log->log(level => $_, message => "it is $_", order => 12) for qw/ debug info warning error critical /;
"""


@pytest.mark.perl("Log::Dispatch::Message::Passing")
def test_log_dispatch() -> None:
    """Each of its fields has the same name and value here; what we say besides has other names."""
    theirs = [json.loads(line) for line in perl(LOG_DISPATCH).splitlines()]
    end = Kept()
    logger = logging.Logger("shop.orders")  # noqa: LOG001 - nobody else's
    logger.addHandler(MessagePassingHandler(end, logging.INFO, fields="log_dispatch"))
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(logger, level)("it is %s", level, extra={"order": 12})
    assert len(theirs) == len(end.messages) == 4
    for mine, their in zip(end.messages, theirs, strict=True):
        assert mine | their == mine
        assert mine["min_level"] == "info"
