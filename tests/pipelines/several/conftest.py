"""Three workspaces to schedule for: two sound ones with homes made and empty, one mistaken."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from dagster._core.storage.defs_state.base import set_defs_state_storage

from pipelines.cli import main
from pipelines.definitions import build_defs
from rehearsal import RehearsalServer, WorldSpec
from tests.conftest import full_sync, settings_for
from tests.pipelines.conftest import environment
from tests.template import make_home
from warehouse.settings.environment import Settings

Run = Callable[..., Result]

NAMES = ("riyadh", "jeddah", "mistaken")
SECRET = "a-secret-word"


@pytest.fixture(scope="package")
def of_several() -> dg.Definitions:
    """Their definitions, resolved once.

    Dagster looks for its storage in a variable that an instance of another test may have left.
    """
    found = build_defs(workspaces=NAMES)
    with set_defs_state_storage(None):
        found.get_repository_def()
    return found


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


@pytest.fixture(scope="package")
def servers() -> Iterator[tuple[RehearsalServer, RehearsalServer]]:
    """Two workspaces that live."""
    with (
        RehearsalServer(WorldSpec(seed=1, contacts=12, conversations=8, events=80)) as one,
        RehearsalServer(WorldSpec(seed=2, contacts=20, conversations=10, events=90)) as two,
    ):
        yield one, two


@pytest.fixture(scope="package")
def homes(
    servers: tuple[RehearsalServer, RehearsalServer], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with the homes of both, synced; nobody may change it."""
    folder = tmp_path_factory.mktemp("homes")
    for name, server in zip(("riyadh", "jeddah"), servers, strict=True):
        full_sync(settings_for(server, folder / name), "channels", "users", "tags", "contacts")
    return folder


def _table(name: str, server: RehearsalServer) -> str:
    return (
        f'[{name}]\nbase_url = "{server.url}"\nclient_id = "{server.client_id}"\n'
        f'client_secret = {{ env = "SECRET_{name.upper()}" }}\n'
    )


@pytest.fixture
def run(
    servers: tuple[RehearsalServer, RehearsalServer], homes: Path, tmp_path: Path
) -> tuple[Run, dict[str, str]]:
    """Run a command in a folder of both workspaces, and of one with a mistake."""
    riyadh, jeddah = servers
    (tmp_path / "all.toml").write_text(
        "[defaults]\nrequests_per_minute = 0\n"
        + _table("riyadh", riyadh)
        + _table("jeddah", jeddah)
        + '[dubai]\ntimezone = "Mars"\n'
    )
    variables = environment(
        None,
        HATIF_WORKSPACES=str(tmp_path / "all.toml"),
        HATIF_HOME=str(homes),
        SECRET_RIYADH=riyadh.client_secret,
        SECRET_JEDDAH=jeddah.client_secret,
    )

    def command(*arguments: str) -> Result:
        return CliRunner(env=variables).invoke(main, arguments)

    return command, variables


@pytest.fixture
def several(
    servers: tuple[RehearsalServer, RehearsalServer], tmp_path: Path
) -> tuple[dict[str, str], Path]:
    """Variables of two sound workspaces, and of some with a wrong secret, no service, a mistake."""
    riyadh, jeddah = servers
    file = tmp_path / "all.toml"
    file.write_text(
        "[defaults]\nrequests_per_minute = 0\n"
        '[wrong]\nclient_id = "w"\nclient_secret = { env = "SECRET_RIYADH" }\n'
        f'base_url = "{jeddah.url}"\n'
        '[dead]\nclient_id = "d"\nclient_secret = { env = "SECRET_RIYADH" }\n'
        'base_url = "http://127.0.0.1:1"\n'
        '[mistaken]\ntimezon = "UTC"\n' + _table("riyadh", riyadh) + _table("jeddah", jeddah)
    )
    for name in ("wrong", "dead", "riyadh", "jeddah"):
        make_home(Settings.load(home=tmp_path / "data" / name))
    variables = {
        "HATIF_WORKSPACES": str(file),
        "SECRET_RIYADH": riyadh.client_secret,
        "SECRET_JEDDAH": jeddah.client_secret,
    }
    return variables, tmp_path / "data"
