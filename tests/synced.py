"""Homes that were synced once, copied: a first sync takes two seconds of processor time.

For tests whose subject is what comes after it.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

from rehearsal import Quirks, RehearsalServer, WorldSpec
from tests import conftest
from tests.template import take_its_place
from warehouse.settings.environment import Settings


@cache
def _synced(spec: WorldSpec) -> tempfile.TemporaryDirectory[str]:
    """Sync all of such a world, once in a process; removed with it."""
    folder = tempfile.TemporaryDirectory(prefix="hatif-synced-")
    with RehearsalServer(spec) as server:
        results = conftest.sync(conftest.settings_for(server, Path(folder.name) / "home"))
    assert {result.status for result in results.values()} == {"done"}
    return folder


def synced(server: RehearsalServer, home: Path, **more: object) -> Settings:
    """Return the settings of a home that holds all of a server's world, as its first sync left it.

    The same spec makes the same world, and its clock stands until a test moves it: so another
    server of that spec was read. Homes with stores elsewhere are synced themselves.

    Args:
        server: one that behaves as usual, whose world nothing happened to yet.
        home: where it is to lie.
        more: settings that differ.
    """
    assert server.quirks == Quirks()
    assert server.now == server.spec.now
    settings = conftest.settings_for(server, home, **more)
    if conftest.stores_of(home):
        conftest.sync(settings)
        return settings
    shutil.copytree(Path(_synced(server.spec).name) / "home", home)
    take_its_place(home)
    return settings
