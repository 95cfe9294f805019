"""The UI of several workspaces starts where one can be served, on the instance that is theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import ui
from tests.pipelines.conftest import ROOT


def test_a_mistaken_workspace_is_named_and_the_others_are_served(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = data.parent / "dagster"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    assert ui.main() == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: mistaken: ")
    assert "mistaken.timezone: is not the name of a time zone" in line
    linked = home / "dagster.yaml"
    assert linked.resolve() == ROOT / "pipelines" / "dagster.workspaces.yaml"
    monkeypatch.delenv("HATIF_WORKSPACES")
    assert ui.main() == 0
    assert linked.resolve() == ROOT / "pipelines" / "dagster.yaml"
    linked.unlink()
    linked.write_text("of my own")
    assert ui.main() == 0
    assert linked.read_text() == "of my own"


@pytest.mark.parametrize(
    ("text", "message"), [("[[", "is not TOML"), ('[a]\ntimezone = "Mars"\n', "a.timezone: is")]
)
def test_without_any_that_is_sound_it_does_not_start(
    data: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (data.parent / "all.toml").write_text(text)
    assert ui.main() == 2
    assert message in capsys.readouterr().err
