"""What a person sees in Dagster's UI."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Ui

pytestmark = pytest.mark.timeout(900)


def test_the_asset_graph_shows_layers_and_subjects(page: Page, ui: Ui) -> None:
    page.goto("/asset-groups")

    for group in ("raw", "core", "messages", "conversations", "calls", "billing", "contacts"):
        expect(page.get_by_text(group, exact=True).first).to_be_visible()
    expect(page.get_by_text("fetching statuses")).to_have_count(0)
    ui.picture(page, "graph")


def test_the_list_of_assets_shows_descriptions_without_markdown(page: Page, ui: Ui) -> None:
    page.goto("/assets")

    shown = page.get_by_text("A phone line or WhatsApp number of the workspace.", exact=True)
    expect(shown.first).to_be_visible()
    ui.picture(page, "catalog")


def test_an_asset_page_shows_what_it_is_its_columns_and_its_rows(page: Page, ui: Ui) -> None:
    page.goto("/assets/core/messages?view=overview")

    expect(page.get_by_text("A WhatsApp message, either direction.").first).to_be_visible()
    expect(page.get_by_text("Columns", exact=True).first).to_be_visible()
    expect(page.get_by_text("origin_confidence").first).to_be_visible()
    expect(page.get_by_text("wamid:<wamid>").first).to_be_visible()  # no tag to be swallowed
    ui.picture(page, "asset")


def test_the_numbers_of_an_asset_are_plotted(page: Page, ui: Ui) -> None:
    page.goto("/assets/raw/timelines?view=overview")
    page.get_by_text("Plots", exact=True).first.click()

    for number in ("backlog", "proven_share", "requests", "rows_changed", "rows_read", "seconds"):
        expect(page.get_by_text(number, exact=True).first).to_be_visible()
    ui.picture(page, "plots")


def test_the_checks_of_a_stream_say_what_must_hold(page: Page, ui: Ui) -> None:
    page.goto("/assets/raw/contacts?view=checks")

    for check in ("certificate_is_complete", "no_rejects", "service_is_as_known"):
        expect(page.get_by_text(check, exact=True).first).to_be_visible()
    ui.picture(page, "checks")


def test_a_failed_check_says_what_is_wrong(page: Page, ui: Ui) -> None:
    page.goto("/assets/raw/contacts?view=checks")
    page.get_by_text("no_rejects", exact=True).first.click()

    expect(page.get_by_text("Set aside: 1. Why: hatif rejects.").first).to_be_visible()
    ui.picture(page, "failed-check")


def test_a_tick_of_a_schedule_that_is_on_launches_a_sync(page: Page, ui: Ui) -> None:
    page.goto(f"/locations/{ui.dev.module}/schedules/hot_sync_schedule")

    expect(page.get_by_text("Runs the job hot_sync; skipped while").first).to_be_visible()
    expect(page.get_by_text("1 run requested").first).to_be_visible(timeout=180_000)
    ui.picture(page, "tick")
