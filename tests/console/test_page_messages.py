"""Live messages in a real browser: shown, filtered, held; hostile ones stay text; a flood does not freeze it."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from message_passing.console.client import NodeClient
from message_passing.console.connections import WATCHERS
from message_passing.dotted import value_at
from message_passing.message_fields import LEVELS
from message_passing.testing import wait_for
from pages import Look, Site, looking

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.program("chromium")

TRACEBACK = "Traceback (most recent call last):\n  File \"shop.py\", line 3, in pay\nKeyError: 'price'\n"

LONGEST_GAP = 1000
"""Milliseconds between two frames. It is 50 where the machine is free; with other tests on two cores, with which
Chromium draws as well for want of a graphics card, several times that. A page that froze would take seconds."""

HOSTILE = [
    "<script>window.broken = 1</script>",
    "<img src=x onerror='window.broken = 1'>",
    "<a href='javascript:window.broken=1'>click</a>",
    "'\"><svg onload=window.broken=1>",
    "\u202egnitseretni on\u202c",
    "\x1b[31mred\x1b[0m\x07\x00",
    "{{constructor.constructor('window.broken=1')()}}",
]


def rows(page: Page) -> list[str]:
    """The texts of the messages that are shown, newest first."""
    return page.locator("#messages .text").all_inner_texts()


DOTTED = [
    {"a": {"b": {"c": 1}}},
    {"a.b.c": 1},
    {"a.b": {"c": 1}},
    {"a": {"b.c": 1}},
    {"a": {"b": 1}},
    {"a": {"b": ["c"]}},
    {"a.b.c": 2, "a": {"b": {"c": 1}}},
    {"a": {"b": None}, "a.b": {"c": 1}},
    {"a": {"b": {"c": None}}, "a.b": {"c": 1}},
    {},
    "a.b.c",
]


def test_the_page_and_the_node_mean_the_same_by_names_and_levels(look: Look, site: Site) -> None:
    """A dotted name is found by one rule, and a level by one table."""
    page = look.open(site.url)
    found = "all.map((one) => at(one, 'a.b.c') ?? null)"
    program = f"async (all) => {{ const {{ at }} = await import('/static/fields.js'); return {found}; }}"
    assert page.evaluate(program, DOTTED) == [value_at(one, "a.b.c") for one in DOTTED]
    program = "async () => (await import('/static/vocabulary.js')).LEVELS"
    assert page.evaluate(program) == LEVELS


def test_messages_are_shown_newest_first_and_open(look: Look, site: Site) -> None:
    """Closed a line; open the traceback, each field and the whole of it."""
    page = look.open(site.url)
    message = {
        "level": "ERROR",
        "level_number": 40,
        "message": "order 12 has no price",
        "service": "shop",
        "exception": {"type": "KeyError", "traceback": TRACEBACK},
        "extra": {"order": 12},
    }
    site.send({"level": "INFO", "message": "first"})
    expect(page.locator("#messages > li")).to_have_count(1)
    site.send(message)
    expect(page.locator("#messages > li")).to_have_count(2)
    assert rows(page) == ["order 12 has no price", "first"]
    newest = page.locator("#messages > li").first
    expect(newest.locator(".level")).to_have_text("ERROR")
    expect(newest.locator(".from")).to_have_text("shop")
    newest.locator("summary").click()
    opened = newest.locator("pre")
    expect(opened).to_have_count(2)
    assert opened.nth(0).inner_text() == TRACEBACK.rstrip() or opened.nth(0).inner_text() == TRACEBACK
    assert page.evaluate("text => JSON.parse(text)", opened.nth(1).inner_text()) == message
    expect(newest.locator(".field")).to_contain_text(["level ERROR", "extra.order 12"])


def test_filters_are_the_node_s(look: Look, site: Site) -> None:
    """By level, by a text, and by a field that is clicked; what is removed comes again."""
    page = look.open(site.url)
    page.get_by_label("Level").select_option("WARNING")
    look.settled()
    expect(page.locator("#messages-none span").first).to_have_text("No message yet that is at least WARNING.")
    site.send(
        {"level": "INFO", "message": "small talk"},
        {"level": "WARNING", "message": "look", "user": {"name": "Jo"}},
    )
    expect(page.locator("#messages")).to_contain_text("look")
    assert rows(page) == ["look"]
    page.locator("#messages summary").click()
    page.locator(".field", has_text="user.name Jo").click()
    expect(page.locator("#chips")).to_contain_text("user.name=Jo")
    page.get_by_label("Level").select_option("")
    look.settled()
    site.send({"message": "of Al", "user": {"name": "Al"}}, {"message": "of Jo", "user": {"name": "Jo"}})
    expect(page.locator("#messages")).to_contain_text("of Jo")
    assert rows(page) == ["of Jo"]
    page.get_by_role("button", name="Remove the filter user.name=Jo").click()
    expect(page.locator("#chips")).to_be_hidden()
    page.locator("#search").fill("NEEDLE")
    look.settled()
    site.send({"message": "hay"}, {"message": "a needle in it"})
    expect(page.locator("#messages")).to_contain_text("needle")
    assert rows(page) == ["a needle in it"]


def test_a_condition_is_the_node_s_and_its_mistakes_are_told(browser: Browser, site: Site) -> None:
    """In the language of Where; what is wrong is said with its column and what was meant, until it is right."""
    with looking(browser, site.url, unanswered=True) as look:
        page = look.open(site.url)
        condition, state = page.get_by_label("Condition"), page.locator("#tail-state")
        condition.fill('status >= 500 and not path.startwith("/health")')
        expect(state).to_have_text(
            "Condition: there is no method 'startwith' (did you mean 'startswith'?) at column 23"
        )
        expect(condition).to_have_attribute("aria-invalid", "true")
        condition.fill('status >= 500 and not path.startswith("/health")')
        expect(state).to_be_hidden()
        look.settled()
        expect(condition).to_have_attribute("aria-invalid", "false")
        expect(page.locator("#messages-none span").first).to_contain_text("such that status >= 500")
        expect(page.locator("#tail-command")).to_contain_text(
            """--where 'status >= 500 and not path.startswith("/health")'"""
        )
        site.send(
            {"message": "fine", "status": 200, "path": "/a"},
            {"message": "probe", "status": 503, "path": "/health"},
            {"message": "none"},
            {"message": "broken", "status": 503, "path": "/a"},
        )
        expect(page.locator("#messages")).to_contain_text("broken")
        assert rows(page) == ["broken"]


def test_a_field_can_be_typed(look: Look, site: Site) -> None:
    """As name=value; anything else is told to be wrong."""
    page = look.open(site.url)
    page.get_by_label("Field", exact=True).fill("no equals sign")
    page.keyboard.press("Enter")
    assert page.get_by_label("Field", exact=True).evaluate("one => one.validationMessage") == (
        "Write it as name=value, for example service=shop"
    )
    expect(page.locator("#chips")).to_be_hidden()
    page.get_by_label("Field", exact=True).fill("number = 7")
    page.keyboard.press("Enter")
    expect(page.locator("#chips")).to_contain_text("number=7")
    look.settled()
    site.send({"message": "eight", "number": 8}, {"message": "seven", "number": 7})
    expect(page.locator("#messages")).to_contain_text("seven")
    assert rows(page) == ["seven"]


def test_pause_keeps_what_is_shown_and_counts(look: Look, site: Site) -> None:
    """What comes meanwhile is shown when it goes on."""
    page = look.open(site.url)
    site.send({"message": "one"})
    expect(page.locator("#messages")).to_contain_text("one")
    page.get_by_role("button", name="Pause").click()
    site.send({"message": "two"}, {"message": "three"})
    expect(page.locator("#tail-words")).to_contain_text("Paused. 2 messages arrived meanwhile.")
    assert rows(page) == ["one"]
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#messages > li")).to_have_count(3)
    assert rows(page) == ["three", "two", "one"]


def test_it_holds_still_while_somebody_reads(look: Look, site: Site) -> None:
    """An open message does not run away."""
    page = look.open(site.url)
    site.send({"message": "to be read"})
    page.locator("#messages summary").click()
    site.send({"message": "later"})
    expect(page.locator("#tail-words")).to_contain_text("Held while you read. 1 message arrived meanwhile.")
    assert rows(page) == ["to be read"]
    page.locator("#messages summary").click()
    page.locator("#search").focus()
    expect(page.locator("#messages > li")).to_have_count(2)
    assert rows(page) == ["later", "to be read"]


def test_strangers_content_stays_text(browser: Browser, tmp_path: Path) -> None:
    """Of messages, fields, senders, errors and component names; nothing runs, nothing is fetched, nothing hides."""
    evil = "<img src=x onerror='window.broken=1'>"
    with Site(tmp_path, pub=evil) as site, site.running(), looking(browser, site.url) as look:
        page = look.open(site.url)
        for number, text in enumerate(HOSTILE, start=1):
            site.send({"level": text, "message": text, text: text, "sender": text, "sequence": number})
        site.send(("<b>broken</b>" + evil).encode())
        expect(page.locator("#messages > li")).to_have_count(len(HOSTILE))
        expect(page.locator("#sender-table tbody tr")).to_have_count(len(HOSTILE))
        expect(page.locator("#error-list li")).to_contain_text(["<b>broken</b>"])
        for row in page.locator("#messages summary").all():
            row.click()
        expect(page.locator("#messages pre")).to_have_count(len(HOSTILE))
        card = page.get_by_role("button", name=evil, exact=True)
        expect(card).to_have_count(1)
        card.click()
        expect(page.locator("#details-title")).to_have_text(evil)
        shown = page.locator("body").inner_text()
        assert HOSTILE[0] in shown
        assert "\u27e8U+202E\u27e9gnitseretni" in shown
        assert "\u241b[31mred" in shown
        assert not set("\u202e\x1b\x00\x07") & set(shown)
        assert page.evaluate("window.broken") is None
        assert (
            page.locator("main img, main script, main a[href^='javascript'], main b b, main iframe").count()
            == 0
        )


def test_a_long_message_is_shown_in_part(look: Look, site: Site) -> None:
    """A megabyte does not make the page slow, and can be looked at all the same, as far as the node gives it."""
    page = look.open(site.url)
    site.send({"message": "long " + "x" * 1_000_000})
    expect(page.locator("#messages > li")).to_have_count(1)
    assert len(rows(page)[0]) < 500
    page.locator("#messages summary").click()
    text = page.locator("#messages pre").last
    expect(text).to_be_visible()
    assert len(text.inner_text()) == 20_000
    page.locator("#messages").get_by_role("button", name=re.compile("Show the other .* characters")).click()
    assert len(text.inner_text()) > 200_000
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_flood_does_not_freeze_it(look: Look, site: Site) -> None:
    """Of 10,000 messages a second it shows 200, says so, and draws its frames all the time."""
    page = look.open(site.url)
    with site.flood(10_000):
        expect(page.locator("#tail-words")).to_contain_text(
            re.compile(r"Shows \d+ of about [5-9],\d{3}|Shows \d+ of about 1\d,\d{3}")
        )
        frames, longest = page.evaluate(
            """() => new Promise(done => {
                const times = [];
                const frame = time => {
                    times.push(time);
                    if (time - times[0] < 3000) requestAnimationFrame(frame);
                    else done([times.length, Math.max(...times.slice(1).map((one, i) => one - times[i]))]);
                };
                requestAnimationFrame(frame);
            })"""
        )
        words = page.locator("#tail-words").inner_text()
        count = page.locator("#messages > li").count()
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#tail-words")).to_contain_text("Paused.", timeout=2000)
        expect(page.locator("#tail-words")).to_contain_text(
            re.compile(r"Paused\. \d\d,\d{3} messages arrived")
        )
    assert frames > 20
    assert longest < LONGEST_GAP
    assert re.search(r"Not shown so far: [\d,]{5,}", words)
    assert 200 <= count <= 500


def test_one_who_comes_when_as_many_as_may_are_there_is_told_and_has_a_turn(
    browser: Browser, site: Site
) -> None:
    """Not that the node is gone; and when another one leaves, messages come."""
    wait_for(lambda: NodeClient(site.url).get("/state")["console"]["watchers"] == 0)  # another test's
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(NodeClient(site.url).stream("/tail")) for _ in range(WATCHERS)]
        for stream in streams:
            assert next(stream) == {"alive": True}
        with looking(browser, site.url, unanswered=True) as look:
            look.page.goto(site.url)
            expect(look.page.get_by_text("too many live tails")).to_be_visible()
            streams[0].close()
            expect(look.page.locator("#tail-state")).to_be_hidden()
            site.send({"message": "after all"})
            expect(look.page.locator("#messages .text").first).to_have_text("after all")
