"""The page of settings and the example file are those that the settings class describes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hatif.errors import SettingsError
from warehouse.settings import reference
from warehouse.settings.environment import Settings

ROOT = Path(__file__).parents[3]
NAMES = [f"HATIF_{field.upper()}" for field in Settings.model_fields]


def test_the_page_is_current() -> None:
    wanted = "run: python -m warehouse.settings.reference > docs/settings.md"
    assert (ROOT / "docs/settings.md").read_text() == reference.page(), wanted


def test_the_example_file_is_current() -> None:
    wanted = "run: python -m warehouse.settings.reference example > .env.example"
    assert (ROOT / ".env.example").read_text() == reference.example(), wanted


def test_every_setting_is_described_on_the_page_and_in_the_example() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    assert re.findall(r"^\| `(HATIF_\w+)` \|", reference.page(), re.MULTILINE) == NAMES
    assert re.findall(r"^#(HATIF_\w+)=", reference.example(), re.MULTILINE) == NAMES


def test_the_example_without_its_remark_signs_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "holidays.csv").write_text("2026-01-01\n")
    (tmp_path / "rates.csv").write_text("SA,*,2026-01-01,USD,1\n")
    (tmp_path / "invoices").mkdir()
    (tmp_path / "sent.csv").write_text("message_id,category\n")
    (tmp_path / "templates.csv").write_text("template,category,text\na,utility,b\n")
    example = re.sub(r"(?m)^#HATIF", "HATIF", reference.example())
    (tmp_path / ".env").write_text(example)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    placeholders = ("CLIENT_ID", "CLIENT_SECRET", "WEBHOOK_SECRETS", "PAGE_PASSWORD")
    assert str(caught.value).count("is still the example's text") == len(placeholders)
    for name in placeholders:
        example = re.sub(rf"(?m)^(HATIF_{name}=.*)", r"\1-x", example)
    (tmp_path / ".env").write_text(example)
    with pytest.raises(SettingsError, match=r"^HATIF_WORKSPACES: names several"):
        Settings.load()
    example = re.sub(r"(?m)^HATIF_WORKSPACES=.*", "", example)
    (tmp_path / ".env").write_text(example)
    settings = Settings.load()
    assert settings.catalog == "postgres:host=db dbname=hatif"
    assert settings.credentials() == ("your-client-id-x", "your-client-secret-x")
    assert settings.business_hours == Settings.model_fields["business_hours"].default


def test_defaults_of_the_page_are_those_in_force() -> None:
    settings = Settings.load()
    defaults = re.findall(r"^\| `HATIF_(\w+)` \| `(.*?)` \|", reference.page(), re.MULTILINE)
    for name, default in defaults:
        given = Settings.load(**{name.lower(): default})
        assert getattr(given, name.lower()) == getattr(settings, name.lower())
