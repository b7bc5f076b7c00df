"""The page in a real browser: `pytest -m browser`, with playwright and chromium installed."""

import shutil

import pytest

import prunekit
from prunekit.plugins.commands.report.writing import NAMES

pytestmark = pytest.mark.browser
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SMALLEST_TEXT = 9
"""pixels"""


@pytest.fixture(scope="module")
def page_path(whole_study, tmp_path_factory):
    return prunekit.report(whole_study, tmp_path_factory.mktemp("page")).page


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert path, f"install one of {', '.join(BROWSERS)}, as with: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[(400, "light"), (400, "dark"), (1400, "light"), (1400, "dark")], ids=str)
def opened(request, chromium, page_path):
    """The page at a width and in a colour scheme, with its requests and error messages."""
    width, scheme = request.param
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked, complaints = [], []
    page.on("request", lambda wanted: asked.append(wanted.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(page_path.as_uri())
    yield page, asked, complaints
    page.close()


def test_nothing_is_asked_for_and_nothing_goes_wrong(opened, page_path):
    _, asked, complaints = opened
    assert [url for url in asked if not url.startswith("data:")] == [page_path.as_uri()]
    assert complaints == []


def test_every_figure_is_seen_within_the_width(opened):
    page, _, _ = opened
    width = page.evaluate("innerWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name in NAMES:
        panels = page.locator(f"figure#{name} .panels svg")
        assert panels.count() > 0
        for box in (panels.nth(i).bounding_box() for i in range(panels.count())):
            assert box["width"] > 200
            assert box["height"] > 60
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width


def test_text_in_figures_can_be_read(opened):
    """It is large enough, and its contrast is at least WCAG's 4.5 to 1."""
    page, _, _ = opened
    sizes = page.evaluate(
        """() => [...document.querySelectorAll('.panels svg text')].map(text => {
            const m = text.getScreenCTM(); return Math.hypot(m.a, m.b)
              * parseFloat(getComputedStyle(text).fontSize)})"""
    )
    assert len(sizes) > 100
    assert min(sizes) >= SMALLEST_TEXT
    ink, paper = page.evaluate(
        """() => [getComputedStyle(document.querySelector('.panels svg text')).fill,
                  getComputedStyle(document.body).backgroundColor]"""
    )
    assert contrast(ink, paper) >= 4.5


def test_no_text_of_a_figure_is_cut_off(opened):
    """Words stay within their picture with any fonts of the reader."""
    page, _, _ = opened
    cut = page.evaluate(
        """() => [...document.querySelectorAll('.panels svg')].flatMap(svg => {
            const frame = svg.getBoundingClientRect();
            return [...svg.querySelectorAll('text')].filter(text => {
                const box = text.getBoundingClientRect();
                return box.left < frame.left - 1 || box.right > frame.right + 1
                    || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
            }).map(text => text.textContent)})"""
    )
    assert cut == []


def test_tables_scroll_by_themselves(opened):
    page, _, _ = opened
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")
    tables = page.locator(".scroll table")
    assert tables.count() >= 8
    assert page.evaluate(
        "[...document.querySelectorAll('.scroll')].every(s => s.clientWidth <= innerWidth)"
    )


def contrast(*colours):
    """Contrast of two colours as `rgb(r, g, b)`, by the formula of WCAG 2."""
    light = sorted(map(luminance, colours))
    return (light[1] + 0.05) / (light[0] + 0.05)


def luminance(colour):
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
