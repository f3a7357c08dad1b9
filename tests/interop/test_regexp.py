"""The Regexp filter beside the original, on the same regexfiles and lines."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003
from typing import Any

import pytest

from message_passing.filters.regexp import RegexpFilter
from support import Kept, perl

pytestmark = pytest.mark.perl("Message::Passing::Filter::Regexp")

NGINX = r"""
[FORMAT]
:default = %date %status %remotehost %bytes %responsetime
:nginxaccesslog = %date %status %remotehost %domain %request %originhost %responsetime %upstreamtime %bytes %referer
:short = "%status" (%bytes)
[REGEXP]
%date = (?#=date)\[(?#=ts)\d{2}\/\w{3}\/\d{4}(?::\d{2}){3}(?#!ts) [-+]\d{4}\](?#!date)
%status = (?#=status)\d+(?#!status)
%remotehost = (?#=remotehost)\S+(?#!remotehost)
%domain = (?#=domain).*?(?#!domain)
%request = (?#=request)-|(?#=method)\w+(?#!method) (?#=url).*?(?#!url) (?#=version)HTTP/\d\.\d(?#!version)(?#!request)
%originhost = (?#=originhost)-|(?#=oh).*?(?#!oh):\d+(?#!originhost)
%responsetime = (?#=responsetime)-|.*?(?#!responsetime)
%upstreamtime = (?#=upstreamtime).*?(?#!upstreamtime)
%bytes = (?#=bytes)\d+(?#!bytes)
%referer = (?#=referer)\"(?#=ref).*?(?#!ref)\"(?#!referer)
"""

SYSLOG = r"""
; comments of both sorts
# and blank lines

[ FORMAT ]
:default   =   <%pri>%time %host %tag: %msg   ; a comment at the end
[REGEXP]
%time = (?#=time)(?#=month)[A-Z][a-z]{2}(?#!month)\h+(?#=day)\d{1,2}(?#!day) [\d:]+(?#!time)
%pri = (?#=pri)\d{1,3}(?#!pri)
%host = (?#=host)[^\s]+(?#!host)
%tag = (?#=tag)(?#=program)[-\w.\/]+(?#!program)(?:\[(?#=pid)\d+(?#!pid)\])?(?#!tag)
%msg = (?#=msg).*(?#!msg)
"""

PREFIXES = r"""
[FORMAT]
:default = %date|%datetime|%x+%x
:both = %datetime %date
[REGEXP]
%date = (?#=date)\d+(?#!date)
%datetime = (?#=datetime)\d+T\d+(?#!datetime)
%x = (?#=x)[a-z]*(?#!x)
"""

ACCESS = (
    '[04/Feb/2012:10:11:12 +0100] 200 10.0.0.1 a.example GET /x?y=1 HTTP/1.1 b.example:80 0.25 0.5 77 "-"'
)
NO_REQUEST = '[04/Feb/2012:10:11:12 +0100] 400 ::1 - - - - - 0 "http://ref.example/"'

ACCESS_LOG = {"format": ":nginxaccesslog"}
CASES: list[tuple[str, str, dict[str, Any]]] = [
    (NGINX, ACCESS, {**ACCESS_LOG, "capture": ["ts", "status", "url", "oh", "bytes", "ref"]}),
    (NGINX, ACCESS, {**ACCESS_LOG, "capture": [":all"]}),
    (NGINX, NO_REQUEST, {**ACCESS_LOG, "capture": [":all"]}),
    (NGINX, ACCESS, {**ACCESS_LOG, "capture": ["date", "domain", ":none", "version", "request"]}),
    (NGINX, ACCESS, {**ACCESS_LOG, "capture": ["status", "bytes"], "mutate": {"bytes": "number"}}),
    (NGINX, ACCESS, {**ACCESS_LOG, "capture": ["status"], "mutate": {"status": "bool"}}),
    (NGINX, ACCESS, {**ACCESS_LOG, "capture": ["responsetime"], "mutate": {"responsetime": "number"}}),
    (NGINX, ACCESS, {**ACCESS_LOG, "capture": ["status"], "mutate": {"status": "string"}}),
    (NGINX, "[04/Feb/2012:10:11:12 +0100] 1 h 2 -", {"capture": ["ts", "url", "bytes", "responsetime"]}),
    (NGINX, '"200" (5)', {"format": ":short", "capture": [":all"]}),
    (NGINX, "200 $5", {"format": "%status $%bytes", "capture": ["bytes"]}),
    (SYSLOG, "<34>Oct  1 22:14:15 my.host su[12]: failed \u263a for 0", {"capture": [":all"]}),
    (SYSLOG, "<0>Oct 11 22:14:15 h a/b.c: \n", {"capture": ["pri", "day", "program", "pid", "msg"]}),
    (PREFIXES, "1|2T3|ab+", {"capture": ["date", "datetime"]}),
    (PREFIXES, "2T3 4", {"format": ":both", "capture": [":all"]}),
]  # fmt: skip

ORIGINAL = r"""
use strict; use warnings; use JSON::MaybeXS; use Message::Passing::Filter::Regexp;
my $json = JSON::MaybeXS->new(utf8 => 1);
local $/;
my $given = $json->decode(<STDIN>);
my $filter = Message::Passing::Filter::Regexp->new(%{ $given->{options} }, output_to => bless {}, 'Nowhere');
sub Nowhere::consume {}
print $json->encode($filter->filter($given->{message}));
"""


def of_the_original(message: dict[str, Any], given: dict[str, Any]) -> Any:
    """What Perl's filter makes of a message."""
    return json.loads(perl(ORIGINAL, given=json.dumps({"options": given, "message": message}).encode()))


def of_ours(message: dict[str, Any], given: dict[str, Any]) -> Any:
    """What this filter makes of it, as JSON tells it."""
    end = Kept()
    RegexpFilter(**given, output_to=end).consume(message)
    return json.loads(json.dumps(end.messages[0]))


@pytest.mark.parametrize(("text", "line", "given"), CASES)
def test_both_take_a_line_apart_in_the_same_way(
    tmp_path: Path, text: str, line: str, given: dict[str, Any]
) -> None:
    """The same fields with the same values."""
    path = tmp_path / "regexfile"
    path.write_text(text)
    options = {**given, "regexfile": str(path)}
    expected = of_the_original({"@message": line}, options)
    assert expected["@fields"], "the case shows something"
    assert any(value is not None for value in expected["@fields"].values())
    assert of_ours({"@message": line}, options) == expected


@pytest.mark.parametrize("fromto", [{"a": "b"}, {"a": None}, {"a": "x", "c": "y"}])
def test_both_put_the_fields_in_the_same_place(tmp_path: Path, fromto: dict[str, Any]) -> None:
    """Under a key, or in the message itself."""
    path = tmp_path / "regexfile"
    path.write_text(NGINX)
    options = {"regexfile": str(path), "format": ":short", "capture": ["status"], "fromto": fromto}
    message: dict[str, Any] = {"a": '"200" (5)', "c": '"201" (6)', "kept": 1}
    expected = of_the_original(message, options)
    assert "200" in json.dumps(expected).replace(message["a"], "")
    assert of_ours(message, options) == expected


def test_where_they_differ_on_purpose(tmp_path: Path) -> None:
    """A line that does not match: the original puts nulls in the place of what was there."""
    path = tmp_path / "regexfile"
    path.write_text(NGINX)
    options = {"regexfile": str(path), "format": ":short", "capture": ["status"]}
    message = {"@message": "something else", "@fields": {"kept": 1}}
    assert of_the_original(message, options)["@fields"] == {"status": None}
    assert of_ours(message, options) == message
