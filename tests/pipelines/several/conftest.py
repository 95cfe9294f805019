"""Three workspaces to schedule for: two sound ones with homes made and empty, one mistaken."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipelines.definitions import build_defs
from tests.pipelines.conftest import environment
from tests.template import make_home
from warehouse.settings.environment import Settings

NAMES = ("riyadh", "jeddah", "mistaken")
SECRET = "a-secret-word"


@pytest.fixture(scope="package")
def of_several() -> dg.Definitions:
    """Their definitions."""
    return build_defs(workspaces=NAMES)


@pytest.fixture(scope="package")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the homes of two; nobody may change it."""
    folder = tmp_path_factory.mktemp("several") / "data"
    for name in NAMES[:2]:
        make_home(Settings.load(None, home=folder / name))
    return folder


@pytest.fixture
def data(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, beside a file of workspaces that the environment names."""
    shutil.copytree(prepared, tmp_path / "data")
    (tmp_path / "all.toml").write_text(
        '[riyadh]\nclient_id = "r"\n[jeddah]\nclient_id = "j"\n[mistaken]\ntimezone = "Mars"\n'
        '[defaults]\nclient_secret = { env = "THE_SECRET" }\nbase_url = "http://127.0.0.1:9"\n'
    )
    for name, value in environment(
        HATIF_WORKSPACES=str(tmp_path / "all.toml"), THE_SECRET=SECRET
    ).items():
        monkeypatch.setenv(name, value)
    return tmp_path / "data"


@pytest.fixture(scope="package")
def kept() -> Iterator[dg.DagsterInstance]:
    """An instance on disk, which takes seconds to make."""
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def instance(kept: dg.DagsterInstance) -> dg.DagsterInstance:
    """The same without any runs."""
    kept.wipe()
    return kept
