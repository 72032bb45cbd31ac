"""What the report does in a real browser: nothing but show itself, readable everywhere."""

from __future__ import annotations

import io
import shutil

import pytest
from jinja2 import Environment
from PIL import Image, ImageChops

from loomtriage.report import html
from loomtriage.report.page import environment, render
from tests.report.make_page import page
from tests.report.payloads import CROSSED, SCRIPTS, SPOOFS

pytestmark = pytest.mark.browser

TARGET = "Retries for es_unreachable: 133 in 6 min, 0 expected from the baseline"
CANARY = "window.hits = 0; window.hit = () => { window.hits += 1; }; window.alert = window.hit;"
POKE = """() => {
  for (const element of document.querySelectorAll('*'))
    for (const name of ['mouseover', 'focus', 'toggle', 'click', 'load', 'begin'])
      if (!(name === 'click' && element.tagName === 'A'))
        element.dispatchEvent(new Event(name));
  for (const link of document.querySelectorAll('a[href^="javascript"]')) link.click();
}"""
CONTRAST = """() => {
  const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(v => {
    v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const paper = e => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor; if (!c.endsWith(', 0)')) return c; }
    return 'rgb(255, 255, 255)'; };
  const out = [];
  for (const e of document.body.querySelectorAll('*')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(paper(e))];
    out.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.tagName, e.className]);
  }
  return out.sort((x, y) => x[0] - y[0])[0];
}"""


@pytest.fixture(scope="module")
def chromium():
    """One headless Chromium for this file."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium on PATH; install it with: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """One file opened once, with everything it tried on the way."""

    def __init__(self, chromium, file, **options) -> None:
        self.context = chromium.new_context(
            **{"viewport": {"width": 1200, "height": 900}, **options}
        )
        self.page = self.context.new_page()
        self.page.add_init_script(CANARY)
        self.requests: list[str] = []
        self.messages: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.blocked: list[str] = []
        self.page.on("requestfailed", self._failed)
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.goto(file.as_uri())

    def go(self, file):
        """Open another file in the same window, with a clean slate."""
        self.requests.clear()
        self.messages.clear()
        self.page.goto(file.as_uri())

    def outside(self):
        """Requests beside the file itself and the pictures inside it."""
        return [url for url in self.requests[1:] if not url.startswith("data:")]

    def _failed(self, request):
        if "csp" in request.failure:
            self.blocked.append(request.url)

    def sent(self):
        """Attempts that the policy did not stop."""
        left = self.outside()
        for url in self.blocked:
            left.remove(url)
        return left

    def above(self, height):
        """The page down to that height, as a picture."""
        part = {"x": 0, "y": 0, "width": 1200, "height": height}
        shot = self.page.screenshot(clip=part, full_page=True)
        return Image.open(io.BytesIO(shot)).convert("RGB")

    def poked(self):
        """How often a script ran after every element got every event."""
        self.page.evaluate(POKE)
        return self.page.evaluate("window.hits")


@pytest.fixture
def visit(chromium, tmp_path):
    """Open a source as a file; pages are closed at the end."""
    open_now = []

    def start(source, **options):
        file = tmp_path / f"report{len(open_now)}.html"
        file.write_text(source, encoding="utf-8")
        open_now.append(Visit(chromium, file, **options))
        return open_now[-1]

    yield start
    for entry in open_now:
        entry.page.close()


def without_policy(source):
    """The same page without its second lock."""
    start = source.index('<meta http-equiv="Content-Security-Policy"')
    return source[:start] + source[source.index(">", start) + 1 :]


def careless(words):
    """The page from the same templates with the escape switched off."""
    loader = environment().loader
    templates = Environment(loader=loader, autoescape=False, trim_blocks=True)
    return render(page(lambda _: words, url=words), templates)


def test_a_page_asks_for_nothing_and_complains_of_nothing(visit):
    """No request, no console message, pictures decoded, nothing wider than the window."""
    seen = visit(html(page()))
    assert seen.outside() == []
    assert seen.messages == []
    widths = "[...document.images].map(image => image.complete && image.naturalWidth)"
    assert seen.page.evaluate(widths) == [1120] * 6


@pytest.mark.usefixtures("one_picture")
@pytest.mark.parametrize("words", SCRIPTS)
def test_no_payload_runs_anywhere(visit, words):
    """A payload in all places at once runs nothing and asks nobody, even without the policy."""
    seen = visit(without_policy(html(page(lambda _: words, url=words))))
    assert seen.poked() == 0
    assert seen.outside() == []
    assert seen.messages == []


@pytest.mark.usefixtures("one_picture")
@pytest.mark.parametrize("breakout", CROSSED)
def test_no_way_out_of_an_element_runs(visit, tmp_path, breakout):
    """Each breakout with each vector, in all places at once, without the policy: all is text."""
    seen, file = visit(html(page())), tmp_path / "crossed.html"
    for words in CROSSED[breakout]:
        file.write_text(without_policy(html(page(lambda _, w=words: w, url=words))), "utf-8")
        seen.go(file)
        assert (seen.poked(), seen.outside(), seen.messages) == (0, [], []), words


def test_the_payloads_are_two_hundred():
    """As many as were promised, none twice."""
    payloads = {*SCRIPTS, *(words for crossed in CROSSED.values() for words in crossed)}
    assert len(payloads) >= 200


@pytest.mark.usefixtures("one_picture")
def test_the_policy_alone_holds_too(visit):
    """With the escape taken away payloads run; with the policy back in place none does."""
    ran = 0
    for words in SCRIPTS[:12:2]:
        open_page = visit(without_policy(careless(words)))
        ran += open_page.poked() > 0
        held = visit(careless(words))
        assert held.poked() == 0
        assert held.sent() == []
    assert ran >= 5


@pytest.fixture(scope="module")
def honest(chromium, tmp_path_factory):
    """The page above one honest finding, as a picture, and how high that is."""
    file = tmp_path_factory.mktemp("honest") / "report.html"
    file.write_text(html(page()).replace(TARGET, "benign"), encoding="utf-8")
    seen = Visit(chromium, file)
    height = seen.page.locator("text=benign").bounding_box()["y"] - 12
    picture = seen.above(height)
    seen.page.close()
    return picture, height


@pytest.mark.parametrize("words", SPOOFS)
def test_no_words_reach_beyond_their_cell(visit, honest, words):
    """A deceiving text in one finding changes nothing of the picture above its row."""
    picture, height = honest
    spoofed = visit(html(page()).replace(TARGET, html_cell(words)))
    assert ImageChops.difference(picture, spoofed.above(height)).getbbox() is None


def html_cell(words):
    """The words as the page itself writes them."""
    return environment().from_string("{{ words }}").render(words=words)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_on_screens(visit, scheme):
    """Every text has a contrast of 4.5 or more; the pictures' paper is the page's own colour."""
    seen = visit(html(page()), color_scheme=scheme)
    assert seen.page.evaluate(CONTRAST)[0] >= 4.5
    chart = seen.page.locator("figure img").first
    for shot, place in ((seen.page.screenshot(), (2, 2)), (chart.screenshot(), (5, 5))):
        color = Image.open(io.BytesIO(shot)).convert("RGB").getpixel(place)
        assert color == ((255, 255, 255) if scheme == "light" else (21, 25, 30))


def test_print_is_light_even_on_dark_screens(visit):
    """Paper gets dark ink and light pictures, and no address that nobody can follow there."""
    seen = visit(html(page()), color_scheme="dark")
    seen.page.emulate_media(media="print", color_scheme="dark")
    assert seen.page.evaluate(CONTRAST)[0] >= 4.5
    filters = "[...document.images].every(i => getComputedStyle(i).filter === 'none')"
    assert seen.page.evaluate(filters)
    shown = seen.page.evaluate(
        "getComputedStyle(document.querySelector('td a'), '::after').content"
    )
    assert shown == "none"
    assert seen.page.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.parametrize("words", ["plain", "w" * 100_000, "漢" * 5000, "a b " * 5000])
def test_it_fits_a_phone(visit, words):
    """No words make the page wider than a phone; tables scroll by themselves."""
    source = html(page()) if words == "plain" else html(page(lambda _: words, url=words))
    seen = visit(source, viewport={"width": 390, "height": 800})
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390
