"""Rate cards that are wrong in some way: one line each, which names the line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from hatif.errors import SettingsError
from warehouse.settings.environment import Settings

_HEADING = (
    "market,category,message_type,channel,effective_from,currency,rate,from_volume,free_per_month"
)
_RIGHT = "Saudi Arabia,marketing,template,line,2026-01-01,USD,0.05,,"
#: The line that is wrong, and what is reported of it.
WRONG = {
    "Saudia,marketing,,,2026-01-01,USD,0.05": "market must be one of",
    "Saudi Arabi,marketing,,,2026-01-01,USD,0.05": "did you mean Saudi Arabia?",
    "UK,marketing,,,2026-01-01,USD,0.05": "did you mean GB?",
    "XX,marketing,,,2026-01-01,USD,0.05": "market must be one of",
    "966,marketing,,,2026-01-01,USD,0.05": "market must be one of",
    "SA,,marketing,,2026-01-01,USD,0.05": "marketing is a category, which has a column of its own",
    "SA,,templates,,2026-01-01,USD,0.05": "did you mean template?",
    "SA,template,,,2026-01-01,USD,0.05": "template is a message_type, which has a column",
    "SA,marketting,,,2026-01-01,USD,0.05": "did you mean marketing?",
    "SA,promotion,,,2026-01-01,USD,0.05": "category must be one of",
    "SA,service,template,,2026-01-01,USD,0.05": "can match nothing: no template is of category",
    "SA,utility,text,,2026-01-01,USD,0.05": "can match nothing: only templates are of category",
    "SA,marketing,,line 1,2026-01-01,USD,0.05": "channel must be the id of a channel",
    "SA,marketing,,,01/01/2026,USD,0.05": "effective_from must be a date",
    "SA,marketing,,,2026-02-30,USD,0.05": "effective_from must be a date",
    "SA,marketing,,,2026-01-01T00:00,USD,0.05": "or a time with its offset",
    "SA,marketing,,,,USD,0.05": "effective_from must be a date",
    "SA,marketing,,,2026-01-01,US$,0.05": "currency must be three letters",
    "SA,marketing,,,2026-01-01,,0.05": "currency must be three letters",
    "SA,marketing,,,2026-01-01,USD,-0.05": "rate must be a number such as 0.0455",
    "SA,marketing,,,2026-01-01,USD,NaN": "rate must be a number",
    "SA,marketing,,,2026-01-01,USD,1e13": "rate must be a number",
    "SA,marketing,,,2026-01-01,USD,0.0000001": "at most 6 decimals",
    'SA,marketing,,,2026-01-01,USD,"0,05"': "rate must be a number",
    "SA,marketing,,,2026-01-01,USD,": "rate must be a number",
    "SA,marketing,,,2026-01-01,USD": "has 6 cells",
    "SA,marketing,,,2026-01-01,USD,0.05,-1": "from_volume must be a whole number",
    'SA,marketing,,,2026-01-01,USD,0.05,"1,000"': "from_volume must be a whole number",
    "SA,marketing,,,2026-01-01,USD,0.05,1e3": "from_volume must be a whole number",
    "SA,marketing,,,2026-01-01,USD,0.05,,0.5": "free_per_month must be a whole number",
    "SA,marketing,,,2026-01-01,USD,0.05,,99999999999999": "free_per_month must be a whole number",
    "sa,Marketing,Template,LINE,2026-01-01,EUR,1": "another line has the same market",
    "SA,marketing,template,line,2026-01-01T00:00+03:00,USD,1": "another line has the same market",
    "SA,marketing,template,line,2026-01-01,EUR,0.04,1000": "of line 2 in another currency",
    "SA,marketing,template,line,2026-01-01,USD,0.04,1000,5": "with another free_per_month",
    "SA,marketing,template,line,2026-01-01,USD,0.05,,,a,b": "needs market|country,effective_from",
    "s\u0131,marketing,,,2026-01-01,USD,1": "market must be one of",
    "SA,mar\u212aeting,,,2026-01-01,USD,1": "category must be one of",
    "SA,,,,2026-W01-1T00:00Z,USD,1": "effective_from must be a date",
    "SA,,,,20260101T0000Z,USD,1": "effective_from must be a date",
    "SA,,,,2026-01-01T00:00+03:00:30,USD,1": "effective_from must be a date",
    "SA,,,,2026-01-01,USD,0,05": "from_volume must be a whole number",
    "SA;marketing;;;2026-01-01;USD;0.05": "cells must be separated by commas",
}


def _complaint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> str:
    file = tmp_path / "card.csv"
    file.write_text("\n".join(lines))
    monkeypatch.setenv("HATIF_RATE_CARD", str(file))
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    return str(caught.value)


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_line_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    found = _complaint(tmp_path, monkeypatch, _HEADING, _RIGHT, line)
    assert found.startswith("HATIF_RATE_CARD: line 3: ")
    assert WRONG[line] in found
    assert "\n" not in found


@pytest.mark.parametrize(
    ("heading", "wanted"),
    [
        ("market,effective_from,rate", "line 1: the heading lacks currency"),
        ("category,effective_from,currency,rate", "line 1: the heading lacks market|country"),
        ("market,effective_from,currency,rate,volume", "line 1: column 5 of the heading is none"),
        ("market,effective_from,currency,rate,market", "line 1: two columns of the heading"),
    ],
)
def test_a_wrong_heading_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heading: str, wanted: str
) -> None:
    assert wanted in _complaint(tmp_path, monkeypatch, heading, "SA,2026-01-01,USD,1")


@pytest.mark.parametrize(
    "line",
    ["SA,template,2026-01-01,USD,0,05", "SA,template,2026-01-01,USD,1.000,00"],
)
@pytest.mark.parametrize("heading", ["", "country,message_type,effective_from,currency,rate"])
def test_a_decimal_comma_is_no_rate_and_a_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heading: str, line: str
) -> None:
    assert "rate must be a number such as 0.0455, with a point" in _complaint(
        tmp_path, monkeypatch, heading, line
    )


def test_a_line_names_a_market_or_a_country(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heading = "market,country,effective_from,currency,rate"
    both = _complaint(tmp_path, monkeypatch, heading, "Saudi Arabia,SA,2026-01-01,USD,1")
    assert "line 2: names both a market and a country" in both
    wrong = _complaint(tmp_path, monkeypatch, heading, ",UK,2026-01-01,USD,1")
    assert "line 2: country must be" in wrong
    assert "did you mean GB?" in wrong
