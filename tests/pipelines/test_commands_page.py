"""The page of commands says what the commands say."""

from pipelines.commands import page
from tests.pipelines.conftest import ROOT


def test_the_page_of_commands_is_current() -> None:
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m pipelines.commands > docs/commands.md"
