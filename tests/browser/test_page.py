"""What a person sees on the page: every view, both languages, light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from page.app import Options
from page.app import Page as Application
from page.gate import names_of
from page.report import write
from page.rows import Moment
from page.view import find
from tests.page.conftest import serving as served
from tests.page.conftest import spoil, workspace
from tests.page.test_hostile import HOSTILE
from tests.pipelines.conftest import ROOT
from tests.template import make_home
from warehouse.settings.environment import Settings

pytestmark = pytest.mark.timeout(600)

AXE = ROOT / ".browser" / "axe.min.js"
PICTURES = ROOT / ".browser" / "pictures"
VIEWS = list(find())
# Elements beside each other must not lie on each other, nor reach out of the window.
_BOXES = """() => {
  const wrong = [];
  const groups = ["body > header > *", "nav > a", "main > *", ".filters > *", ".tools > *"];
  const boxes = (query, root) => [...root.querySelectorAll(query)]
    .map((one) => [one, one.getBoundingClientRect()]).filter(([, box]) => box.width && box.height);
  const compare = (found) => {
    for (let i = 0; i < found.length; i++) for (let j = i + 1; j < found.length; j++) {
      const [a, b] = [found[i][1], found[j][1]];
      const x = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (x > 1 && y > 1) wrong.push(`${found[i][0].outerHTML.slice(0, 80)} lies on another`);
    }
  };
  for (const query of groups.slice(0, 4)) compare(boxes(query, document));
  for (const part of document.querySelectorAll(".part")) {
    compare(boxes(".card", part));
    compare(boxes(".tools > *", part));
  }
  const inside = (one) => one.closest(".scroll, nav") === null;
  for (const one of document.querySelectorAll("main *, body > header *")) {
    if (!inside(one) || one.closest(".chart, .hidden") || one.matches(".hidden")) continue;
    const box = one.getBoundingClientRect();
    if (box.width && (box.left < -1 || box.right > window.innerWidth + 1)) {
      wrong.push(`${one.outerHTML.slice(0, 80)} reaches out of the window`);
    }
  }
  for (const one of document.querySelectorAll(".card, .card dt, .card dd, h1, h2, p")) {
    if (one.closest(".hidden") === null && !one.matches(".hidden") &&
        one.scrollWidth > one.clientWidth + 1) {
      wrong.push(`${one.outerHTML.slice(0, 80)} holds more than it shows`);
    }
  }
  for (const one of document.querySelectorAll("td")) {
    const text = one.textContent.trim();
    if (text.length > 8 || text.split(" ").length > 1) continue;
    const range = document.createRange();
    const words = document.createTreeWalker(one, NodeFilter.SHOW_TEXT);
    while (words.nextNode()) {
      range.selectNodeContents(words.currentNode);
      // A fragment in another font has a box of another height on the same line.
      const parts = [...range.getClientRects()].filter((box) => box.width);
      const first = Math.min(...parts.map((box) => box.bottom));
      if (parts.some((box) => box.top > first - 1)) {
        wrong.push(`the short word ${text} goes over several lines`);
      }
    }
  }
  const wide = document.documentElement.scrollWidth - window.innerWidth;
  return wide > 0 ? [...wrong, `the page is ${wide} px too wide`] : wrong;
}"""
_FAULTS = """() => axe.run(document, { resultTypes: ["violations"] }).then((found) =>
  found.violations.filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 90)).join(" | ")}`))"""


@dataclass
class Site:
    """A served page, and where it is."""

    url: str
    settings: Settings
    moment: Moment


@dataclass
class Seen:
    """What a browser reported while it showed a page."""

    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("requestfailed", self._miss)
        page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", self._hear)

    def _miss(self, request: Request) -> None:
        # A question that is no longer of interest is called off.
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"failed: {request.url}")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(message.text)


@contextmanager
def serving(settings: Settings, moment: Moment) -> Iterator[Site]:
    options = Options(names_of("127.0.0.1"), clock=lambda: moment.now)
    with served(Application(settings, options)) as port:
        yield Site(f"http://127.0.0.1:{port}", settings, moment)


@contextmanager
def synced(home: Path) -> Iterator[tuple[Settings, Moment]]:
    with workspace(home, page_messages=True) as (server, settings):
        yield settings, Moment(server.now, settings.timezone)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        synced(tmp_path_factory.mktemp("site")) as (settings, moment),
        serving(settings, moment) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A workspace in which every name and text tries to be something else."""
    with synced(tmp_path_factory.mktemp("hostile")) as (settings, moment):
        spoil(settings, [text.replace("\x00", "") for text in HOSTILE])
        with serving(settings, moment) as found:
            yield found


def open_page(browser: Browser, url: str, width: int, scheme: str) -> tuple[Page, Seen]:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    page.add_init_script(path=AXE)
    seen = Seen()
    seen.watch(page)
    page.goto(url)
    wait(page)
    return page, seen


def wait(page: Page) -> None:
    page.wait_for_selector("main[aria-busy=false]:not(.loading)")
    expect(page.locator("main h1")).to_be_visible()


def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"page-{name}.png", full_page=True)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_whole_legible_and_keeps_to_itself(
    browser: Browser, site: Site, view: str, language: str, scheme: str, width: int
) -> None:
    url = f"{site.url}/?view={view}&lang={language}&period=90d&grain=week"
    page, seen = open_page(browser, url, width, scheme)
    try:
        assert page.evaluate("document.documentElement.dir") == {"en": "ltr", "ar": "rtl"}[language]
        assert page.evaluate(_BOXES) == []
        assert page.evaluate(_FAULTS) == []
        assert page.locator(".failed").count() == 0
        picture(page, f"{view}-{language}-{scheme}-{width}")
        assert seen.faults == []
        assert [one for one in seen.requests if not one.startswith((site.url, "data:"))] == []
    finally:
        page.close()


def test_a_cell_leads_to_conversations_and_these_to_messages(browser: Browser, site: Site) -> None:
    page, seen = open_page(browser, f"{site.url}/?view=volume&lang=en&period=year", 1280, "light")
    page.locator("summary").nth(1).click()
    page.get_by_role("button", name="Conversations", exact=True).first.click()
    dialog = page.locator("dialog")
    expect(dialog).to_contain_text("conversations;")
    assert page.evaluate(_FAULTS) == []
    dialog.get_by_role("button", name="Open").first.click()
    expect(page.locator("dialog article").first).to_be_visible()
    picture(page, "messages")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    page.get_by_role("button", name="Definition and SQL of: The period").click()
    expect(page.locator("dialog pre")).to_contain_text("SELECT")
    assert seen.faults == []
    page.close()


def test_filters_stand_in_the_address_and_back_goes_back(browser: Browser, site: Site) -> None:
    page, seen = open_page(browser, f"{site.url}/?view=volume&lang=ar", 1280, "light")
    page.locator("select[name=period]").select_option("7d")
    wait(page)
    page.locator("select[name=country]").select_option("SA")
    page.wait_for_url("**country=SA**")
    wait(page)
    assert "period=7d" in page.url
    page.locator("select[name=period]").select_option("custom")
    expect(page.locator("input[name=from]")).to_be_visible()
    page.go_back()
    page.go_back()
    wait(page)
    assert "country" not in page.url
    page.get_by_role("button", name="English").click()
    expect(page.locator("h1")).to_have_text("How much is written, and when?")
    assert page.evaluate("document.documentElement.dir") == "ltr"
    assert seen.faults == []
    page.close()


def test_a_failure_is_told_in_words_and_can_be_tried_again(browser: Browser, site: Site) -> None:
    page, _ = open_page(browser, f"{site.url}/?view=volume&lang=en&period=nonsense", 390, "light")
    expect(page.get_by_role("alert")).to_contain_text("a filter that there is not")
    page.get_by_role("button", name="Reset").click()
    wait(page)
    expect(page.get_by_role("alert")).to_have_count(0)
    page.close()


@pytest.mark.parametrize("language", ["en", "ar"])
def test_hostile_texts_are_texts_everywhere(browser: Browser, hostile: Site, language: str) -> None:
    for view in VIEWS:
        url = f"{hostile.url}/?view={view}&lang={language}&period=year&waiting=all"
        page, seen = open_page(browser, url, 1280, "light")
        for summary in page.locator("summary").all():
            summary.click()
        chart = page.locator(".chart").first
        if chart.count():
            chart.hover()
        assert page.evaluate(_BOXES) == [], view
        assert page.locator("main img, main script, main b, main iframe").count() == 0
        if view == "now":
            shown = {text.strip() for text in page.locator("td bdi").all_text_contents()}
            assert len(shown & {text.strip() for text in HOSTILE}) > 3
            page.get_by_role("button", name={"en": "Open", "ar": "فتح"}[language]).first.click()
            expect(page.locator("dialog article").first).to_be_visible()
            assert page.locator("dialog img, dialog script, dialog b").count() == 0
        assert seen.faults == [], view
        page.close()


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_report_needs_nothing_but_itself(
    browser: Browser, hostile: Site, language: str, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    write(hostile.settings, file, {"period": "90d"}, hostile.moment, language)
    page, seen = open_page(browser, file.as_uri(), 1280, "light")
    for link in page.locator("nav a").all():
        link.click()
        wait(page)
        assert page.evaluate(_BOXES) == []
    picture(page, f"report-{language}")
    assert [one for one in seen.requests if not one.startswith(("file:", "data:"))] == []
    assert seen.faults == []
    page.close()


def test_a_picture_can_be_kept(browser: Browser, site: Site) -> None:
    page, seen = open_page(browser, f"{site.url}/?view=volume&lang=ar", 1280, "dark")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="PNG").first.click()
    saved = Path(waiting.value.path())
    assert saved.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert waiting.value.suggested_filename.startswith("hatif-volume-over_time-")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="XLSX").first.click()
    assert Path(waiting.value.path()).read_bytes()[:2] == b"PK"
    assert seen.faults == []
    page.close()


def test_all_of_it_works_by_keyboard(browser: Browser, site: Site) -> None:
    page, seen = open_page(browser, f"{site.url}/?view=now&lang=en", 1280, "light")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Volume"
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("How much is written, and when?")
    wait(page)
    page.locator("select[name=period]").focus()
    page.keyboard.press("Home")
    page.wait_for_url("**period=today**")
    wait(page)
    assert page.evaluate("document.activeElement.name") == "period"
    page.goto(f"{site.url}/?view=volume&lang=en&period=year")
    wait(page)
    summary = page.locator("summary").nth(1)
    summary.focus()
    page.keyboard.press("Enter")
    opener = page.get_by_role("button", name="Conversations", exact=True).first
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.locator("dialog")).to_contain_text("conversations;")
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    assert opener.evaluate("(one) => one === document.activeElement")
    assert seen.faults == []
    page.close()


def test_a_screen_reader_is_told_what_a_picture_shows(browser: Browser, site: Site) -> None:
    page, _ = open_page(browser, f"{site.url}/?view=volume&lang=en&period=year", 1280, "light")
    expect(page.locator("#status")).to_have_text("Volume: loaded")
    for chart in page.locator(".chart").all():
        label = chart.get_attribute("aria-label") or ""
        assert "The same figures stand in the rows below" in label
    assert page.locator(".chart").count() == page.locator("details table caption").count() > 3
    assert page.locator("nav a[aria-current=page]").text_content() == "Volume"
    page.close()


@pytest.mark.parametrize("view", ["volume", "money"])
def test_on_paper_it_is_light_and_without_controls(browser: Browser, site: Site, view: str) -> None:
    page, seen = open_page(browser, f"{site.url}/?view={view}&lang=ar&period=90d", 1000, "dark")
    dark = page.evaluate("getComputedStyle(document.body).color")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    for hidden in ("body > header", ".filters", ".tools"):
        assert page.locator(hidden).first.is_hidden()
    assert page.evaluate("getComputedStyle(document.body).color") != dark
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    picture(page, f"{view}-print")
    page.emulate_media(media="screen")
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("getComputedStyle(document.body).color") == dark
    assert seen.faults == []
    page.close()


def test_empty_stale_and_loading_are_said_in_words(browser: Browser, site: Site) -> None:
    nobody = f"{site.url}/?view=volume&lang=en&channel=nowhere"
    page, _ = open_page(browser, nobody, 390, "light")
    expect(page.locator(".empty").first).to_have_text("Nothing in this period with these filters.")
    page.route("**/data/view/people**", lambda _: None)  # never answered
    page.evaluate("document.querySelector('nav a[href*=people]').click()")
    expect(page.locator("#status")).to_have_text("Loading…")
    expect(page.locator("main")).to_have_attribute("aria-busy", "true")
    page.close()
    synced = datetime.now(UTC)
    late = Moment(synced + timedelta(days=2), site.moment.timezone)
    with serving(site.settings, late) as old:
        page, _ = open_page(browser, f"{old.url}/?view=now&lang=en", 390, "light")
        warned = page.locator(".fresh.warn")
        expect(warned).to_contain_text("The data is old: the last sync finished")
        page.close()


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_new_home_says_what_to_run(
    browser: Browser, site: Site, language: str, tmp_path: Path
) -> None:
    settings = Settings.load(home=tmp_path / "new")
    make_home(settings)
    with serving(settings, site.moment) as new:
        for view in VIEWS:
            page, seen = open_page(browser, f"{new.url}/?view={view}&lang={language}", 390, "light")
            expect(page.locator("main")).to_contain_text("hatif sync --full")
            assert page.evaluate(_BOXES) == []
            assert seen.faults == []
            page.close()
