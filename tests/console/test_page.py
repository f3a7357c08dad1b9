"""The page in a real browser: the chain, what is lost, senders, history, errors; a token, and a node that goes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from console.watched import watched
from pages import Look, Site, looking

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = pytest.mark.program("chromium")


def card(look: Look, name: str) -> Any:
    """The card of a component."""
    button = look.page.get_by_role("button", name=name, exact=True)
    return look.page.locator(".card").filter(has=button)


def stamped(sender: str, *numbers: int) -> list[dict[str, Any]]:
    """Messages of a sender with these numbers."""
    return [{"sender": sender, "sequence": number, "message": f"number {number}"} for number in numbers]


def test_it_draws_the_chain_as_it_is(look: Look, site: Site) -> None:
    """Each component is a card, each connection an edge with its rate, and error chains stand apart."""
    page = look.open(site.url)
    names = page.locator("#chain-drawing .name")
    shown = ["applications", "decoder", "follow", "split", "everything", "errors", "file", "alarm", "alarms"]
    expect(names).to_have_count(len(shown))
    assert set(names.all_inner_texts()) == set(shown)
    assert set(page.locator("#error-chain-drawing .name").all_inner_texts()) == {"reports", "failed"}
    assert page.locator("#chain-drawing path.edge").count() == 8
    lefts = [
        card(look, name).bounding_box()["x"]
        for name in ("applications", "decoder", "follow", "split", "errors")
    ]
    assert lefts == sorted(lefts), "layers go from left to right"
    assert len(set(lefts)) == 5
    tops = {card(look, name).bounding_box()["y"] for name in ("everything", "errors")}
    assert len(tops) == 2, "branches are beside each other"
    with site.flood(500):
        expect(page.locator("#chain-drawing text.rate", has_text=re.compile(r"^[3-6]\d\d/s$"))).to_have_count(
            6
        )
        assert not any("/s" in text for text in page.locator(".card").all_inner_texts()), "each rate once"
    expect(page.locator("#process")).to_contain_text(re.compile(r"Memory\s*\d+ MB"))


def test_it_says_what_piles_up_and_what_is_lost(browser: Browser, tmp_path: Path) -> None:
    """In words and with a sign, not in colour alone, and at the top of the page as well."""
    with Site(tmp_path, hwm=10) as site, site.running(), looking(browser, site.url) as look:
        page = look.open(site.url)
        site.send(*[{"level": "ERROR", "message": "alarm"}] * 8)
        note = card(look, "alarms").locator(".note")
        expect(note).to_have_text(re.compile("^[\u25b2\u25c6] .*8 of 10 buffered$"))
        expect(page.locator("#verdict .warn")).to_contain_text(
            ["alarms is filling up: 8 of 10 messages are buffered."]
        )
        site.send(*[{"level": "ERROR", "message": "alarm"}] * 9)
        expect(note).to_contain_text("lost 7")
        expect(page.locator("#verdict")).to_contain_text(re.compile("alarms (is losing|has lost)"))
        expect(page.locator("#headline-word")).to_have_text("Losing messages")
        expect(page.locator("#losses-here tbody tr")).to_have_text(re.compile(r"^alarms.*7$"))
        card(look, "alarms").get_by_role("button").click()
        expect(page.locator("#details")).to_be_visible()
        expect(page.locator("#details-list")).to_contain_text(re.compile(r"Lost\s*7 \(7 "))


def test_a_component_leads_to_its_messages_and_its_history(look: Look, site: Site) -> None:
    """What is shown of it can be followed further from there."""
    page = look.open(site.url)
    card(look, "errors").get_by_role("button").click()
    page.get_by_role("button", name="Show its history").click()
    expect(page.locator("#history-of")).to_have_value("errors")
    page.get_by_role("button", name="Show its messages").click()
    expect(page.locator("#at")).to_have_value("errors")
    expect(page.locator("#messages-title")).to_be_focused()
    look.settled()
    site.send({"level": "INFO", "message": "seen by the filter"})
    expect(page.locator("#messages")).to_contain_text("seen by the filter")


def test_senders_are_sorted_by_what_is_asked(browser: Browser, tmp_path: Path) -> None:
    """By loss, by silence, by number, by name: the table says by which, and a search narrows it."""
    with Site(tmp_path, idle=0.5) as site, site.running(), looking(browser, site.url) as look:
        page = look.open(site.url)
        expect(page.locator("#sender-some")).to_be_visible()
        site.send(*stamped("web-1", *range(1, 9)))
        names = page.locator("#sender-table tbody th button")
        expect(names).to_have_text(["web-1"])
        site.send(*stamped("web-2", 1, 5))
        expect(names).to_have_text(["web-2", "web-1"])
        site.send(*stamped("db-1", 1, 2, 4))
        expect(names).to_have_text(["web-2", "db-1", "web-1"])
        expect(page.locator("#sender-table tbody tr").first).to_contain_text("\u25b2 3 (60 %)")
        for button, column, order, expected in [
            ("Idle for", "Idle for", "descending", ["web-1", "web-2", "db-1"]),
            ("Received", "Received", "descending", ["web-1", "db-1", "web-2"]),
            ("Sender", "Sender", "ascending", ["db-1", "web-1", "web-2"]),
            ("Lost", "Lost", "descending", ["web-2", "db-1", "web-1"]),
        ]:
            page.locator("#sender-table thead").get_by_role("button", name=button).click()
            expect(names).to_have_text(expected)
            sorted_by = page.locator("#sender-table th[aria-sort]")
            expect(sorted_by).to_have_text([column])
            expect(sorted_by).to_have_attribute("aria-sort", order)
        page.locator("#sender-search").fill("WEB")
        expect(names).to_have_text(["web-2", "web-1"])
        expect(page.locator("#losses-words")).to_contain_text("4 messages by senders")
        expect(page.locator("#losses-senders tbody tr")).to_have_text(["web-23", "db-11"])
        page.locator("#sender-table").get_by_role("button", name="web-2").click()
        expect(page.locator("#chips")).to_have_text(re.compile("sender=web-2"))


def test_history_shows_the_last_hour(look: Look, site: Site) -> None:
    """As a picture that says in words what is to be seen, and as a table."""
    page = look.open(site.url)
    with site.flood(300):
        expect(page.locator("#legend-in")).to_have_text(re.compile(r"In [1-9]\d\d(\.\d)?/s"), timeout=30_000)
    chart = page.get_by_role("img", name="Messages a second in and out of the whole node")
    expect(chart).to_be_visible()
    expect(chart.locator("desc")).to_contain_text(
        re.compile(r"In: now .*/s, at most [1-9]\d\d.*/s at \d\d:\d\d:\d\d")
    )
    assert "L" in (chart.locator("path.line.in").get_attribute("d") or "")
    page.get_by_text("Show as a table").click()
    expect(page.locator("#history-table tbody tr").first).to_contain_text("/s")
    page.locator("#history-range").select_option("300")
    page.locator("#history-of").select_option("decoder")
    expect(page.get_by_role("img", name="Messages a second in and out of decoder")).to_be_visible()


def test_the_last_errors_are_shown(look: Look, site: Site) -> None:
    """With their time, where it happened and what the message was; and at the top that there were any."""
    page = look.open(site.url)
    site.send(b"this is not JSON")
    errors = page.locator("#error-list li").first
    expect(errors.locator("b")).to_have_text("decoder")
    expect(errors).to_contain_text("malformed")
    expect(errors).to_contain_text("this is not JSON")
    expect(errors.locator("time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    expect(page.locator("#errors-words")).to_have_text(re.compile(r"^The last \d+, newest first\.$"))


def test_a_token_is_asked_for_and_remembered(browser: Browser, tmp_path: Path) -> None:
    """In this tab only: a wrong one is told, and one in the address is taken out of it."""
    site = Site(tmp_path, token="open-sesame")
    with site, site.running(), looking(browser, site.url, unanswered=True) as look:
        page = look.page
        page.goto(site.url)
        expect(page.get_by_label("Token")).to_be_focused()
        expect(page.locator("#console")).to_be_hidden()
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("The node does not know this token.")
        expect(page.get_by_label("Token")).to_have_attribute("aria-invalid", "true")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_label("Token")).to_have_attribute("type", "text")
        page.get_by_label("Token").fill("open-sesame")
        page.keyboard.press("Enter")
        expect(page.locator(".card").first).to_be_visible()
        look.settled()
        site.send({"message": "for those who may"})
        expect(page.locator("#messages")).to_contain_text("for those who may")
        page.reload()
        expect(page.locator(".card").first).to_be_visible()
        page.evaluate("sessionStorage.clear()")
        page.goto("about:blank")
        page.goto(f"{site.url}/#token=open-sesame")
        expect(page.locator(".card").first).to_be_visible()
        assert page.url == f"{site.url}/"
        assert all("open-sesame" not in one for one in look.requests)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Token")).to_be_focused()
        expect(page.get_by_role("alert")).to_be_empty()


def test_it_comes_back_when_the_node_does(browser: Browser, tmp_path: Path) -> None:
    """It says that the node is gone, and when it is there again that it is another one; nothing is to be pressed."""
    with Site(tmp_path) as site, looking(browser, site.url, unanswered=True) as look:
        with site.running():
            page = look.open(site.url)
            site.send({"message": "before"}, b"broken")
            expect(page.locator("#messages")).to_contain_text("before")
            expect(page.locator("#error-list li")).to_have_count(1)
            first = page.locator("#process").inner_text()
        expect(page.get_by_role("status").first).to_have_text("The node is gone, trying again.")
        expect(page.locator("#headline-word")).to_have_text("Not reachable")
        expect(page.locator("#messages")).to_contain_text("before")
        with site.running():
            expect(page.get_by_role("status").first).to_contain_text("The node restarted at")
            assert page.locator("#process").inner_text() != first
            expect(page.locator("#error-list li")).to_have_count(0)
            expect(page.locator("#tail-state")).to_be_hidden()
            look.settled()
            site.send({"message": "afterwards"})
            expect(page.locator("#messages > li").first).to_contain_text("afterwards")
            expect(page.locator("#messages .divider")).to_have_text("The node restarted")


def test_the_workers_and_the_slow_part_in_them(browser: Browser) -> None:
    """Each process has a line with what it has to do, and the slow part is named with whose time it takes."""
    chain = ("--input", "STDIN", "--output", "STDOUT", "--filter", "+console.slow:Slow", "--workers", "2")
    with watched(*chain, env={"PYTHONPATH": "tests"}) as one:
        url = f"http://127.0.0.1:{one.port}"
        with looking(browser, url) as look:
            page = look.open(url)
            lines = page.locator("#worker-list li")
            expect(lines).to_have_text(
                [re.compile(rf"^Worker {n}: process \d+, 0 in flight$") for n in (1, 2)]
            )
            one.node.write(b'{"seconds":60}\n' * 8)
            expect(page.locator("#verdict")).to_contain_text(
                re.compile(r"filter is the slowest component: it takes \d+\W% of the workers' time"),
                timeout=20_000,
            )
            expect(lines).to_have_text([re.compile(r", [1-4] in flight$")] * 2)
            offered = page.locator("#at option")
            assert [one.split()[0] for one in offered.all_text_contents()][:3] == [
                "input",
                "workers",
                "output",
            ]
        one.node.process.kill()
