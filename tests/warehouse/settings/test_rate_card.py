"""Rate cards: dates, wildcards, and a clear word on what is wrong with a line."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from hatif.errors import SettingsError
from warehouse.settings.environment import Settings
from warehouse.settings.rate_card import SAMPLE, parse_rate_card

ROW = "SA,template,2026-01-01,USD,0.05,marketing"


def card(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "rates.csv"
    file.write_text("\n".join(("country,message_type,effective_from,currency,rate", *lines)))
    return file


def test_a_date_begins_at_midnight_of_the_reporting_zone(tmp_path: Path) -> None:
    (rate,) = parse_rate_card(card(tmp_path, ROW), "Asia/Riyadh")
    assert rate.effective_from == datetime(2025, 12, 31, 21, tzinfo=UTC)
    assert rate.rate == Decimal("0.05")
    # In the columns of earlier versions the category is a label, and selects nothing.
    assert rate.category == "*"


def test_a_category_selects_where_the_heading_says_more_than_earlier_versions_read(
    tmp_path: Path,
) -> None:
    file = tmp_path / "rates.csv"
    file.write_text(
        "market,category,effective_from,currency,rate\n"
        "SA,Authentication-International,2026-01-01,USD,1\n"
        "Rest of Central and Eastern Europe,,2026-01-01,USD,1\nQA,,2026-01-01,USD,1\n"
    )
    rates = {rate.line: rate for rate in parse_rate_card(file, "UTC")}
    assert (rates[2].market, rates[2].category) == ("Saudi Arabia", "authentication_international")
    assert (rates[3].market, rates[3].category) == ("Rest of Central & Eastern Europe", "*")
    # A country that shares its market with others is selected as a country.
    assert (rates[4].market, rates[4].country) == ("*", "QA")


def test_two_old_lines_that_differ_in_category_alone_select_by_it(tmp_path: Path) -> None:
    utility = ROW.replace("marketing", "utility")
    rates = parse_rate_card(card(tmp_path, ROW, utility), "Asia/Riyadh")
    assert sorted(rate.category for rate in rates) == ["marketing", "utility"]


def test_an_instant_begins_where_it_says(tmp_path: Path) -> None:
    (rate,) = parse_rate_card(card(tmp_path, "sa,Template,2026-01-01T00:00-05:00,usd,1"), "UTC")
    assert rate.effective_from == datetime(2026, 1, 1, 5, tzinfo=UTC)
    assert (rate.country, rate.message_type, rate.currency) == ("SA", "template", "USD")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("SA,template,2026-01-01,USD", "needs country"),
        ("Saudi,template,2026-01-01,USD,1", "country must be"),
        ("SA,,2026-01-01,USD,1", "message_type must be"),
        ("SA,template,01/01/2026,USD,1", "effective_from must be"),
        ("SA,template,2026-01-01T00:00,USD,1", "effective_from must be"),
        ("SA,template,2026-01-01,$US,1", "currency must be"),
        ("SA,template,2026-01-01,USD,n/a", "rate must be"),
        ("SA,template,2026-01-01,USD,-1", "rate must be"),
        ("SA,template,2026-01-01,USD,NaN", "rate must be"),
        ("SA,template,2026-01-01,USD,0.0000001", "rate must be"),
        ("SA,template,2026-01-01,USD,", "rate must be"),
    ],
)
def test_a_mistake_is_named_by_its_line(tmp_path: Path, line: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"line 3: {complaint}"):
        parse_rate_card(card(tmp_path, ROW, line), "UTC")


def test_two_lines_alike_are_a_mistake_though_written_differently(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="line 3: another line has the same"):
        parse_rate_card(
            card(tmp_path, ROW, "SA,template,2026-01-01T00:00+03:00,USD,1,marketing"),
            "Asia/Riyadh",
        )


def test_the_sample_is_marked_as_made_up_and_can_be_read() -> None:
    assert "MADE-UP" in SAMPLE.read_text()
    assert len(parse_rate_card(SAMPLE, "Asia/Riyadh")) > 5


def test_settings_name_the_variable_and_never_the_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HATIF_RATE_CARD", str(card(tmp_path, "s3cret,*,2026-01-01,USD,1")))
    monkeypatch.setenv("HATIF_BUSINESS_HOURS", "s3cret")
    monkeypatch.setenv("HATIF_HOLIDAYS", "s3cret.csv")
    monkeypatch.setenv("HATIF_SESSION_GAP_HOURS", "s3cret")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    wording = str(caught.value)
    assert "s3cret" not in wording
    for name in ("RATE_CARD: line 2", "BUSINESS_HOURS: ", "HOLIDAYS: ", "SESSION_GAP_HOURS: "):
        assert f"HATIF_{name}" in wording


def test_settings_without_any_of_these_have_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RATE_CARD", "HOLIDAYS"):
        monkeypatch.setenv(f"HATIF_{name}", "")
    settings = Settings.load()
    assert (settings.rate_card, settings.holidays) == ((), ())
    assert settings.session_gap_hours == 24
    assert len(settings.business_hours) == 1
