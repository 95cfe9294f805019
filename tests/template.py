"""A home whose tables are made, copied: making them takes half a second of processor time.

Tests of how a home comes to be open one themselves.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings


@cache
def _made() -> tempfile.TemporaryDirectory[str]:
    """Make an empty home, once in a process; removed with it."""
    folder = tempfile.TemporaryDirectory(prefix="hatif-template-")
    home = Path(folder.name) / "home"
    places = {"catalog": f"sqlite:{home / 'catalog.sqlite'}", "lake": str(home / "lake")}
    with open_lake(Settings.load(home=home, **places)):
        pass
    return folder


def make_home(settings: Settings) -> None:
    """Give the home its empty tables; one that has a catalog, or keeps it elsewhere, stays."""
    home = settings.home
    usual = (f"sqlite:{home / 'catalog.sqlite'}", str(home / "lake"))
    if (settings.catalog_dsn, settings.lake_path) != usual:
        return
    if (home / "catalog.sqlite").exists() or (home / "lake").exists():
        return
    template = Path(_made().name) / "home"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("catalog.sqlite", "lake"):
        source = template / name
        if source.is_dir():
            shutil.copytree(source, home / name)
        else:
            shutil.copy2(source, home / name)
    take_its_place(home)


def take_its_place(home: Path) -> None:
    """Let the catalog of a copied home say where its lake lies now.

    What reads the lake without this program takes its place from the catalog.
    """
    with closing(sqlite3.connect(home / "catalog.sqlite")) as catalog, catalog:
        catalog.execute(
            "UPDATE ducklake_metadata SET value = ? WHERE key = 'data_path'",
            [f"{(home / 'lake').absolute()}/"],
        )
