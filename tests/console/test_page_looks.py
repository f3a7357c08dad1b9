"""How the page looks and is used in a browser: keyboard, phone, light and dark, and axe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from console.applications import Applications
from pages import Look, Site, looking

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.program("chromium")

NUMBER = """
() => [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")]
    .filter(one => one.checkVisibility() && !one.disabled && !one.matches(".skip"))
    .map((one, i) => {
        one.dataset.number = i;
        return `${i} ${one.id || one.textContent.trim()}`;
    })
"""
"""Number all that can be used, and tell what they are."""

FOCUSED = """
() => {
    const one = document.activeElement;
    const seen = ["", "::after"].some(part => getComputedStyle(one, part).outlineStyle !== "none");
    return [Number(one.dataset.number ?? -1), seen, one === document.body];
}
"""
"""The number of what has the focus, and whether that can be seen."""

IS_THERE = "number => document.querySelector(`[data-number='${number}']`)?.checkVisibility() ?? false"
"""Whether what has this number is still to be seen: sentences come and go."""


def walk(page: Page) -> list[int]:
    """The numbers of what the Tab key leads to, from the top to the end, each with its focus to be seen."""
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    reached: list[int] = []
    ends = 0
    while ends < 2:  # the focus is nowhere at the end, and for a moment when what had it goes
        page.keyboard.press("Tab")
        number, seen, nowhere = page.evaluate(FOCUSED)
        ends += nowhere
        if nowhere:
            continue
        if number >= 0 and number in reached:
            break
        assert seen, f"the focus on {number} cannot be seen"
        reached.append(number)
    return reached


def test_everything_is_reached_with_the_keyboard(look: Look, site: Site) -> None:
    """In the order of the page, with the focus always to be seen; and what a mouse does, keys do."""
    page = look.open(site.url)
    Applications(site).log(12)
    site.send(b"broken")
    expect(page.locator("#sender-table tbody tr").nth(2)).to_be_visible()
    expect(page.locator("#error-list li").first).to_be_visible()
    page.keyboard.press("p")
    expect(page.locator("#pause")).to_have_text("Resume")
    there = page.evaluate(NUMBER)
    reached = walk(page)
    left_out = [
        name for number, name in enumerate(there) if number not in reached and page.evaluate(IS_THERE, number)
    ]
    assert left_out == []
    ordered = [number for number in reached if number >= 0]
    assert ordered == sorted(ordered)

    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("p/p")
    expect(page.locator("#search")).to_have_value("p/p")
    page.keyboard.press("Escape")
    expect(page.locator("#search")).not_to_be_focused()
    page.locator("#search").fill("")
    page.locator("#clear").focus()
    page.keyboard.press("Enter")

    page.locator("#chain-drawing").get_by_role("button", name="decoder", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#details-title")).to_have_text("decoder")
    page.locator("#details-tail").focus()
    page.keyboard.press("Space")
    expect(page.locator("#at")).to_have_value("decoder")

    page.locator("#keys-on").focus()
    page.keyboard.press("Space")
    page.locator("#pause").focus()
    page.keyboard.press("p")
    expect(page.locator("#pause")).to_have_text("Pause")
    page.locator("#keys-on").check()


@pytest.mark.parametrize("width", [360, 320])
def test_on_a_phone_nothing_sticks_out(browser: Browser, site: Site, width: int) -> None:
    """The chain goes downwards, and the page does not scroll sideways, whatever is shown in it."""
    with looking(
        browser, site.url, viewport={"width": width, "height": 740}, has_touch=True, is_mobile=True
    ) as look:
        page = look.open(site.url)
        site.send(
            {"level": "ERROR", "message": "x" * 300, "y" * 200: "z" * 200, "sender": "w" * 120, "sequence": 1}
        )
        expect(page.locator("#messages > li").first).to_be_visible()
        page.locator("#messages summary").first.tap()
        expect(page.locator("#messages pre").first).to_be_visible()
        page.get_by_role("button", name="split", exact=True).tap()
        expect(page.locator("#details")).to_be_visible()
        expect(page.locator("#sender-table tbody tr").first).to_be_visible()
        page.get_by_text("Show as a table").tap()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate("visualViewport.scale") == 1
        tops = [
            page.locator(".card", has=page.get_by_role("button", name=name, exact=True)).evaluate(
                "one => one.offsetTop"
            )
            for name in ("applications", "decoder", "follow", "split", "everything")
        ]
        assert tops == sorted(set(tops))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_accessible(browser: Browser, site: Site, theme: Literal["light", "dark"]) -> None:
    """With axe nothing is found, with everything open that can be opened, in either theme."""
    with looking(browser, site.url, color_scheme=theme, reduced_motion="reduce") as look:
        page = look.open(site.url)
        Applications(site).log(150)
        site.send(b"broken")
        expect(page.locator("#error-list li").first).to_be_visible()
        expect(page.locator("#sender-table tbody tr").nth(2)).to_be_visible()
        expect(page.locator("#history-section path.line").first).to_be_attached()
        page.locator("#messages summary", has=page.get_by_text("has no price")).first.click()
        page.locator("#messages .field").first.click()
        site.send(
            {
                "level": "ERROR",
                "message": "once more",
                "sender": "billing:2007:18a2b3c4d5e6f708",
                "sequence": 151,
            }
        )
        page.locator("#chain-drawing").get_by_role("button", name="alarms", exact=True).click()
        page.get_by_text("Show as a table").click()
        expect(page.locator("#details")).to_be_visible()
        results = Axe().run(page)
        assert results.response["violations"] == [], results.generate_report()
        assert len(results.response["passes"]) > 20


def test_the_form_for_the_token_is_accessible(browser: Browser, tmp_path: Path) -> None:
    """It is all that is shown then."""
    site = Site(tmp_path, token="open-sesame")
    with site, site.running(), looking(browser, site.url, unanswered=True) as look:
        look.page.goto(site.url)
        expect(look.page.get_by_label("Token")).to_be_visible()
        results = Axe().run(look.page)
        assert results.response["violations"] == [], results.generate_report()


def test_light_and_dark_are_the_reader_s(browser: Browser, site: Site) -> None:
    """It follows the system, also when that changes, and moves nothing where motion is not wanted."""

    def brightness(page: Page) -> int:
        colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(one) for one in colour.removeprefix("rgb(").removesuffix(")").split(","))

    with looking(browser, site.url, color_scheme="light") as look:
        page = look.open(site.url)
        assert brightness(page) > 3 * 200
        page.emulate_media(color_scheme="dark")
        assert brightness(page) < 3 * 50
        page.emulate_media(reduced_motion="reduce")
        assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
        assert page.evaluate("document.getAnimations().length") == 0
