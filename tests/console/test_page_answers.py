"""The page in a real browser: what it answers first, where a component's panel opens, and what can be copied."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from console.applications import listened
from message_passing.message_fields import message_time
from pages import Look, Site, looking

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.program("chromium")

UNIQUE = "web-1:4711:18a2b3c4d5e6f708"
"""A sender's name as the log handler makes them."""

BOXES = """
() => [...document.querySelectorAll("#chain-drawing .card, #chain-drawing text.rate")].map(one => {
    const { left, top, right, bottom } = one.getBoundingClientRect();
    return [one.textContent, left, top, right, bottom];
})
"""

SHIFTS = """
() => new Promise(done => {
    let sum = 0;
    new PerformanceObserver(list => list.getEntries().forEach(one => (sum += one.value)))
        .observe({ type: "layout-shift" });
    setTimeout(() => done(sum), 3000);
})
"""
"""How far things moved that nobody asked to, in three seconds: see web.dev/cls."""


def stamped(*numbers: int, **fields: Any) -> list[dict[str, Any]]:
    """Messages of one sender with these numbers."""
    return [
        {"sender": UNIQUE, "sequence": number, "message": f"number {number}", **fields} for number in numbers
    ]


def figure(page: Page, name: str) -> Any:
    """One of the figures at the top."""
    return page.locator("#figures div").filter(has=page.locator("dt", has_text=name))


def test_an_idle_node_says_so_and_where_senders_connect(browser: Browser, tmp_path: Path) -> None:
    """Not that all is well; and the endpoint can be copied."""
    with Site(tmp_path) as site, listened(site), site.running(), looking(browser, site.url) as look:
        page = look.open(site.url)
        expect(page.locator("#headline-word")).to_have_text("Idle")
        expect(page.locator("#headline-text")).to_contain_text("No message yet")
        expect(page.locator("#headline-text")).to_contain_text(f"Senders connect to {site.input}")
        assert "All is well" not in page.locator("body").inner_text()
        expect(page.locator("#messages-none")).to_contain_text(
            f"No message yet. Senders connect to {site.input}"
        )
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.locator("#messages-none").get_by_role("button", name="Copy").click()
        expect(page.locator("#messages-none .copy")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == site.input
        site.send({"message": "the first"})
        expect(page.locator("#headline-word")).to_have_text("OK")
        expect(page.locator("#messages-none")).to_be_hidden()


def test_what_senders_lost_is_lost(browser: Browser, tmp_path: Path) -> None:
    """In the headline, the figure, the section and the chart; and senders are called by service and host."""
    with Site(tmp_path) as site, site.running(), looking(browser, site.url) as look:
        page = look.open(site.url)
        site.send(*stamped(1, 2, service="shop", host="web-1"))
        expect(page.locator("#sender-table tbody th button")).to_have_text(["shop@web-1"])
        expect(figure(page, "Lost").locator("dd").first).to_have_text("0")
        site.send(*stamped(6))
        expect(figure(page, "Lost").locator("dd").first).to_have_text("3")
        expect(figure(page, "Lost")).to_contain_text("0 here, 3 by senders")
        expect(page.locator("#headline-word")).to_have_text("Losing messages")
        expect(page.locator("#losses-senders tbody tr")).to_have_text(["shop@web-13"])
        expect(page.locator("#chart-lost path.senders")).to_have_attribute("d", re.compile("^M"))
        name = page.locator("#sender-table tbody .id")
        expect(name).to_be_hidden()
        page.get_by_label("Show ids").check()
        expect(name).to_have_text(UNIQUE)
        page.locator("#losses-senders").get_by_role("button", name="shop@web-1").click()
        expect(page.locator("#chips")).to_have_text(re.compile(f"sender={UNIQUE}"))


def test_without_follow_it_says_that_it_does_not_know(browser: Browser, tmp_path: Path) -> None:
    """What senders lose, and which filter would tell; never that nothing is lost on the way."""
    site = Site(tmp_path)
    config = tmp_path / "chain.toml"
    text = config.read_text(encoding="utf-8").replace('class = "Follow"', 'class = "Null"')
    config.write_text(re.sub(r"options = \{ idle_after.*\n", "", text), encoding="utf-8")
    with site, site.running(), looking(browser, site.url) as look:
        page = look.open(site.url)
        expect(page.locator("#losses-words")).to_have_text(
            re.compile(r"^Nothing lost here since the start at [\d:]+\.$")
        )
        expect(page.locator("#losses-unknown")).to_contain_text(
            "is unknown: add the filter Follow, --filter Follow"
        )
        expect(figure(page, "Lost")).to_contain_text("here; on the way: unknown")


def test_the_ledger_is_asked_for_a_time(browser: Browser, site: Site) -> None:
    """Where the node has one; rows of both tables are what it answers, the sums those of all minutes."""
    asked = []
    answer = {
        "by_reason": [
            {"component": "<b>out</b>", "reason": "queue full", "count": 12_345},
            {"component": "follow", "reason": "did not arrive", "count": 7},
        ],
        "by_sender": [{"sender": "shop@web-1", "count": 7}],
        "minutes": [
            {"time": 60, "lost": 12_300, "not_arrived": 3},
            {"time": 120, "lost": 55, "not_arrived": 6},
        ],
    }

    def fulfil(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(body=json.dumps(answer), content_type="application/json")

    def with_ledger(route: Route) -> None:
        route.fulfill(json=route.fetch().json() | {"ledger": True})

    with looking(browser, site.url) as look:
        look.page.route("**/losses?*", fulfil)
        look.page.route("**/state", with_ledger)
        page = look.open(site.url)
        page.get_by_label("In the", exact=True).select_option("86400")
        expect(page.locator("#losses-here tbody tr")).to_have_text(["<b>out</b>queue full12,345"])
        expect(page.locator("#losses-senders tbody tr")).to_have_text(["shop@web-17"])
        expect(page.locator("#losses-words")).to_have_text(
            "Lost in this time: 12,355 messages here, 9 messages by senders."
        )
        since, until = map(float, re.findall(r"=([\d.]+)", asked[-1]))
        assert until - since == pytest.approx(86401)
        page.locator("#losses-senders").get_by_role("button", name="shop@web-1").click()
        expect(page.locator("#sender-search")).to_have_value("shop@web-1")
        page.get_by_label("In the", exact=True).select_option("")
        expect(page.locator("#losses-here")).not_to_contain_text("12,345")


def test_a_panel_opens_where_one_clicks(look: Look, site: Site) -> None:
    """Right below its card, with the focus in it; Esc closes it, and the focus is where it was."""
    page = look.open(site.url)
    for name in ("applications", "alarms", "failed"):
        button = page.locator("#chain-section .card").get_by_role("button", name=name, exact=True)
        button.click()
        card, panel = button.locator("..").bounding_box(), page.locator("#details").bounding_box()
        assert card
        assert panel
        assert 0 < panel["y"] - card["y"] - card["height"] < 20
        assert panel["x"] <= card["x"] + card["width"]
        assert panel["x"] + panel["width"] > card["x"]
        assert 0 <= panel["x"] <= 1280 - panel["width"]
        expect(page.locator("#details-title")).to_be_focused()
        expect(button).to_have_attribute("aria-expanded", "true")
        page.keyboard.press("Escape")
        expect(page.locator("#details")).to_be_hidden()
        expect(button).to_be_focused()


def test_the_ledger_of_a_node_survives_it(browser: Browser, tmp_path: Path) -> None:
    """What was lost before a restart is in the last hour, and not in the time since the start."""
    with Site(tmp_path, hwm=10, more=["--state_dir", str(tmp_path / "kept")]) as site:
        with site.running(), looking(browser, site.url) as look:
            page = look.open(site.url)
            site.send(*stamped(1, service="shop", host="web-1"), *stamped(4, level="ERROR"))
            site.send(*[{"level": "ERROR", "message": "alarm"}] * 16)
            expect(page.locator("#losses-here tbody tr")).to_have_text(["alarmsqueue full7"])
        with site.running(), looking(browser, site.url) as look:
            page = look.open(site.url)
            expect(page.locator("#losses-words")).to_contain_text("Nothing lost here since the start")
            page.get_by_label("In the", exact=True).select_option("3600")
            lost = page.locator("#losses-here tbody tr", has_text="queue full")
            expect(lost).to_have_text("alarmsqueue full7")
            expect(page.locator("#losses-senders tbody tr")).to_have_text(["shop@web-12"])


def test_what_keeps_a_component_from_its_work_is_on_its_card(browser: Browser, site: Site) -> None:
    """And whole in its panel, with the command that puts it right."""
    problem = "the peer refuses our key; on that host, run: message-passing keys allow NAME 'abc'"

    def with_problem(route: Route) -> None:
        state = route.fetch().json()
        for one in state["components"]:
            one["problems"] = [problem] if one["id"] == "alarms" else []
        route.fulfill(json=state)

    with looking(browser, site.url) as look:
        look.page.route("**/state", with_problem)
        page = look.open(site.url)
        alarms = page.locator("#chain-section .card").get_by_role("button", name="alarms", exact=True)
        expect(alarms.locator("..").locator(".note")).to_have_text("\u25b2 a problem")
        alarms.click()
        expect(page.locator("#details-list")).to_contain_text(
            "Problemsthe peer refuses our key; on that host, run:"
        )
        expect(page.locator("#details-list code")).to_have_text("message-passing keys allow NAME 'abc'")
        expect(page.locator("#details-list").get_by_role("button", name="Copy")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 900, 360])
def test_no_rate_lies_on_anything(browser: Browser, site: Site, width: int) -> None:
    """Neither on a card nor on another rate, whichever way the chain goes; all cards are of one size."""
    with looking(browser, site.url, viewport={"width": width, "height": 900}) as look:
        page = look.open(site.url)
        with site.flood(2000):
            expect(
                page.locator("#chain-drawing text.rate", has_text=re.compile(r"^[12],\d\d\d/s$"))
            ).to_have_count(6)
            boxes = page.evaluate(BOXES)
    assert len(boxes) == 17
    for one, other in itertools.combinations(boxes, 2):
        (_, left, top, right, bottom), (_, left2, top2, right2, bottom2) = one, other
        assert right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top, (one[0], other[0])
    sizes = page_sizes(boxes)
    assert len(sizes) == 1


def page_sizes(boxes: list[tuple[str, float, float, float, float]]) -> set[tuple[int, int]]:
    """The widths and heights of the cards among them."""
    cards = [one for one in boxes if not one[0].endswith("/s")]
    return {(round(right - left), round(bottom - top)) for _, left, top, right, bottom in cards}


def test_a_message_has_both_its_times_and_its_service(look: Look, site: Site) -> None:
    """When it says that it was sent, and when it arrived; and who sent it, by service and host, else by logger."""
    page = look.open(site.url)
    site.send({"message": "old", "time": 1700000000.25, "service": "shop", "host": "web-1", "sender": UNIQUE})
    site.send(
        {"message": "of a logger", "logger": "shop.orders", "sender": UNIQUE},
        {"message": "x", "sender": UNIQUE},
    )
    expect(page.locator("#messages > li")).to_have_count(3)
    expect(page.locator("#messages .from")).to_have_text(["web-1:4711", "shop.orders", "shop@web-1"])
    sent = page.locator("#messages time:not(.arrived)")
    expect(sent).to_have_text(["\u2013", "\u2013", re.compile(r"^\d\d:\d\d:20\.250$")])
    expect(page.locator("#messages time.arrived").last).to_have_text(re.compile(r"^\d\d:\d\d:\d\d\.\d{3}$"))
    page.locator("#messages summary").last.click()
    expect(page.locator("#messages .opened")).to_contain_text(
        re.compile(r"Sent 2023-11-14T22:13:20\.250Z, arrived .*Z, \d+ days later\.")
    )


TIMES: list[Any] = [
    {"time": 1700000000.5},
    {"time": 1700000000500},
    {"Timestamp": "1700000000500000000"},
    {"time": "1612010412345"},
    {"@timestamp": "2023-11-14T22:13:20.500Z"},
    {"@timestamp": "2023-11-14T22:13:20.500"},
    {"time": "2023-11-14T22:13:20.500"},
    {"time": "2023-11-14T23:13:20.500+01:00"},
    {"time": "yesterday"},
    {"time": True},
    {"time": 12},
    {"time": "yesterday", "epochtime": 1700000000},
    "text",
]


def test_the_page_and_the_node_read_a_message_s_time_alike(look: Look, site: Site) -> None:
    """In seconds, milliseconds or nanoseconds, as a number or as text with a zone."""
    page = look.open(site.url)
    program = (
        "async (all) => { const { madeAt } = await import('/static/fields.js'); return all.map(madeAt); }"
    )
    assert page.evaluate(program, TIMES) == [message_time(one) for one in TIMES]


def test_nothing_jumps(look: Look, site: Site) -> None:
    """Neither the page while messages come, nor the list under who has scrolled in it or points at it."""
    page = look.open(site.url)
    site.send(*[{"message": f"number {number}", "time": 1700000000} for number in range(100)])
    expect(page.locator("#messages > li")).to_have_count(100)
    with site.flood(50):
        expect(page.locator("#chain-drawing text.rate", has_text=re.compile(r"^[1-9]"))).to_have_count(6)
        # What is new to an operator takes its place; so wait until the node has found that nobody takes the alarms.
        expect(page.locator("#verdict")).to_contain_text("nobody listens there")
        assert page.evaluate(SHIFTS) < 0.01
        page.locator("#messages").hover()
        expect(page.locator("#tail-words")).to_contain_text("Held while you read.")
        first = page.locator("#messages .arrived").first
        held = first.inner_text()
        page.mouse.wheel(0, 300)
        page.locator("#clear").hover()
        expect(page.locator("#tail-words")).to_contain_text(
            re.compile(r"Held while you read\. [1-9]\d+ messages")
        )
        assert first.inner_text() == held
        page.locator("#messages").evaluate("one => one.scrollTo(0, 0)")
        expect(first).not_to_have_text(held)


def test_ticks_differ(look: Look, site: Site) -> None:
    """Whatever the largest value is, and also in the first minute."""
    page = look.open(site.url)
    program = "async (all) => { const { tick } = await import('/static/words.js'); return all.map(tick); }"
    for top in (0.01, 0.1, 1, 3, 10, 150, 4000, 10_000, 30_000, 2e6):
        assert len(set(page.evaluate(program, [0, top / 2, top]))) == 3
    for chart in ("#chart-rates", "#chart-lost"):
        times = page.locator(f"{chart} .tick[text-anchor=middle]")
        expect(times.nth(1)).to_be_attached()
        texts = times.all_text_contents()
        assert len(set(texts)) == len(texts)


def test_the_same_in_a_terminal_can_be_copied(look: Look, site: Site) -> None:
    """With what is filtered for, as a shell takes it."""
    page = look.open(site.url)
    page.locator("#search").fill("it's")
    page.get_by_label("Level").select_option("ERROR")
    expect(page.locator("#tail-command code")).to_have_text(
        f"message-passing tail {site.url} --at file --level ERROR --search 'it'\\''s'"
    )
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#tail-command .copy").click()
    expect(page.locator("#tail-command .copy")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith("message-passing tail http")


def test_only_commands_of_ours_can_be_copied(look: Look, site: Site) -> None:
    """A sentence may hold a stranger's words; these get no button."""
    page = look.open(site.url)
    program = """async (text) => {
        const { withCommands } = await import('/static/copy.js');
        const box = document.createElement('p');
        box.append(...withCommands(text));
        return [box.querySelectorAll('button').length, box.textContent.replace(/ ?Copy/, '')];
    }"""
    for text, buttons in [
        ("create one with `message-passing keys new NAME`", 1),
        ("on that host, run: message-passing keys allow NAME 'abc'", 1),
        ("it said: `rm -rf /`", 0),
        ("it said: `message-passing ps; rm -rf /`", 0),
        ("it said: `message-passing ps $(rm x)`", 0),
        ("it said: message-passing ps 'a' | sh", 0),
        ("it said: `message-passing-x`", 0),
        ("it said: `message-passing x\u202e`", 0),
        ("nothing", 0),
    ]:
        found, _ = page.evaluate(program, text)
        assert found == buttons, text


def test_the_table_of_senders_is_whole_on_a_phone(browser: Browser, site: Site) -> None:
    """All that is known of a sender is within 360 pixels, and named."""
    with looking(
        browser, site.url, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True
    ) as look:
        page = look.open(site.url)
        site.send(*stamped(1, 2, 50_000, service="a-service-with-a-long-name", host="web-1.example.com"))
        page.locator("#sender-search").fill("a-service")
        cells = page.locator("#sender-table tbody td")
        expect(cells).to_have_count(7)
        for cell in cells.all():
            box = cell.bounding_box()
            assert box
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 360
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        labels = cells.evaluate_all("all => all.map(one => getComputedStyle(one, '::before').content)")
        assert labels == [
            f'"{name}"'
            for name in ("Lost", "Idle for", "Received", "Late", "Duplicates", "Restarts", "Before")
        ]
