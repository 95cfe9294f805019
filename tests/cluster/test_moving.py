"""Moving a home from files to servers and back: by the commands of docs/cluster.md, and equal."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from hatif.errors import Busy, HomeError
from tests.cluster.conftest import Stores, client, maintain_home
from tests.conftest import sync
from tests.pipelines.conftest import environment
from warehouse.lake.connection import Lake
from warehouse.lake.locks import WRITE
from warehouse.lake.moving import METADATA, move
from warehouse.lake.schema import open_lake
from warehouse.lake.store import Store
from warehouse.settings.environment import Settings

ROOT = Path(__file__).parents[2]
STREAMS = ("channels", "contacts", "conversations")
_SNAPSHOTS = "SELECT snapshot_id, snapshot_time FROM wh.snapshots() ORDER BY ALL"


@dataclass(frozen=True)
class Place:
    """HATIF_CATALOG and HATIF_LAKE of a store."""

    catalog: str
    lake: str

    def of(self, settings: Settings) -> Settings:
        """The settings with this store."""
        return settings.model_copy(update={"catalog": self.catalog, "lake": self.lake})


def snapshots(settings: Settings) -> list[tuple]:
    with Lake(settings, read_only=True) as lake, lake.reading() as connection:
        return connection.execute(_SNAPSHOTS).fetchall()


@pytest.fixture
def old(made: Settings, tmp_path: Path) -> Settings:
    """A copy of that home."""
    shutil.copytree(made.home, tmp_path / "home")
    return made.model_copy(update={"home": tmp_path / "home"})


def test_every_table_of_ducklake_is_copied_or_left_for_a_reason(made: Settings) -> None:
    with closing(sqlite3.connect(f"file:{made.home}/catalog.sqlite?mode=ro", uri=True)) as catalog:
        names = {name for (name,) in catalog.execute("SELECT name FROM sqlite_master")}
    of_ducklake = {name for name in names if name.startswith("ducklake_")}
    left = {name for name in of_ducklake if name.startswith("ducklake_inlined_data_")}
    assert of_ducklake - left - {"ducklake_files_scheduled_for_deletion"} == set(METADATA)


def page_commands() -> list[str]:
    text = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"\n## Moving a home\n(.*?)\n## ", text, re.DOTALL)
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return "".join(blocks).replace("\\\n", "").splitlines()


def test_a_home_moves_to_servers_and_back_with_every_row_and_snapshot(
    old: Settings, stores: Stores, tmp_path: Path
) -> None:
    before = snapshots(old)
    servers = Place(stores.catalog, stores.lake)
    moved = move(old, servers.catalog, servers.lake)
    assert moved.files > 5
    assert snapshots(servers.of(old)) == before
    # The next sync goes on from there, with nothing to do.
    assert {one.rows_changed for one in sync(servers.of(old), *STREAMS).values()} == {0}
    maintain_home(servers.of(old))
    now = snapshots(servers.of(old))

    files = Place(f"sqlite:{tmp_path}/back/catalog.sqlite", str(tmp_path / "back" / "lake"))
    move(servers.of(old), files.catalog, files.lake)
    assert snapshots(files.of(old)) == now
    assert {one.rows_changed for one in sync(files.of(old), *STREAMS).values()} == {0}


def test_the_commands_of_the_page_move_a_home(old: Settings, stores: Stores) -> None:
    script = "\n".join(
        one for one in page_commands() if not one.startswith(("createdb", "systemctl"))
    )
    for stated, ours in (
        ("postgresql://hatif_sync@db.example/hatif", stores.catalog),
        ("s3://bucket/hatif/lake", stores.lake),
    ):
        assert stated in script
        script = script.replace(stated, ours)
    done = subprocess.run(
        ["bash", "-euc", script],
        env={
            **os.environ,
            **environment(old),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        cwd=old.home.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the copy is equal" in done.stdout


def test_a_store_is_moved_to_an_empty_place_only(old: Settings, stores: Stores) -> None:
    client(stores.s3).put_object(Bucket=stores.bucket, Key="lake/.hatif-catalog", Body=b"another")
    with pytest.raises(HomeError, match="already"):
        move(old, stores.catalog, stores.lake)


def test_a_store_with_rows_that_wait_is_not_moved(old: Settings, stores: Stores) -> None:
    with open_lake(old) as lake:
        lake.write("add", lambda one: one.execute("INSERT INTO core.tags (tag_id) VALUES ('t')"))
    with pytest.raises(HomeError, match="run hatif maintain"):
        move(old, stores.catalog, stores.lake)
    assert stores.objects() == {}


def test_a_store_is_not_moved_while_a_process_writes(old: Settings, stores: Stores) -> None:
    with (
        Store.of(old).locks.exclusive(WRITE, "a sync"),
        pytest.raises(Busy, match="a sync"),
    ):
        move(old, stores.catalog, stores.lake)
    assert stores.objects() == {}
