"""Commands, options, settings, make targets and modules that the documents name exist."""

from __future__ import annotations

import re
import tomllib
from importlib.util import find_spec

from pipelines.cli import main
from tests.pipelines.conftest import ROOT
from warehouse.settings.environment import Settings

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
_CODE = re.compile(r"```sh\n(.*?)```|`([^`\n]+)`", re.DOTALL)
CODE = "\n".join(
    block or span
    for page in PAGES
    for block, span in _CODE.findall(page.read_text(encoding="utf-8"))
)


def named(pattern: str) -> set[str]:
    found = set(re.findall(pattern, CODE, re.MULTILINE))
    assert found
    return found


def test_every_hatif_command_named_exists() -> None:
    assert named(r"(?:^|/|\s)hatif ([a-z]+)\b") - set(main.commands) == set()


def test_every_make_target_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert named(r"(?:^|\s)make ([a-z-]+)\b") - targets == set()


def test_every_module_named_exists() -> None:
    ours = ("hatif", "rehearsal", "warehouse", "sync", "assets", "pipelines", "benchmarks")
    modules = {name for name in named(r"python -m ([\w.]+)") if name.split(".")[0] in ours}
    assert len(modules) > 5
    assert [name for name in modules if find_spec(name) is None] == []


def test_every_option_named_after_a_command_exists() -> None:
    calls = re.findall(r"(?:^|/|\s)hatif ([a-z]+)\b([^\n|;]*)", CODE, re.MULTILINE)
    used = {(name, option) for name, rest in calls for option in re.findall(r" (--[a-z-]+)", rest)}
    assert len(used) > 10
    known = {
        (name, option)
        for name, command in main.commands.items()
        for one in (command, *getattr(command, "commands", {}).values())
        for parameter in one.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    assert used - known == set()


def test_every_setting_named_exists() -> None:
    # settings.md is generated, and names variables of later versions as well.
    pages = [page for page in PAGES if page.name != "settings.md"]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    known = {f"HATIF_{name.upper()}" for name in Settings.model_fields}
    used = set(re.findall(r"HATIF_[A-Z_]*[A-Z]", text))
    assert len(used) > 10
    assert used - known == set()


def test_what_a_wheel_brings_is_named_where_it_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"Installed as a wheel.*?\.\n", page, re.DOTALL)
    assert "virtual environment of its own" in sentence
    assert set(re.findall(r"`(\w+)`", sentence)) == set(packages)
