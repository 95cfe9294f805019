"""The UI does not start on settings that Dagster would read otherwise than the commands do."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import ui


def test_the_same_in_both_or_in_one_is_no_contradiction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ui.main() == 0
    (tmp_path / ".env").write_text("HATIF_HOME=a\nHATIF_SCOPE=b\nAWS_REGION=x\n")
    monkeypatch.setenv("HATIF_HOME", "a")
    monkeypatch.setenv("HATIF_CLIENT_ID", "c")
    monkeypatch.setenv("AWS_REGION", "y")
    assert ui.main() == 0


def test_a_setting_that_differs_is_one_line_without_its_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_text("HATIF_CLIENT_SECRET=s3cret-a\nHATIF_HOME=x\n")
    monkeypatch.setenv("HATIF_CLIENT_SECRET", "s3cret-b")
    monkeypatch.setenv("HATIF_HOME", "")
    assert ui.main() == 2
    line = capsys.readouterr().err
    assert line.startswith("error: HATIF_CLIENT_SECRET, HATIF_HOME: set differently in the")
    assert line.count("\n") == 1
    assert "s3cret" not in line


def test_a_malformed_setting_keeps_the_ui_from_starting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HATIF_TIMEZONE", "Mars")
    assert ui.main() == 2
    assert "HATIF_TIMEZONE: is not the name of a time zone" in capsys.readouterr().err
