"""A home with some history, the UI that shows it, and a browser to look at it with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from rehearsal import RehearsalServer, WorldSpec
from rehearsal.faults import Fault
from tests.browser.dagster_dev import DagsterDev
from tests.conftest import settings_for
from tests.pipelines.conftest import ROOT, environment, hatif
from warehouse.settings.environment import Settings

_SIZE = {"width": 1600, "height": 1600}


@dataclass(frozen=True)
class Ui:
    """The UI, and what it shows."""

    dev: DagsterDev
    server: RehearsalServer
    settings: Settings

    def picture(self, page: Page, name: str) -> None:
        """Keep what a page looks like, for people to look at."""
        folder = ROOT / ".browser" / "pictures"
        folder.mkdir(parents=True, exist_ok=True)
        page.wait_for_timeout(1_500)  # charts move into place
        page.screenshot(path=folder / f"{name}.png")


@pytest.fixture(scope="package")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """Two syncs by the command, the last with a bad record; then the hot sync every minute."""
    place = tmp_path_factory.mktemp("ui")
    with RehearsalServer(WorldSpec(contacts=60, conversations=40, events=800), port=8852) as server:
        settings = settings_for(server, place / "home")
        rates = str(ROOT / "warehouse" / "settings" / "sample_rate_card.csv")
        variables = environment(settings, HATIF_RATE_CARD=rates)
        dev = DagsterDev(place / "dagster", variables, "tests.browser.every_minute", 3151)
        (place / "home" / "webhooks").mkdir(parents=True)
        for number in range(2):
            since = server.now
            server.advance(timedelta(hours=3), messages=40, status_changes=20)
            server.write_webhooks(place / "home" / "webhooks", since)
            if number == 1:
                server.fault(Fault("bad_records", stream="contacts", params={"kinds": ["no_id"]}))
            hatif(
                "sync",
                settings=settings,
                patience=600,
                HATIF_RATE_CARD=rates,
                DAGSTER_HOME=dev.home,
            )
        with dev.serving():
            yield Ui(dev, server, settings)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Headless Chromium of the system."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "install Chromium, e.g. apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, ui: Ui) -> Iterator[Page]:
    """A page of the UI."""
    page = browser.new_page(viewport=_SIZE, base_url=ui.dev.url)
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    yield page
    page.close()
