"""The page as one file: whole, by itself, and never over a file of the warehouse."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipelines.cli import main
from tests.page.conftest import Visitor, World
from tests.pipelines.conftest import environment


def write(world: World, *arguments: str) -> Result:
    return CliRunner(env=environment(world.settings)).invoke(main, ["page", *arguments])


@pytest.fixture(scope="module")
def report(world: World, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("report") / "report.html"
    answer = write(world, "--output", str(file), "--period", "2026-05-01..2026-10-31")
    assert answer.exit_code == 0, answer.output
    assert [one.name for one in file.parent.iterdir()] == ["report.html"]
    return file.read_text("utf-8")


def test_its_policy_lets_only_its_own_scripts_and_style_run(report: str) -> None:
    policy = re.search(r'http-equiv="content-security-policy" content="([^"]+)"', report)
    assert policy is not None
    inline = re.findall(r"<script>(.*?)</script>", report, re.DOTALL)
    inline += re.findall(r"<style>(.*?)</style>", report, re.DOTALL)
    assert len(inline) == 3
    hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in inline]
    assert [one for one in hashes if f"'sha256-{one}'" not in policy[1]] == []
    assert "unsafe" not in policy[1]
    assert re.findall(r'(?:src|href)="(?!data:,)[^"]*"', report.split("<script>")[0]) == []


def test_it_holds_every_view_of_the_period_in_both_languages(report: str, visitor: Visitor) -> None:
    found = re.search(r'id="report">(.*?)</script>', report, re.DOTALL)
    assert found is not None
    answers = json.loads(found[1])["answers"]
    for view in visitor.page.views:
        assert f"/data/about/{view}" in answers
        assert answers[f"/data/view/{view}"]["filters"]["from"] == "2026-05-01"
    span = {"from": "2026-05-01", "to": "2026-10-31"}
    shown = visitor.json("/data/view/delivery", **span)["parts"]
    assert answers["/data/view/delivery"]["parts"] == shown
    assert answers["/words/ar.json"]["volume.title"] == "الحجم"


@pytest.mark.parametrize("name", ["catalog.sqlite", "lake/report.html", "write.lock"])
def test_it_takes_the_place_of_no_file_of_ours(world: World, name: str) -> None:
    file = world.settings.home / name
    before = file.stat() if file.exists() else None
    answer = write(world, "--output", str(file))
    assert answer.exit_code == 2
    assert "warehouse's own" in answer.stderr
    assert (file.stat() if file.exists() else None) == before


@pytest.mark.parametrize(
    ("arguments", "wording"),
    [
        (["--output", "x.html", "--period", "soon"], "there is no such period"),
        (["--output", "x.html", "--period", "2026-02-30..2026-03-01"], "needs two dates"),
        (["--period", "7d"], "--period goes with --output"),
        (["--host", " "], "must name an address"),
        (["--inbox", "javascript:{id}"], "an https:// address"),
        (["--host", "0.0.0.0"], "HATIF_PAGE_PASSWORD: not set"),
    ],
)
def test_wrong_usage_is_named(
    world: World, arguments: list[str], wording: str, tmp_path: Path
) -> None:
    answer = write(world, *arguments)
    assert answer.exit_code == 2
    assert wording in answer.stderr
    assert list(tmp_path.iterdir()) == []
